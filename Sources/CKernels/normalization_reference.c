#include "internal.h"
#include <math.h>

static float lrn_base(const ck_lrn_t *p, const float *x, int64_t c) {
  float sum = 0;
  for (int64_t d = c - p->half; d <= c + p->half; d++) {
    if (d < 0 || d >= p->blocks * CK_BLOCK) continue;
    float value = x[d / CK_BLOCK * p->cells * CK_BLOCK + d % CK_BLOCK];
    sum += value * value;
  }
  return p->kappa + p->alpha * sum;
}

// x and y point to the first block of an image; `first` cells are skipped.
void ck_lrn_cells_reference(const ck_lrn_t *p, int64_t first, int64_t count, const float *x, float *y) {
  for (int64_t cell = first; cell < first + count; cell++)
    for (int64_t c = 0; c < p->blocks * CK_BLOCK; c++) {
      int64_t at = (c / CK_BLOCK * p->cells + cell) * CK_BLOCK + c % CK_BLOCK;
      y[at] = x[at] * powf(lrn_base(p, x + cell * CK_BLOCK, c), -p->beta);
    }
}

void ck_lrn_cells_backward_reference(const ck_lrn_t *p, int64_t first, int64_t count, const float *x,
                                     const float *dy, float *dx) {
  for (int64_t cell = first; cell < first + count; cell++)
    for (int64_t c = 0; c < p->blocks * CK_BLOCK; c++) {
      const float *pixel = x + cell * CK_BLOCK;
      float sum = 0;
      for (int64_t d = c - p->half; d <= c + p->half; d++) {
        if (d < 0 || d >= p->blocks * CK_BLOCK) continue;
        int64_t neighbour = (d / CK_BLOCK * p->cells + cell) * CK_BLOCK + d % CK_BLOCK;
        sum += dy[neighbour] * x[neighbour] * powf(lrn_base(p, pixel, d), -p->beta - 1);
      }
      int64_t at = (c / CK_BLOCK * p->cells + cell) * CK_BLOCK + c % CK_BLOCK;
      dx[at] = dy[at] * powf(lrn_base(p, pixel, c), -p->beta) - 2 * p->alpha * p->beta * x[at] * sum;
    }
}

void ck_channel_moments_plane_reference(int64_t cells, const float *a, const float *b, const float *offset,
                                        double *sums) {
  for (int c = 0; c < CK_BLOCK; c++) {
    double sum = 0, product = 0;
    for (int64_t cell = 0; cell < cells; cell++) {
      double value = a[cell * CK_BLOCK + c];
      sum += value;
      product += value * (double)(b[cell * CK_BLOCK + c] - offset[c]);
    }
    sums[c] = sum, sums[CK_BLOCK + c] = product;
  }
}

void ck_channel_affine_plane_reference(int64_t cells, const float *x, const float *offset, const float *scale,
                                       const float *shift, int relu, float *y) {
  for (int64_t i = 0; i < cells * CK_BLOCK; i++) {
    int64_t c = i % CK_BLOCK;
    float value = (x[i] - offset[c]) * scale[c] + shift[c];
    y[i] = relu && value < 0 ? 0 : value;
  }
}

void ck_channel_affine2_plane_reference(int64_t cells, const float *dy, const float *x, const float *offset,
                                        const float *dyScale, const float *xScale, const float *shift, float *dx) {
  for (int64_t i = 0; i < cells * CK_BLOCK; i++) {
    int64_t c = i % CK_BLOCK;
    dx[i] = dy[i] * dyScale[c] + (x[i] - offset[c]) * xScale[c] + shift[c];
  }
}
