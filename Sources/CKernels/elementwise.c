#include "internal.h"

CK_DECLARE(ck_relu_forward, (float *x, int64_t count))
CK_DECLARE(ck_relu_backward, (const float *y, float *dy, int64_t count))
CK_DECLARE(ck_add, (const float *x, float *y, int64_t count))
CK_DECLARE(ck_add_relu_forward, (const float *x, float *y, int64_t count))
CK_DECLARE(ck_add_relu_backward, (const float *y, const float *dx, float *dy, int64_t count))

typedef struct {
  const float *y, *z;
  float *x;
  int64_t count;
} Piecewise;

static int64_t piece_length(const Piecewise *p, int64_t i) {
  int64_t rest = p->count - i * CK_PIECE;
  return rest < CK_PIECE ? rest : CK_PIECE;
}

static void relu_forward_piece(void *context, int64_t i) {
  const Piecewise *p = context;
  float *x = p->x + i * CK_PIECE;
  CK_DISPATCH(ck_relu_forward, (x, piece_length(p, i)))
}

static void relu_backward_piece(void *context, int64_t i) {
  const Piecewise *p = context;
  CK_DISPATCH(ck_relu_backward, (p->y + i * CK_PIECE, p->x + i * CK_PIECE, piece_length(p, i)))
}

void ck_relu_forward(float *x, int64_t count) {
  Piecewise p = {.x = x, .count = count};
  ck_parallel((count + CK_PIECE - 1) / CK_PIECE, relu_forward_piece, &p);
}

void ck_relu_backward(const float *y, float *dy, int64_t count) {
  Piecewise p = {.y = y, .x = dy, .count = count};
  ck_parallel((count + CK_PIECE - 1) / CK_PIECE, relu_backward_piece, &p);
}

static void add_piece(void *context, int64_t i) {
  const Piecewise *p = context;
  CK_DISPATCH(ck_add, (p->y + i * CK_PIECE, p->x + i * CK_PIECE, piece_length(p, i)))
}

static void add_relu_forward_piece(void *context, int64_t i) {
  const Piecewise *p = context;
  CK_DISPATCH(ck_add_relu_forward, (p->y + i * CK_PIECE, p->x + i * CK_PIECE, piece_length(p, i)))
}

void ck_add(const float *x, float *y, int64_t count) {
  Piecewise p = {.y = x, .x = y, .count = count};
  ck_parallel((count + CK_PIECE - 1) / CK_PIECE, add_piece, &p);
}

void ck_add_relu_forward(const float *x, float *y, int64_t count) {
  Piecewise p = {.y = x, .x = y, .count = count};
  ck_parallel((count + CK_PIECE - 1) / CK_PIECE, add_relu_forward_piece, &p);
}

static void add_relu_backward_piece(void *context, int64_t i) {
  const Piecewise *p = context;
  int64_t first = i * CK_PIECE;
  CK_DISPATCH(ck_add_relu_backward, (p->y + first, p->z + first, p->x + first, piece_length(p, i)))
}

void ck_add_relu_backward(const float *y, const float *dx, float *dy, int64_t count) {
  Piecewise p = {.y = y, .z = dx, .x = dy, .count = count};
  ck_parallel((count + CK_PIECE - 1) / CK_PIECE, add_relu_backward_piece, &p);
}
