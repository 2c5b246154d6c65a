#include "check.h"

typedef struct {
  int64_t batch, channels, cells;
} Case;

static const Case cases[] = {{2, 40, 35}, {1, 16, 1}, {3, 96, 64}, {1, 20, 65}, {2, 17, 129}, {5, 1, 3}, {0, 32, 9}};

static void check_response(const Case *c, int32_t half) {
  ck_lrn_t lrn = {.batch = c->batch, .blocks = padded(c->channels) / CK_BLOCK, .cells = c->cells, .half = half,
                  .kappa = 2, .alpha = 0.3f, .beta = 0.75f};
  int64_t count = c->batch * lrn.blocks * c->cells * CK_BLOCK;
  check_begin("response normalization over %d of %lld channels, %lld images of %lld cells", 2 * half + 1,
              (long long)c->channels, (long long)c->batch, (long long)c->cells);
  while (check_next()) {
    const float *x = maps(c->batch, c->channels, c->cells, NOISE);
    const float *dy = maps(c->batch, c->channels, c->cells, NOISE);
    float *y = floats(count, UNTOUCHED), *dx = floats(count, UNTOUCHED);
    ck_lrn_forward(&lrn, x, y);
    check_floats("y", y, count, 1e-6);
    ck_lrn_backward(&lrn, x, dy, dx);
    check_floats("dx", dx, count, 1e-5);
    release_arrays();
  }
}

static void check_channels(const Case *c) {
  int64_t blocks = padded(c->channels) / CK_BLOCK, stored = padded(c->channels);
  int64_t count = c->batch * blocks * c->cells * CK_BLOCK, terms = c->batch * c->cells;
  check_begin("batch normalization of %lld channels, %lld images of %lld cells", (long long)c->channels,
              (long long)c->batch, (long long)c->cells);
  while (check_next()) {
    const float *a = maps(c->batch, c->channels, c->cells, NOISE), *b = maps(c->batch, c->channels, c->cells, NOISE);
    const float *offset = floats(stored, NOISE), *scale = floats(stored, NOISE), *scale2 = floats(stored, NOISE);
    const float *shift = floats(stored, NOISE);
    double *partials = doubles(c->batch * blocks * 32, UNTOUCHED), *sums = doubles(2 * stored, UNTOUCHED);
    ck_channel_moments(c->batch, blocks, c->cells, a, b, offset, partials, sums);
    check_doubles("sums", sums, 2 * stored, 1e-15 * (double)(terms * terms + 1));
    float *y = floats(count, UNTOUCHED), *dx = floats(count, UNTOUCHED);
    ck_channel_affine(c->batch, blocks, c->cells, a, offset, scale, shift, 0, y);
    check_floats("affine", y, count, 8 * UNIT_ROUNDOFF);
    ck_channel_affine(c->batch, blocks, c->cells, a, offset, scale, shift, 1, y);
    check_floats("affine, rectified", y, count, 8 * UNIT_ROUNDOFF);
    ck_channel_affine2(c->batch, blocks, c->cells, a, b, offset, scale, scale2, shift, dx);
    check_floats("affine of two", dx, count, 12 * UNIT_ROUNDOFF);
    release_arrays();
  }
}

static void run(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check_response(&cases[i], 2);
    check_response(&cases[i], 0);
    check_response(&cases[i], 16);
    check_channels(&cases[i]);
  }
}

const Family familyNormalization = {"normalization", run};
