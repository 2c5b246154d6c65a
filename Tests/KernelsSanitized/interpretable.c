#include "check.h"

typedef struct {
  ck_maps_t maps;
  double beta;
} Case;

static const Case cases[] = {
    {{2, 2, 5, 5}, 4},  {{3, 1, 4, 9}, 4},  {{1, 1, 17, 3}, 4},   {{2, 1, 1, 1}, 4},
    {{2, 1, 6, 6}, 0.7}, {{1, 3, 13, 13}, 4}, {{1, 1, 1, 33}, 4}, {{0, 1, 3, 3}, 4},
};

static int64_t map_count(const Case *c) { return c->maps.images * c->maps.blocks; }
static int64_t cell_count(const Case *c) { return c->maps.height * c->maps.width; }

static void begin(const char *what, const Case *c) {
  check_begin("%s of %lld x %lld maps of %lldx%lld, beta %g", what, (long long)c->maps.images,
              (long long)c->maps.blocks, (long long)c->maps.height, (long long)c->maps.width, c->beta);
}

static void check_centres(const Case *c) {
  int64_t lanes = map_count(c) * CK_BLOCK;
  begin("centres", c);
  while (check_next()) {
    const float *x = floats(lanes * cell_count(c), POSITIVE);
    float *row = floats(lanes, UNTOUCHED), *column = floats(lanes, UNTOUCHED), *maximum = floats(lanes, UNTOUCHED);
    double *sum = doubles(lanes, UNTOUCHED), *deviation = doubles(lanes, UNTOUCHED);
    ck_peak(x, c->maps, row, column, maximum, sum);
    check_floats("row of the peak", row, lanes, 0);
    check_floats("column of the peak", column, lanes, 0);
    check_floats("maximum", maximum, lanes, 0);
    check_doubles("sum", sum, lanes, 1e-12);
    ck_centroid(x, c->maps, row, column, maximum, sum, deviation);
    check_floats("row of the centroid", row, lanes, 0);
    check_floats("column of the centroid", column, lanes, 0);
    check_doubles("mean", sum, lanes, 1e-12);
    check_doubles("deviation", deviation, lanes, 1e-5);
    release_arrays();
  }
}

static void check_masks(const Case *c) {
  int64_t lanes = map_count(c) * CK_BLOCK, count = lanes * cell_count(c);
  begin("masks", c);
  while (check_next()) {
    const float *x = floats(count, POSITIVE);
    float *row = floats(lanes, ZERO), *column = floats(lanes, ZERO);
    for (int64_t i = 0; i < lanes; i++) {
      row[i] = (float)random_below(c->maps.height);
      column[i] = (float)random_below(c->maps.width);
    }
    float *slope = floats(c->maps.blocks * CK_BLOCK, ZERO);
    for (int64_t i = 0; i < c->maps.blocks * CK_BLOCK; i++) slope[i] = (float)random_below(5);
    const ck_mask_t mask = {.row = row, .column = column, .slope = slope,
                            .rowStep = 1 / (float)c->maps.height, .columnStep = 1 / (float)c->maps.width, .scale = 0.5f};
    float *y = floats(count, UNTOUCHED), *gated = floats(count, NOISE), *plain = floats(count, NOISE);
    double *score = doubles(lanes, UNTOUCHED);
    ck_mask_forward(x, c->maps, mask, y);
    check_floats("y", y, count, 1e-6);
    ck_mask_score(x, c->maps, mask, score);
    check_doubles("score", score, lanes, 1e-6);
    double *squares = doubles(2 * lanes, UNTOUCHED);
    ck_mask_gradient_squares(x, gated, c->maps, mask, floats(lanes, NOISE), floats(lanes, NOISE), plain, squares);
    // Sums over the cells of squares that single precision made.
    double squaresBound = 16 * (double)(c->maps.height * c->maps.width) * UNIT_ROUNDOFF;
    check_doubles("squares of gradients", squares, 2 * lanes, squaresBound);
    ck_mask_gradient_squares(x, gated, c->maps, mask, NULL, NULL, NULL, squares);
    check_doubles("squares of one gradient", squares, 2 * lanes, squaresBound);
    ck_mask_backward(x, gated, c->maps, mask, floats(lanes, NOISE), floats(lanes, NOISE), 1);
    check_floats("dx, active only, with the filter loss", gated, count, 2e-6);
    ck_mask_backward(x, plain, c->maps, mask, NULL, NULL, 0);
    check_floats("dx", plain, count, 1e-6);
    release_arrays();
  }
}

static ck_templates_t templates_of(const Case *c) {
  int64_t height = c->maps.height, width = c->maps.width, rowLength = CK_CONE_ROW(width);
  double *cone = doubles(height * rowLength, ZERO);
  int32_t *reach = bytes(height * (int64_t)sizeof *reach);
  for (int64_t down = 0; down < height; down++) {
    reach[down] = 0;
    for (int64_t right = 0; right < width; right++) {
      double value = 2 - c->beta * ((double)down / (double)height + (double)right / (double)width);
      if (value <= 0) continue;
      cone[down * rowLength + CK_CONE_CENTRE(width) + right] = value;
      cone[down * rowLength + CK_CONE_CENTRE(width) - right] = value;
      reach[down] = (int32_t)right + 1;
    }
  }
  return (ck_templates_t){.cone = cone, .reach = reach, .tau = 0.5 / (double)cell_count(c)};
}

static void check_templates(const Case *c) {
  int64_t lanes = map_count(c) * CK_BLOCK, templates = cell_count(c) + 1;
  int64_t perBlock = c->maps.blocks * templates * CK_BLOCK;
  begin("templates", c);
  while (check_next()) {
    const float *x = floats(lanes * cell_count(c), POSITIVE);
    ck_templates_t t = templates_of(c);
    double *scores = doubles(lanes * templates, UNTOUCHED), *logZ = doubles(perBlock, UNTOUCHED);
    double *divergence = doubles(perBlock, UNTOUCHED), *likelihood = doubles(lanes, UNTOUCHED);
    double *terms = doubles(3 * lanes, UNTOUCHED);
    ck_template_scores(x, c->maps, t, scores);
    check_doubles("scores", scores, lanes * templates, 1e-6);
    ck_template_normalizers(scores, c->maps, logZ);
    check_doubles("normalizers", logZ, perBlock, 1e-6);
    ck_template_likelihoods(scores, c->maps, logZ, likelihood, terms);
    check_doubles("likelihoods", likelihood, lanes, 1e-6);
    check_doubles("terms", terms, 3 * lanes, 1e-6);
    ck_template_divergences(scores, c->maps, likelihood, divergence);
    check_doubles("divergences", divergence, perBlock, 1e-6);
    float *dx = floats(lanes * cell_count(c), NOISE), *simple = floats(lanes * cell_count(c), NOISE);
    double *scoresAgain = doubles(lanes * templates, ZERO);
    if (lanes > 0) memcpy(scoresAgain, scores, (size_t)(lanes * templates) * sizeof *scores);
    ck_template_gradient(scores, c->maps, t, likelihood, divergence, 10, dx);
    check_floats("gradient", dx, lanes * cell_count(c), 1e-5);
    ck_template_gradient(scoresAgain, c->maps, t, likelihood, NULL, 10, simple);
    check_floats("gradient without divergences", simple, lanes * cell_count(c), 1e-5);
    release_arrays();
  }
}

static void check_exponentials(int64_t count) {
  check_begin("exponentials of %lld numbers", (long long)count);
  while (check_next()) {
    double *x = doubles(count, NOISE), *y = doubles(count, UNTOUCHED);
    double *running = doubles(count, NOISE), *batch = doubles(count, NOISE);
    ck_exp(x, y, count);
    check_doubles("exp", y, count, 2e-15);
    for (int64_t i = 0; i < count; i++) x[i] = (x[i] < 0 ? -1 : 1) * ldexp(1, (int)random_below(1100));
    ck_exp(x, y, count);  // saturates at both ends
    for (int64_t i = 0; i < count; i++) y[i] = y[i] > 1e300 ? 1 : y[i] / (1 + y[i]);
    check_doubles("exp of large numbers", y, count, 1e-14);
    ck_log_average(running, batch, count, 0.25);
    check_doubles("average of logarithms", running, count, 1e-14);
    release_arrays();
  }
}

static void run(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check_centres(&cases[i]);
    check_masks(&cases[i]);
    check_templates(&cases[i]);
  }
  static const int64_t counts[] = {0, 1, 7, 16, 33, 20001};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) check_exponentials(counts[i]);
}

const Family familyInterpretable = {"interpretable", run};
