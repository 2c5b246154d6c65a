#include "internal.h"

CK_DECLARE(ck_rows_fill, (const float *row, int64_t rows, int64_t columns, int64_t stride, float *y))
CK_DECLARE(ck_rows_accumulate, (const float *x, int64_t rows, int64_t columns, int64_t stride, float *sum))

// A piece is this many columns of all rows.
#define COLUMNS 1024

typedef struct {
  const float *in;
  float *out;
  int64_t rows, columns;
} Rows;

static int64_t columns_of_piece(const Rows *p, int64_t i) {
  int64_t rest = p->columns - i * COLUMNS;
  return rest < COLUMNS ? rest : COLUMNS;
}

static void fill_piece(void *context, int64_t i) {
  const Rows *p = context;
  CK_DISPATCH(ck_rows_fill,
              (p->in + i * COLUMNS, p->rows, columns_of_piece(p, i), p->columns, p->out + i * COLUMNS))
}

static void accumulate_piece(void *context, int64_t i) {
  const Rows *p = context;
  CK_DISPATCH(ck_rows_accumulate,
              (p->in + i * COLUMNS, p->rows, columns_of_piece(p, i), p->columns, p->out + i * COLUMNS))
}

void ck_rows_fill(const float *row, int64_t rows, int64_t columns, float *y) {
  Rows p = {.in = row, .out = y, .rows = rows, .columns = columns};
  ck_parallel((columns + COLUMNS - 1) / COLUMNS, fill_piece, &p);
}

void ck_rows_accumulate(const float *x, int64_t rows, int64_t columns, float *sum) {
  Rows p = {.in = x, .out = sum, .rows = rows, .columns = columns};
  ck_parallel((columns + COLUMNS - 1) / COLUMNS, accumulate_piece, &p);
}
