// MARK: optimizer.c – updates of the parameter arena
#ifndef ICNN_CK_OPTIMIZER_H
#define ICNN_CK_OPTIMIZER_H
#include <stdint.h>

/// A contiguous piece of the arenas with its factors.
typedef struct {
  int64_t offset, count;
  float learningRateMultiplier, weightDecayMultiplier;
} ck_update_range_t;

/// For every range, with r and d its factors: g = gradients + weightDecay·d·values; velocities = momentum·velocities − g;
/// values += learningRate·r·velocities. Ranges must not overlap; each is one piece of work for the thread pool.
/// A range with a gradient that is NaN or infinite is left as it is. Returns the index of the first such range, or -1.
int64_t ck_momentum_update(const ck_update_range_t *ranges, int64_t rangeCount, float *values, const float *gradients,
                        float *velocities, float learningRate, float momentum, float weightDecay);

#endif
