// What the pieces of a linear layer's three products share; internal to the family "linear".
#ifndef ICNN_LINEAR_H
#define ICNN_LINEAR_H
#include "internal.h"

/// Values of an image that lie together in the packed x of the forward product.
#define CK_LINEAR_CHUNK 256
/// The same for the gradient of the weights: three vectors of AVX-512. Divides nothing evenly; the rest is padded.
#define CK_LINEAR_STRIP 48
/// Rows of W in one piece of the forward product.
#define CK_LINEAR_ROWS 32
/// Columns of W in one piece of the product that gives dx.
#define CK_LINEAR_COLUMNS 512
/// Most images whose sums a piece holds at a time; W is read once for each group of them.
#define CK_LINEAR_IMAGES 32
/// Rows of W in one piece of an update.
#define CK_LINEAR_UPDATE_ROWS 16

/// One product. `packed` holds x, zero-padded, as [inputs/CHUNK or inputs/STRIP][batch][CHUNK or STRIP], or dy as
/// [outputs][batch]. The plain loops do not use it.
typedef struct {
  ck_linear_t shape;
  const float *x, *dy, *weights, *bias, *packed;
  float *y, *dx, *weightGradients;
  int adds;
} LinearWork;

/// An update, and whether all gradients were finite so far.
typedef struct {
  ck_linear_update_t update;
  ck_linear_factors_t factors;
  _Atomic int allFinite;
} LinearUpdateWork;

#endif
