#include "linear.h"
#include <stdatomic.h>
#include <string.h>

CK_DECLARE(ck_linear_forward_rows, (const LinearWork *w, int64_t first, int64_t rows))
CK_DECLARE(ck_linear_backward_data_columns, (const LinearWork *w, int64_t first, int64_t columns))
CK_DECLARE(ck_linear_backward_weights_rows, (const LinearWork *w, int64_t first, int64_t rows))
CK_DECLARE(ck_linear_update_rows, (const LinearUpdateWork *w, int64_t first, int64_t rows, int *allFinite))
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

// MARK: the gradient of the weights as its factors

int64_t ck_linear_factor_inputs(int64_t inputs) { return pieces(inputs, CK_LINEAR_STRIP) * CK_LINEAR_STRIP; }

typedef struct {
  const float *x;
  float *kept;
  int64_t images, inputs, batch;
} Keeping;

// Strip i of all images.
static void keep_strip(void *context, int64_t i) {
  const Keeping *p = context;
  int64_t count = length_of_piece(i, p->inputs, CK_LINEAR_STRIP);
  for (int64_t n = 0; n < p->images; n++) {
    float *to = p->kept + (i * p->batch + n) * CK_LINEAR_STRIP;
    memcpy(to, p->x + n * p->inputs + i * CK_LINEAR_STRIP, sizeof(float) * (size_t)count);
    memset(to + count, 0, sizeof(float) * (size_t)(CK_LINEAR_STRIP - count));
  }
}

void ck_linear_keep_factors(const ck_linear_t *l, const float *x, const float *dy, int64_t firstImage,
                            const ck_linear_factors_t *factors) {
  Keeping p = {x, factors->x + firstImage * CK_LINEAR_STRIP, l->batch, l->inputs, factors->batch};
  ck_parallel(pieces(l->inputs, CK_LINEAR_STRIP), keep_strip, &p);
  memcpy(factors->dy + firstImage * l->outputs, dy, sizeof(float) * (size_t)(l->batch * l->outputs));
}

static void update_piece(void *context, int64_t i) {
  LinearUpdateWork *w = context;
  const ck_linear_update_t *u = &w->update;
  int64_t firstRow = u->first / u->inputs + i * CK_LINEAR_UPDATE_ROWS;
  int64_t endRow = (u->first + u->count + u->inputs - 1) / u->inputs;
  int allFinite = 1;
  CK_DISPATCH(ck_linear_update_rows,
              (w, firstRow, length_of_piece(0, endRow - firstRow, CK_LINEAR_UPDATE_ROWS), &allFinite))
  if (!allFinite) atomic_store_explicit(&w->allFinite, 0, memory_order_relaxed);
}

int ck_linear_update(const ck_linear_update_t *update, const ck_linear_factors_t *factors) {
  if (update->count == 0) return 1;
  LinearUpdateWork w = {.update = *update, .factors = *factors, .allFinite = 1};
  int64_t firstRow = update->first / update->inputs;
  int64_t endRow = (update->first + update->count + update->inputs - 1) / update->inputs;
  ck_parallel(pieces(endRow - firstRow, CK_LINEAR_UPDATE_ROWS), update_piece, &w);
  return atomic_load_explicit(&w.allFinite, memory_order_relaxed);
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
