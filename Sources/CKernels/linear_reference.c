#include "internal.h"

void ck_rows_fill_reference(const float *row, int64_t rows, int64_t columns, int64_t stride, float *y) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < columns; c++) y[r * stride + c] = row[c];
}

void ck_rows_accumulate_reference(const float *x, int64_t rows, int64_t columns, int64_t stride, float *sum) {
  for (int64_t c = 0; c < columns; c++)
    for (int64_t r = 0; r < rows; r++) sum[c] += x[r * stride + c];
}
