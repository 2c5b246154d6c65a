#include "internal.h"

void ck_relu_forward_reference(float *x, int64_t count) {
  for (int64_t i = 0; i < count; i++) x[i] = x[i] < 0 ? 0 : x[i];
}

void ck_relu_backward_reference(const float *y, float *dy, int64_t count) {
  for (int64_t i = 0; i < count; i++) dy[i] = y[i] > 0 ? dy[i] : 0;
}

void ck_add_reference(const float *x, float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] += x[i];
}

void ck_add_relu_forward_reference(const float *x, float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    float sum = y[i] + x[i];
    y[i] = sum < 0 ? 0 : sum;
  }
}

void ck_add_relu_backward_reference(const float *y, const float *dx, float *dy, int64_t count) {
  for (int64_t i = 0; i < count; i++) dy[i] = y[i] > 0 ? dy[i] + dx[i] : 0;
}
