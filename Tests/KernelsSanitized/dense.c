#include "check.h"

typedef struct {
  int64_t batch, cells, first, added;  // blocks of the two tensors that are concatenated
} Case;

static const Case cases[] = {
    {2, 49, 4, 2}, {1, 1, 1, 0}, {3, 15, 1, 1}, {5, 196, 2, 3}, {0, 9, 1, 1}, {7, 1, 3, 2},
};

// The blocks of one tensor after those before.
static void place(ck_channel_block_t *table, float *maps, int64_t blocks, int64_t cells) {
  for (int64_t b = 0; b < blocks; b++)
    table[b] = (ck_channel_block_t){maps + b * cells * CK_BLOCK, blocks * cells * CK_BLOCK};
}

static void check(const Case *c) {
  int64_t blocks = c->first + c->added, channels = blocks * CK_BLOCK, count = c->batch * channels * c->cells;
  int64_t counts[2] = {c->batch * c->first * c->cells * CK_BLOCK, c->batch * c->added * c->cells * CK_BLOCK};
  double sum = 4.0 * (double)(c->batch * c->cells) * UNIT_ROUNDOFF;
  check_begin("%lld + %lld blocks of %lld images of %lld cells", (long long)c->first, (long long)c->added,
              (long long)c->batch, (long long)c->cells);
  while (check_next()) {
    ck_channel_block_t x[8], d[8];
    float *gradients[2];
    for (int t = 0; t < 2; t++) {
      int64_t own = t ? c->added : c->first, start = t ? c->first : 0;
      place(x + start, floats(counts[t], NOISE), own, c->cells);
      place(d + start, gradients[t] = floats(counts[t], UNTOUCHED), own, c->cells);
    }
    const float *dy = floats(count, NOISE), *offset = floats(channels, NOISE), *scale = floats(channels, NOISE);
    // Far enough from 0 that rounding does not decide whether a cell is silent.
    float *shift = floats(channels, NOISE);
    for (int64_t i = 0; i < channels; i++) shift[i] = shift[i] < 0 ? shift[i] - 5 : shift[i] + 5;
    float *y = floats(count, UNTOUCHED), *dx = floats(count, UNTOUCHED);
    double *partials = doubles(count / c->cells * 2, UNTOUCHED), *sums = doubles(2 * channels, UNTOUCHED);
    ck_dense_normalize(c->batch, blocks, c->cells, x, offset, scale, shift, y);
    check_floats("output", y, count, 16 * UNIT_ROUNDOFF);
    for (int adding = 0; adding < 2; adding++) {
      ck_dense_normalize_backward(c->batch, blocks, c->cells, x, dy, offset, scale, shift, adding, d, partials, sums);
      check_floats(adding ? "first sum" : "first gradient", gradients[0], counts[0], 8 * UNIT_ROUNDOFF);
      check_floats(adding ? "second sum" : "second gradient", gradients[1], counts[1], 8 * UNIT_ROUNDOFF);
      check_doubles("sums", sums, 2 * channels, sum);
    }
    ck_dense_center(c->batch, blocks, c->cells, d, x, offset, scale, shift, dx);
    check_floats("centred gradient", dx, count, 32 * UNIT_ROUNDOFF);
    release_arrays();
  }
}

static void run(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i]);
}

const Family familyDense = {"dense", run};
