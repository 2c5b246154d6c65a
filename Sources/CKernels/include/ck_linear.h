// MARK: linear.c – what a linear layer needs beside matrix products
#ifndef ICNN_CK_LINEAR_H
#define ICNN_CK_LINEAR_H
#include <stdint.h>

/// Every row of y [rows][columns] becomes `row`.
void ck_rows_fill(const float *row, int64_t rows, int64_t columns, float *y);
/// sum[c] += Σ over rows of x [rows][columns], row after row.
void ck_rows_accumulate(const float *x, int64_t rows, int64_t columns, float *sum);

#endif
