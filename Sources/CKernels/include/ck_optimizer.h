// MARK: optimizer.c – updates of the parameter arena
#ifndef ICNN_CK_OPTIMIZER_H
#define ICNN_CK_OPTIMIZER_H
#include <stdint.h>

/// Floats that an update looks at together.
enum { CK_UPDATE_BLOCK = 4096 };

/// A contiguous piece of the arenas with its factors.
typedef struct {
  int64_t offset, count;
  float learningRateMultiplier, weightDecayMultiplier;
} ck_update_range_t;

/// The arenas that offsets count in, and what of them is updated.
typedef struct {
  /// They must not overlap; each is one piece of work for the thread pool.
  const ck_update_range_t *ranges;
  int64_t rangeCount;
  float *values, *velocities;
  /// At least one arena; their sum, added in this order, is the gradient.
  const float *const *gradients;
  int64_t gradientCount;
} ck_update_t;

/// For every range, with r and d its factors and g the gradient: velocities = momentum·velocities − (g + weightDecay·d·values);
/// values += learningRate·r·velocities. A block (CK_UPDATE_BLOCK floats of a range) with a gradient that is NaN or infinite is
/// left as it is. Returns the index of the first range that has one, or -1.
int64_t ck_momentum_update(const ck_update_t *update, float learningRate, float momentum, float weightDecay);

#endif
