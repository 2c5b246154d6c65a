#include "linear.h"
#include <string.h>

CK_DECLARE(ck_linear_forward_rows, (const LinearWork *w, int64_t first, int64_t rows))
CK_DECLARE(ck_linear_backward_data_columns, (const LinearWork *w, int64_t first, int64_t columns))
CK_DECLARE(ck_linear_backward_weights_rows, (const LinearWork *w, int64_t first, int64_t rows))
CK_DECLARE(ck_rows_fill, (const float *row, int64_t rows, int64_t columns, int64_t stride, float *y))
CK_DECLARE(ck_rows_sum, (const float *x, int64_t rows, int64_t columns, int64_t stride, int adds, float *sum))

static int64_t pieces(int64_t count, int64_t length) { return (count + length - 1) / length; }
static int64_t length_of_piece(int64_t i, int64_t count, int64_t length) {
  return count - i * length < length ? count - i * length : length;
}

// MARK: packing

typedef struct {
  const float *matrix;
  float *packed;
  int64_t rows, columns, length;
} Packing;

// Columns i·length ..< (i + 1)·length of all rows, zero-padded.
static void pack_columns(void *context, int64_t i) {
  const Packing *p = context;
  int64_t count = length_of_piece(i, p->columns, p->length);
  for (int64_t r = 0; r < p->rows; r++) {
    float *to = p->packed + (i * p->rows + r) * p->length;
    memcpy(to, p->matrix + r * p->columns + i * p->length, sizeof(float) * (size_t)count);
    memset(to + count, 0, sizeof(float) * (size_t)(p->length - count));
  }
}

static void pack(const float *matrix, int64_t rows, int64_t columns, int64_t length, float *packed) {
  Packing p = {matrix, packed, rows, columns, length};
  ck_parallel(pieces(columns, length), pack_columns, &p);
}

int64_t ck_linear_workspace(const ck_linear_t *l) {
  int64_t longest = l->outputs;
  int64_t chunks = pieces(l->inputs, CK_LINEAR_CHUNK) * CK_LINEAR_CHUNK;
  int64_t strips = pieces(l->inputs, CK_LINEAR_STRIP) * CK_LINEAR_STRIP;
  if (chunks > longest) longest = chunks;
  if (strips > longest) longest = strips;
  return l->batch * longest;
}

// MARK: the products

static void forward_piece(void *context, int64_t i) {
  const LinearWork *w = context;
  CK_DISPATCH(ck_linear_forward_rows,
              (w, i * CK_LINEAR_ROWS, length_of_piece(i, w->shape.outputs, CK_LINEAR_ROWS)))
}

void ck_linear_forward(const ck_linear_t *l, const float *x, const float *weights, const float *bias, float *y,
                       float *workspace) {
  LinearWork w = {.shape = *l, .x = x, .weights = weights, .bias = bias, .packed = workspace, .y = y};
  if (l->batch == 0) return;
  pack(x, l->batch, l->inputs, CK_LINEAR_CHUNK, workspace);
  ck_parallel(pieces(l->outputs, CK_LINEAR_ROWS), forward_piece, &w);
}

static void backward_data_piece(void *context, int64_t i) {
  const LinearWork *w = context;
  CK_DISPATCH(ck_linear_backward_data_columns,
              (w, i * CK_LINEAR_COLUMNS, length_of_piece(i, w->shape.inputs, CK_LINEAR_COLUMNS)))
}

void ck_linear_backward_data(const ck_linear_t *l, const float *dy, const float *weights, float *dx, float *workspace) {
  LinearWork w = {.shape = *l, .dy = dy, .weights = weights, .packed = workspace, .dx = dx};
  if (l->batch == 0) return;
  pack(dy, l->batch, l->outputs, 1, workspace);
  ck_parallel(pieces(l->inputs, CK_LINEAR_COLUMNS), backward_data_piece, &w);
}

static void backward_weights_piece(void *context, int64_t i) {
  const LinearWork *w = context;
  CK_DISPATCH(ck_linear_backward_weights_rows,
              (w, i * CK_LINEAR_ROWS, length_of_piece(i, w->shape.outputs, CK_LINEAR_ROWS)))
}

void ck_linear_backward_weights(const ck_linear_t *l, const float *x, const float *dy, int adds,
                                float *weightGradients, float *workspace) {
  LinearWork w = {.shape = *l, .x = x, .dy = dy, .packed = workspace, .weightGradients = weightGradients, .adds = adds};
  pack(x, l->batch, l->inputs, CK_LINEAR_STRIP, workspace);
  ck_parallel(pieces(l->outputs, CK_LINEAR_ROWS), backward_weights_piece, &w);
}

// MARK: rows

// A piece is this many columns of all rows.
#define COLUMNS 1024

typedef struct {
  const float *in;
  float *out;
  int64_t rows, columns;
  int adds;
} Rows;

static void fill_piece(void *context, int64_t i) {
  const Rows *p = context;
  CK_DISPATCH(ck_rows_fill, (p->in + i * COLUMNS, p->rows, length_of_piece(i, p->columns, COLUMNS), p->columns,
                             p->out + i * COLUMNS))
}

static void sum_piece(void *context, int64_t i) {
  const Rows *p = context;
  CK_DISPATCH(ck_rows_sum, (p->in + i * COLUMNS, p->rows, length_of_piece(i, p->columns, COLUMNS), p->columns, p->adds,
                            p->out + i * COLUMNS))
}

void ck_rows_fill(const float *row, int64_t rows, int64_t columns, float *y) {
  Rows p = {.in = row, .out = y, .rows = rows, .columns = columns};
  ck_parallel(pieces(columns, COLUMNS), fill_piece, &p);
}

void ck_rows_sum(const float *x, int64_t rows, int64_t columns, int adds, float *sum) {
  Rows p = {.in = x, .out = sum, .rows = rows, .columns = columns, .adds = adds};
  ck_parallel(pieces(columns, COLUMNS), sum_piece, &p);
}
