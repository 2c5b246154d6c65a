// Speed of the kernels that pass over memory, in GB/s of what they read and write: elementwise, pooling,
// normalisation, dropout, rows, optimiser. The arrays fit into a second-level cache. See harness.h.
#include "harness.h"

// Maps of 8 blocks of 28x28 cells.
#define BLOCKS 8
#define EXTENT 28
#define CELLS (EXTENT * EXTENT)

typedef struct {
  int64_t batch, count;  // images; floats of one array of maps
  float *a, *b, *c;
  float *vector[4];
  uint8_t *argmax;
  double *partials, *sums;
  uint64_t *keys;
  ck_pool_t pool;
  ck_lrn_t lrn;
} Call;

#define BODY(name, ...) \
  static void name(void *context) { \
    Call *p = context; \
    __VA_ARGS__; \
  }
BODY(relu_forward, ck_relu_forward(p->a, p->count))
BODY(relu_backward, ck_relu_backward(p->a, p->b, p->count))
BODY(max_pool_forward, ck_max_pool_forward(&p->pool, p->batch * BLOCKS, p->a, p->b, p->argmax))
BODY(max_pool_backward, ck_max_pool_backward(&p->pool, p->batch * BLOCKS, p->b, p->argmax, p->c))
BODY(average_pool_forward, ck_average_pool_forward(&p->pool, p->batch * BLOCKS, p->a, p->b))
BODY(average_pool_backward, ck_average_pool_backward(&p->pool, p->batch * BLOCKS, p->b, p->c))
BODY(lrn_forward, ck_lrn_forward(&p->lrn, p->a, p->b))
BODY(lrn_backward, ck_lrn_backward(&p->lrn, p->a, p->b, p->c))
BODY(moments, ck_channel_moments(p->batch, BLOCKS, CELLS, p->a, p->b, p->vector[0], p->partials, p->sums))
BODY(affine, ck_channel_affine(p->batch, BLOCKS, CELLS, p->a, p->vector[0], p->vector[1], p->vector[2], 0, p->b))
BODY(affine2, ck_channel_affine2(p->batch, BLOCKS, CELLS, p->a, p->b, p->vector[0], p->vector[1], p->vector[2],
                                 p->vector[3], p->c))
BODY(dropout, ck_dropout(7, p->keys, p->batch, BLOCKS * CELLS * CK_BLOCK, 1u << 31, 1, p->a))
BODY(rows_fill, ck_rows_fill(p->a, 16, p->count / 16, p->b))
BODY(rows_accumulate, ck_rows_sum(p->a, 16, p->count / 16, 1, p->b))
BODY(momentum, ck_update_range_t range = {0, p->count, 1, 1}; const float *gradients = p->b;
     ck_update_t update = {.ranges = &range, .rangeCount = 1, .values = p->a, .velocities = p->c,
                           .gradients = &gradients, .gradientCount = 1};
     ck_momentum_update(&update, 1e-6f, 0.9f, 5e-4f))

static void measure_pooling(Call *p, int kernel, const char *title) {
  p->pool = (ck_pool_t){.height = EXTENT, .width = EXTENT, .kernelHeight = kernel, .kernelWidth = kernel,
                        .strideHeight = 2, .strideWidth = 2};
  p->pool.outHeight = p->pool.outWidth = (EXTENT - kernel) / 2 + 1;
  double inputs = (double)p->count, outputs = inputs / CELLS * p->pool.outHeight * p->pool.outWidth;
  char name[128];
  snprintf(name, sizeof name, "max pooling %s, forward", title);
  harness_measure(name, GIGABYTES, 4 * inputs + 5 * outputs, max_pool_forward, p);
  snprintf(name, sizeof name, "max pooling %s, backward", title);
  max_pool_forward(p);  // places of the maxima, whatever was asked for
  harness_measure(name, GIGABYTES, 4 * inputs + 5 * outputs, max_pool_backward, p);
  snprintf(name, sizeof name, "average pooling %s, forward", title);
  harness_measure(name, GIGABYTES, 4 * (inputs + outputs), average_pool_forward, p);
  snprintf(name, sizeof name, "average pooling %s, backward", title);
  harness_measure(name, GIGABYTES, 4 * (inputs + outputs), average_pool_backward, p);
}

int main(int count, char **arguments) {
  harness_begin(count, arguments);
  Call p = {.batch = harness.batch ? harness.batch : 1};
  p.count = p.batch * BLOCKS * CELLS * CK_BLOCK;
  p.lrn = (ck_lrn_t){p.batch, BLOCKS, CELLS, 2, 2, 1e-4f, 0.75f};
  p.a = new_floats(p.count), p.b = new_floats(p.count), p.c = new_floats(p.count);
  for (int i = 0; i < 4; i++) p.vector[i] = new_floats(BLOCKS * CK_BLOCK);
  p.argmax = new_bytes(p.count);
  p.partials = new_bytes(p.batch * BLOCKS * 32 * (int64_t)sizeof(double));
  p.sums = new_bytes(2 * BLOCKS * CK_BLOCK * (int64_t)sizeof(double));
  p.keys = new_bytes(p.batch * (int64_t)sizeof *p.keys);

  double array = 4 * (double)p.count;
  measure_pooling(&p, 2, "2x2");
  measure_pooling(&p, 3, "3x3 stride 2");
  harness_measure("response normalization, forward", GIGABYTES, 2 * array, lrn_forward, &p);
  harness_measure("response normalization, backward", GIGABYTES, 3 * array, lrn_backward, &p);
  harness_measure("batch normalization, moments", GIGABYTES, 2 * array, moments, &p);
  harness_measure("batch normalization, forward", GIGABYTES, 2 * array, affine, &p);
  harness_measure("batch normalization, backward", GIGABYTES, 3 * array, affine2, &p);
  harness_measure("relu, forward", GIGABYTES, 2 * array, relu_forward, &p);
  harness_measure("relu, backward", GIGABYTES, 3 * array, relu_backward, &p);
  harness_measure("dropout", GIGABYTES, 2 * array, dropout, &p);
  harness_measure("rows, fill", GIGABYTES, array, rows_fill, &p);
  harness_measure("rows, accumulate", GIGABYTES, array, rows_accumulate, &p);
  harness_measure("momentum update", GIGABYTES, 5 * array, momentum, &p);
  return 0;
}
