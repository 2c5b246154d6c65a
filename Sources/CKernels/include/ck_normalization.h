// MARK: normalization.c – local response normalisation and the passes of batch normalisation, on blocked maps
#ifndef ICNN_CK_NORMALIZATION_H
#define ICNN_CK_NORMALIZATION_H
#include <stdint.h>

/// Most blocks of channels that the response normalisation takes.
#define CK_LRN_MAX_BLOCKS 256

/// Neighbouring channels: s_c = kappa + alpha · Σ x_d² over |d − c| ≤ half; y_c = x_c · s_c^−beta. half ≤ 16.
typedef struct {
  int64_t batch, blocks, cells;
  int32_t half;
  float kappa, alpha, beta;
} ck_lrn_t;

/// y = x · s^−beta.
void ck_lrn_forward(const ck_lrn_t *lrn, const float *x, float *y);
/// dx_c = dy_c · s_c^−beta − 2·alpha·beta·x_c · Σ dy_d · x_d · s_d^(−beta−1) over |d − c| ≤ half.
void ck_lrn_backward(const ck_lrn_t *lrn, const float *x, const float *dy, float *dx);

/// Per channel Σ a and Σ a·(b − offset) over all images and cells, in Double; b = a gives Σ x².
/// a, b: [batch][blocks][cells][16]; offset: [blocks·16]; sums: [2][blocks·16]. partials is scratch for
/// batch·blocks·32 numbers. Summed per image, then over the images in their order: no thread changes a bit.
void ck_channel_moments(int64_t batch, int64_t blocks, int64_t cells, const float *a, const float *b,
                        const float *offset, double *partials, double *sums);
/// y = (x − offset)·scale + shift, the three per channel: [blocks·16]; max(·, 0) of it if relu. NaN stays NaN.
void ck_channel_affine(int64_t batch, int64_t blocks, int64_t cells, const float *x, const float *offset,
                       const float *scale, const float *shift, int relu, float *y);
/// dx = dy·dyScale + (x − offset)·xScale + shift, per channel.
void ck_channel_affine2(int64_t batch, int64_t blocks, int64_t cells, const float *dy, const float *x,
                        const float *offset, const float *dyScale, const float *xScale, const float *shift,
                        float *dx);

#endif
