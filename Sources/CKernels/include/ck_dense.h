// MARK: dense.c – batch normalisation and ReLU of concatenated maps that lie in several tensors
#ifndef ICNN_CK_DENSE_H
#define ICNN_CK_DENSE_H
#include <stdint.h>

/// One block of 16 channels of a batch of blocked maps, wherever it lies: image n's plane [cells][16] begins at
/// first + n·imageStride floats. Arrays of these, [blocks], are a concatenation without a copy.
typedef struct {
  float *first;
  int64_t imageStride;
} ck_channel_block_t;

// Arrays of one number per channel are [blocks·16], all other maps [batch][blocks][cells][16].

/// y = max((x − offset)·scale + shift, 0). NaN stays NaN.
void ck_dense_normalize(int64_t batch, int64_t blocks, int64_t cells, const ck_channel_block_t *x, const float *offset,
                        const float *scale, const float *shift, float *y);
/// With g = dy where (x − offset)·scale + shift > 0, else 0: dx (+)= g·scale, set unless `adding`, and per channel Σ g and
/// Σ g·(x − offset) over all images and cells in Double, sums: [2][blocks·16]. partials is scratch for batch·blocks·32
/// numbers. Summed per image, then over the images in their order: no thread changes a bit.
void ck_dense_normalize_backward(int64_t batch, int64_t blocks, int64_t cells, const ck_channel_block_t *x,
                                 const float *dy, const float *offset, const float *scale, const float *shift,
                                 int adding, const ck_channel_block_t *dx, double *partials, double *sums);
/// dx = d + (x − offset)·xScale + shift.
void ck_dense_center(int64_t batch, int64_t blocks, int64_t cells, const ck_channel_block_t *d,
                     const ck_channel_block_t *x, const float *offset, const float *xScale, const float *shift,
                     float *dx);

#endif
