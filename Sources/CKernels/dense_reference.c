#include "internal.h"

void ck_dense_normalize_plane_reference(int64_t cells, const float *x, const float *offset, const float *scale,
                                        const float *shift, float *y) {
  for (int64_t i = 0; i < cells * CK_BLOCK; i++) {
    int64_t c = i % CK_BLOCK;
    float value = (x[i] - offset[c]) * scale[c] + shift[c];
    y[i] = value < 0 ? 0 : value;
  }
}

void ck_dense_normalize_backward_plane_reference(int64_t cells, const float *x, const float *dy, const float *offset,
                                                 const float *scale, const float *shift, int adding, float *dx,
                                                 double *sums) {
  for (int c = 0; c < 2 * CK_BLOCK; c++) sums[c] = 0;
  for (int64_t i = 0; i < cells * CK_BLOCK; i++) {
    int64_t c = i % CK_BLOCK;
    float centered = x[i] - offset[c];
    float g = centered * scale[c] + shift[c] > 0 ? dy[i] : 0;
    dx[i] = (adding ? dx[i] : 0) + g * scale[c];
    sums[c] += g;
    sums[CK_BLOCK + c] += (double)g * centered;
  }
}

void ck_dense_center_plane_reference(int64_t cells, const float *d, const float *x, const float *offset,
                                     const float *xScale, const float *shift, float *dx) {
  for (int64_t i = 0; i < cells * CK_BLOCK; i++) {
    int64_t c = i % CK_BLOCK;
    dx[i] = d[i] + (x[i] - offset[c]) * xScale[c] + shift[c];
  }
}
