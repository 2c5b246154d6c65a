#include "internal.h"

void ck_momentum_update_block_reference(int64_t count, float *values, const float *gradients, float *velocities,
                                        float learningRate, float momentum, float weightDecay) {
  for (int64_t i = 0; i < count; i++) {
    float g = gradients[i] + weightDecay * values[i];
    velocities[i] = momentum * velocities[i] - g;
    values[i] += learningRate * velocities[i];
  }
}

void ck_gradient_sum_reference(const float *const *arenas, int64_t arenaCount, int64_t offset, int64_t count,
                               float *sum) {
  for (int64_t i = 0; i < count; i++) {
    sum[i] = arenas[0][offset + i];
    for (int64_t a = 1; a < arenaCount; a++) sum[i] += arenas[a][offset + i];
  }
}

void ck_count_not_finite_reference(const float *values, int64_t count, int64_t *result) {
  *result = 0;
  for (int64_t i = 0; i < count; i++) *result += !(values[i] - values[i] == 0);
}
