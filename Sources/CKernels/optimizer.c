#include "internal.h"

CK_DECLARE(ck_momentum_update_range,
           (int64_t count, float *values, const float *gradients, float *velocities, float learningRate,
            float momentum, float weightDecay))

typedef struct {
  const ck_update_range_t *ranges;
  float *values, *velocities;
  const float *gradients;
  float learningRate, momentum, weightDecay;
} Update;

static void update_range(void *context, int64_t i) {
  const Update *p = context;
  const ck_update_range_t *r = p->ranges + i;
  CK_DISPATCH(ck_momentum_update_range,
              (r->count, p->values + r->offset, p->gradients + r->offset, p->velocities + r->offset,
               p->learningRate * r->learningRateMultiplier, p->momentum, p->weightDecay * r->weightDecayMultiplier))
}

void ck_momentum_update(const ck_update_range_t *ranges, int64_t rangeCount, float *values, const float *gradients,
                        float *velocities, float learningRate, float momentum, float weightDecay) {
  Update p = {.ranges = ranges, .values = values, .velocities = velocities, .gradients = gradients,
              .learningRate = learningRate, .momentum = momentum, .weightDecay = weightDecay};
  ck_parallel(rangeCount, update_range, &p);
}
