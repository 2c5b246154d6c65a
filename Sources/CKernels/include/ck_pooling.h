// MARK: pooling.c – maximum and average over windows of blocked maps
#ifndef ICNN_CK_POOLING_H
#define ICNN_CK_POOLING_H
#include <stdint.h>

/// Windows of one pooling, in cells. Output (oh, ow) sees the input rows oh·strideHeight − padTop + 0..<kernelHeight,
/// columns likewise, as far as they lie inside the map. Every window must hold at least one cell of the map.
typedef struct {
  int32_t height, width, outHeight, outWidth;
  int32_t kernelHeight, kernelWidth, strideHeight, strideWidth;
  int32_t padTop, padLeft, padBottom, padRight;
  /// Average only: non-zero divides by the window's cells in the padded map, zero by those in the map itself.
  int32_t countPadding;
} ck_pool_t;

// A plane is one block of 16 channels of one image: x is [planes][height][width][16], y [planes][outHeight][outWidth][16].

/// y = maximum of each window; NaN wins. argmax (as large as y) gets the maximum's number in its window, row-major,
/// the first one on ties; so a window has at most 256 cells.
void ck_max_pool_forward(const ck_pool_t *pool, int64_t planes, const float *x, float *y, uint8_t *argmax);
/// dx = for each cell the sum of dy over the windows whose maximum it was. Overwrites dx.
void ck_max_pool_backward(const ck_pool_t *pool, int64_t planes, const float *dy, const uint8_t *argmax, float *dx);
/// y = sum of each window over its divisor.
void ck_average_pool_forward(const ck_pool_t *pool, int64_t planes, const float *x, float *y);
/// dx = for each cell the sum of dy / divisor over the windows that hold it. Overwrites dx.
void ck_average_pool_backward(const ck_pool_t *pool, int64_t planes, const float *dy, float *dx);

#endif
