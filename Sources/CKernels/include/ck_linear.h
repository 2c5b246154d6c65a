// MARK: linear.c – the three products of a linear layer with a batch of some dozens of images at most
//
// W is as large as memory and used once per image: these kernels read it, or write its gradient, once per 32 images, row
// after row, and do the arithmetic meanwhile. For larger batches a general matrix product is as good.
#ifndef ICNN_CK_LINEAR_H
#define ICNN_CK_LINEAR_H
#include <stdint.h>

/// x, dx [batch][inputs]; y, dy [batch][outputs]; W, dW [outputs][inputs]; b, db [outputs]. The batch may be empty; rows need no
/// alignment.
typedef struct {
  int64_t batch, inputs, outputs;
} ck_linear_t;

/// Floats of scratch memory, aligned to 64 bytes, that each of the three products needs.
int64_t ck_linear_workspace(const ck_linear_t *linear);
/// y = x·Wᵀ + b; bias may be NULL.
void ck_linear_forward(const ck_linear_t *linear, const float *x, const float *weights, const float *bias, float *y,
                       float *workspace);
/// dx = dy·W.
void ck_linear_backward_data(const ck_linear_t *linear, const float *dy, const float *weights, float *dx,
                             float *workspace);
/// dW = dyᵀ·x, or dW += dyᵀ·x if `adds`.
void ck_linear_backward_weights(const ck_linear_t *linear, const float *x, const float *dy, int adds,
                                float *weightGradients, float *workspace);

/// The factors of dW = dyᵀ·x for `batch` images, of which a caller may have only some: x in the order in which
/// `ck_linear_update` reads it, zero-padded, and dy [batch][outputs].
typedef struct {
  int64_t batch;
  float *x, *dy;
} ck_linear_factors_t;

/// Floats that x takes per image.
int64_t ck_linear_factor_inputs(int64_t inputs);
/// Puts x and dy of the linear layer's images into the factors; the first of them is image `firstImage` there.
void ck_linear_keep_factors(const ck_linear_t *linear, const float *x, const float *dy, int64_t firstImage,
                            const ck_linear_factors_t *factors);

/// A part of W, row-major from `first` on, and what the update does to it.
typedef struct {
  int64_t inputs, outputs, first, count;
  float *values, *velocities;
  float learningRate, momentum, weightDecay;
} ck_linear_update_t;

/// g = dyᵀ·x, velocities = momentum·velocities − (g + weightDecay·W), W += learningRate·velocities, without ever writing g to
/// memory. What stands around a gradient that is NaN or infinite, up to a few thousand values of its row, is left as it is.
/// Returns whether all of g was finite.
int ck_linear_update(const ck_linear_update_t *update, const ck_linear_factors_t *factors);

/// Every row of y [rows][columns] becomes `row`.
void ck_rows_fill(const float *row, int64_t rows, int64_t columns, float *y);
/// sum[c] = Σ over rows of x [rows][columns], row after row; or sum[c] += … if `adds`.
void ck_rows_sum(const float *x, int64_t rows, int64_t columns, int adds, float *sum);

#endif
