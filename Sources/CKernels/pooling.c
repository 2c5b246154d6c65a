#include "internal.h"

CK_DECLARE(ck_max_pool_plane, (const ck_pool_t *p, const float *x, float *y, uint8_t *argmax))
CK_DECLARE(ck_max_pool_plane_backward, (const ck_pool_t *p, const float *dy, const uint8_t *argmax, float *dx))
CK_DECLARE(ck_average_pool_plane, (const ck_pool_t *p, const float *x, float *y))
CK_DECLARE(ck_average_pool_plane_backward, (const ck_pool_t *p, const float *dy, float *dx))

// Planes are independent: each is one piece of work. `in` and `out` are x and y, or dy and dx.
typedef struct {
  const ck_pool_t *pool;
  const float *in;
  float *out;
  int64_t inStride, outStride;
  uint8_t *argmaxOut;
  const uint8_t *argmaxIn;
} Planes;

static int64_t input_values(const ck_pool_t *p) { return (int64_t)p->height * p->width * CK_BLOCK; }
static int64_t output_values(const ck_pool_t *p) { return (int64_t)p->outHeight * p->outWidth * CK_BLOCK; }

static void max_forward_plane(void *context, int64_t i) {
  const Planes *p = context;
  CK_DISPATCH(ck_max_pool_plane,
              (p->pool, p->in + i * p->inStride, p->out + i * p->outStride, p->argmaxOut + i * p->outStride))
}

static void max_backward_plane(void *context, int64_t i) {
  const Planes *p = context;
  CK_DISPATCH(ck_max_pool_plane_backward,
              (p->pool, p->in + i * p->inStride, p->argmaxIn + i * p->inStride, p->out + i * p->outStride))
}

static void average_forward_plane(void *context, int64_t i) {
  const Planes *p = context;
  CK_DISPATCH(ck_average_pool_plane, (p->pool, p->in + i * p->inStride, p->out + i * p->outStride))
}

static void average_backward_plane(void *context, int64_t i) {
  const Planes *p = context;
  CK_DISPATCH(ck_average_pool_plane_backward, (p->pool, p->in + i * p->inStride, p->out + i * p->outStride))
}

void ck_max_pool_forward(const ck_pool_t *pool, int64_t planes, const float *x, float *y, uint8_t *argmax) {
  Planes p = {.pool = pool, .in = x, .out = y, .inStride = input_values(pool), .outStride = output_values(pool),
              .argmaxOut = argmax};
  ck_parallel(planes, max_forward_plane, &p);
}

void ck_max_pool_backward(const ck_pool_t *pool, int64_t planes, const float *dy, const uint8_t *argmax, float *dx) {
  Planes p = {.pool = pool, .in = dy, .out = dx, .inStride = output_values(pool), .outStride = input_values(pool),
              .argmaxIn = argmax};
  ck_parallel(planes, max_backward_plane, &p);
}

void ck_average_pool_forward(const ck_pool_t *pool, int64_t planes, const float *x, float *y) {
  Planes p = {.pool = pool, .in = x, .out = y, .inStride = input_values(pool), .outStride = output_values(pool)};
  ck_parallel(planes, average_forward_plane, &p);
}

void ck_average_pool_backward(const ck_pool_t *pool, int64_t planes, const float *dy, float *dx) {
  Planes p = {.pool = pool, .in = dy, .out = dx, .inStride = output_values(pool), .outStride = input_values(pool)};
  ck_parallel(planes, average_backward_plane, &p);
}
