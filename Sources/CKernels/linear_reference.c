#include "linear.h"

void ck_linear_forward_rows_reference(const LinearWork *w, int64_t first, int64_t rows) {
  for (int64_t n = 0; n < w->shape.batch; n++)
    for (int64_t o = first; o < first + rows; o++) {
      float sum = w->bias ? w->bias[o] : 0;
      for (int64_t i = 0; i < w->shape.inputs; i++)
        sum += w->x[n * w->shape.inputs + i] * w->weights[o * w->shape.inputs + i];
      w->y[n * w->shape.outputs + o] = sum;
    }
}

void ck_linear_backward_data_columns_reference(const LinearWork *w, int64_t first, int64_t columns) {
  for (int64_t n = 0; n < w->shape.batch; n++)
    for (int64_t i = first; i < first + columns; i++) {
      float sum = 0;
      for (int64_t o = 0; o < w->shape.outputs; o++)
        sum += w->dy[n * w->shape.outputs + o] * w->weights[o * w->shape.inputs + i];
      w->dx[n * w->shape.inputs + i] = sum;
    }
}

void ck_linear_backward_weights_rows_reference(const LinearWork *w, int64_t first, int64_t rows) {
  for (int64_t o = first; o < first + rows; o++)
    for (int64_t i = 0; i < w->shape.inputs; i++) {
      float *gradient = w->weightGradients + o * w->shape.inputs + i, sum = w->adds ? *gradient : 0;
      for (int64_t n = 0; n < w->shape.batch; n++)
        sum += w->dy[n * w->shape.outputs + o] * w->x[n * w->shape.inputs + i];
      *gradient = sum;
    }
}

void ck_linear_update_rows_reference(const LinearUpdateWork *w, int64_t first, int64_t rows, int *allFinite) {
  const ck_linear_update_t *u = &w->update;
  int64_t batch = w->factors.batch, end = u->first + u->count;
  for (int64_t o = first; o < first + rows; o++)
    for (int64_t i = 0; i < u->inputs; i++) {
      int64_t at = o * u->inputs + i;
      if (at < u->first || at >= end) continue;
      float gradient = 0;
      for (int64_t n = 0; n < batch; n++)
        gradient += w->factors.dy[n * u->outputs + o] *
                    w->factors.x[(i / CK_LINEAR_STRIP * batch + n) * CK_LINEAR_STRIP + i % CK_LINEAR_STRIP];
      if (gradient - gradient != 0) {
        *allFinite = 0;
        continue;
      }
      u->velocities[at] = u->momentum * u->velocities[at] - (gradient + u->weightDecay * u->values[at]);
      u->values[at] += u->learningRate * u->velocities[at];
    }
}

void ck_rows_fill_reference(const float *row, int64_t rows, int64_t columns, int64_t stride, float *y) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) y[r * stride + c] = row[c];
}

void ck_rows_sum_reference(const float *x, int64_t rows, int64_t columns, int64_t stride, int adds, float *sum) {
  for (int64_t c = 0; c < columns; c++) {
    if (!adds) sum[c] = 0;
    for (int64_t r = 0; r < rows; r++) sum[c] += x[r * stride + c];
  }
}
