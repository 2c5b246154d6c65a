#include "internal.h"
#include <string.h>

static int32_t at_least(int32_t a, int32_t b) { return a > b ? a : b; }
static int32_t at_most(int32_t a, int32_t b) { return a < b ? a : b; }

void ck_max_pool_plane_reference(const ck_pool_t *p, const float *x, float *y, uint8_t *argmax) {
  for (int32_t oh = 0; oh < p->outHeight; oh++)
    for (int32_t ow = 0; ow < p->outWidth; ow++)
      for (int c = 0; c < CK_BLOCK; c++) {
        int found = 0, best = 0;
        float maximum = 0;
        for (int32_t kh = 0; kh < p->kernelHeight; kh++)
          for (int32_t kw = 0; kw < p->kernelWidth; kw++) {
            int32_t h = oh * p->strideHeight - p->padTop + kh, w = ow * p->strideWidth - p->padLeft + kw;
            if (h < 0 || h >= p->height || w < 0 || w >= p->width) continue;
            float value = x[(h * (int64_t)p->width + w) * CK_BLOCK + c];
            if (found && !(value > maximum) && value == value) continue;
            found = 1, maximum = value, best = kh * p->kernelWidth + kw;
          }
        int64_t o = (oh * (int64_t)p->outWidth + ow) * CK_BLOCK + c;
        y[o] = maximum, argmax[o] = (uint8_t)best;
      }
}

void ck_max_pool_plane_backward_reference(const ck_pool_t *p, const float *dy, const uint8_t *argmax, float *dx) {
  memset(dx, 0, sizeof(float) * CK_BLOCK * (size_t)p->height * (size_t)p->width);
  for (int32_t oh = 0; oh < p->outHeight; oh++)
    for (int32_t ow = 0; ow < p->outWidth; ow++)
      for (int c = 0; c < CK_BLOCK; c++) {
        int64_t o = (oh * (int64_t)p->outWidth + ow) * CK_BLOCK + c;
        int32_t h = oh * p->strideHeight - p->padTop + argmax[o] / p->kernelWidth;
        int32_t w = ow * p->strideWidth - p->padLeft + argmax[o] % p->kernelWidth;
        dx[(h * (int64_t)p->width + w) * CK_BLOCK + c] += dy[o];
      }
}

// Cells that the window starting at `start` is divided by, along one axis.
static int32_t divisor(int32_t start, int32_t kernel, int32_t extent, int32_t padAfter, int countPadding) {
  int32_t end = at_most(start + kernel, countPadding ? extent + padAfter : extent);
  return end - (countPadding ? start : at_least(start, 0));
}

void ck_average_pool_plane_reference(const ck_pool_t *p, const float *x, float *y) {
  for (int32_t oh = 0; oh < p->outHeight; oh++)
    for (int32_t ow = 0; ow < p->outWidth; ow++) {
      int32_t h0 = oh * p->strideHeight - p->padTop, w0 = ow * p->strideWidth - p->padLeft;
      int32_t cells = divisor(h0, p->kernelHeight, p->height, p->padBottom, p->countPadding) *
                      divisor(w0, p->kernelWidth, p->width, p->padRight, p->countPadding);
      for (int c = 0; c < CK_BLOCK; c++) {
        float sum = 0;
        for (int32_t h = at_least(h0, 0); h < at_most(h0 + p->kernelHeight, p->height); h++)
          for (int32_t w = at_least(w0, 0); w < at_most(w0 + p->kernelWidth, p->width); w++)
            sum += x[(h * (int64_t)p->width + w) * CK_BLOCK + c];
        y[(oh * (int64_t)p->outWidth + ow) * CK_BLOCK + c] = sum / (float)cells;
      }
    }
}

void ck_average_pool_plane_backward_reference(const ck_pool_t *p, const float *dy, float *dx) {
  memset(dx, 0, sizeof(float) * CK_BLOCK * (size_t)p->height * (size_t)p->width);
  for (int32_t oh = 0; oh < p->outHeight; oh++)
    for (int32_t ow = 0; ow < p->outWidth; ow++) {
      int32_t h0 = oh * p->strideHeight - p->padTop, w0 = ow * p->strideWidth - p->padLeft;
      int32_t cells = divisor(h0, p->kernelHeight, p->height, p->padBottom, p->countPadding) *
                      divisor(w0, p->kernelWidth, p->width, p->padRight, p->countPadding);
      for (int32_t h = at_least(h0, 0); h < at_most(h0 + p->kernelHeight, p->height); h++)
        for (int32_t w = at_least(w0, 0); w < at_most(w0 + p->kernelWidth, p->width); w++)
          for (int c = 0; c < CK_BLOCK; c++)
            dx[(h * (int64_t)p->width + w) * CK_BLOCK + c] +=
                dy[(oh * (int64_t)p->outWidth + ow) * CK_BLOCK + c] / (float)cells;
    }
}
