#include "internal.h"
#include <stdatomic.h>

CK_DECLARE(ck_momentum_update_range,
           (int64_t count, float *values, const float *gradients, float *velocities, float learningRate,
            float momentum, float weightDecay))

CK_DECLARE(ck_count_not_finite, (const float *values, int64_t count, int64_t *result))

typedef struct {
  const ck_update_range_t *ranges;
  float *values, *velocities;
  const float *gradients;
  float learningRate, momentum, weightDecay;
  _Atomic int64_t firstBroken;
} Update;

static void update_range(void *context, int64_t i) {
  Update *p = context;
  const ck_update_range_t *r = p->ranges + i;
  // The range stays in the second-level cache between the two loops, so the check costs no memory traffic.
  int64_t notFinite;
  CK_DISPATCH(ck_count_not_finite, (p->gradients + r->offset, r->count, &notFinite))
  if (notFinite > 0) {
    int64_t first = atomic_load_explicit(&p->firstBroken, memory_order_relaxed);
    while (i < first && !atomic_compare_exchange_weak(&p->firstBroken, &first, i)) {}
    return;
  }
  CK_DISPATCH(ck_momentum_update_range,
              (r->count, p->values + r->offset, p->gradients + r->offset, p->velocities + r->offset,
               p->learningRate * r->learningRateMultiplier, p->momentum, p->weightDecay * r->weightDecayMultiplier))
}

int64_t ck_momentum_update(const ck_update_range_t *ranges, int64_t rangeCount, float *values, const float *gradients,
                        float *velocities, float learningRate, float momentum, float weightDecay) {
  Update p = {.ranges = ranges, .values = values, .velocities = velocities, .gradients = gradients,
              .learningRate = learningRate, .momentum = momentum, .weightDecay = weightDecay, .firstBroken = rangeCount};
  ck_parallel(rangeCount, update_range, &p);
  int64_t first = atomic_load_explicit(&p.firstBroken, memory_order_relaxed);
  return first < rangeCount ? first : -1;
}
