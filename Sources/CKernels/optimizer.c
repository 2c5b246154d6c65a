#include "internal.h"
#include <stdatomic.h>

CK_DECLARE(ck_momentum_update_block,
           (int64_t count, float *values, const float *gradients, float *velocities, float learningRate,
            float momentum, float weightDecay))

CK_DECLARE(ck_gradient_sum,
           (const float *const *arenas, int64_t arenaCount, int64_t offset, int64_t count, float *sum))

CK_DECLARE(ck_count_not_finite, (const float *values, int64_t count, int64_t *result))

typedef struct {
  const ck_update_t *arenas;
  float learningRate, momentum, weightDecay;
  _Atomic int64_t firstBroken;
} Update;

/// Returns whether all gradients are finite.
static int update_block(const ck_update_t *a, int64_t offset, int64_t count, float learningRate, float momentum,
                        float weightDecay) {
  // The block stays in the first- or second-level cache between the loops, so that the check costs no memory traffic.
  float sum[CK_UPDATE_BLOCK] __attribute__((aligned(64)));
  const float *gradients = a->gradients[0] + offset;
  if (a->gradientCount > 1) {
    CK_DISPATCH(ck_gradient_sum, (a->gradients, a->gradientCount, offset, count, sum))
    gradients = sum;
  }
  int64_t notFinite;
  CK_DISPATCH(ck_count_not_finite, (gradients, count, &notFinite))
  if (notFinite > 0) return 0;
  CK_DISPATCH(ck_momentum_update_block, (count, a->values + offset, gradients, a->velocities + offset, learningRate,
                                         momentum, weightDecay))
  return 1;
}

static void update_range(void *context, int64_t i) {
  Update *p = context;
  const ck_update_range_t *r = p->arenas->ranges + i;
  int allFinite = 1;
  for (int64_t start = 0; start < r->count; start += CK_UPDATE_BLOCK) {
    int64_t count = r->count - start < CK_UPDATE_BLOCK ? r->count - start : CK_UPDATE_BLOCK;
    allFinite &= update_block(p->arenas, r->offset + start, count, p->learningRate * r->learningRateMultiplier,
                              p->momentum, p->weightDecay * r->weightDecayMultiplier);
  }
  if (allFinite) return;
  int64_t first = atomic_load_explicit(&p->firstBroken, memory_order_relaxed);
  while (i < first && !atomic_compare_exchange_weak(&p->firstBroken, &first, i)) {}
}

int64_t ck_momentum_update(const ck_update_t *update, float learningRate, float momentum, float weightDecay) {
  Update p = {.arenas = update, .learningRate = learningRate, .momentum = momentum, .weightDecay = weightDecay,
              .firstBroken = update->rangeCount};
  ck_parallel(update->rangeCount, update_range, &p);
  int64_t first = atomic_load_explicit(&p.firstBroken, memory_order_relaxed);
  return first < update->rangeCount ? first : -1;
}
