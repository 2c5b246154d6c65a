#include "check.h"

static const ck_linear_t cases[] = {
    {16, 1072, 33},  // aligned rows, a row left over
    {5, 16, 300},    // one register per row
    {3, 37, 5},      // rows that are not aligned, fewer than a tile
    {11, 97, 70},    // odd tiles
    {2, 48, 1000},   // one strip
    {33, 300, 34},   // two groups of images
    {1, 700, 130},   // one image
    {7, 513, 1},     // one output, a column left over
    {1, 1, 1},       // one of everything
    {0, 8, 4},       // no image
};

static void check(const ck_linear_t *l) {
  int64_t batch = l->batch, inputs = l->inputs, outputs = l->outputs;
  check_begin("linear %lld -> %lld, batch %lld", (long long)inputs, (long long)outputs, (long long)batch);
  while (check_next()) {
    const float *x = floats(batch * inputs, NOISE), *dy = floats(batch * outputs, NOISE);
    const float *weights = floats(outputs * inputs, NOISE), *bias = floats(outputs, NOISE);
    float *y = floats(batch * outputs, UNTOUCHED), *dx = floats(batch * inputs, UNTOUCHED);
    float *set = floats(outputs * inputs, UNTOUCHED), *added = floats(outputs * inputs, NOISE);
    float *biasGradients = floats(outputs, UNTOUCHED), *workspace = floats(ck_linear_workspace(l), UNTOUCHED);
    ck_linear_forward(l, x, weights, bias, y, workspace);
    check_floats("y", y, batch * outputs, 4 * (double)(inputs + 1) * UNIT_ROUNDOFF);
    ck_linear_backward_data(l, dy, weights, dx, workspace);
    check_floats("dx", dx, batch * inputs, 4 * (double)(outputs + 1) * UNIT_ROUNDOFF);
    double bound = 4 * (double)(batch + 1) * UNIT_ROUNDOFF;
    ck_linear_backward_weights(l, x, dy, 0, set, workspace);
    check_floats("dW", set, outputs * inputs, bound);
    ck_linear_backward_weights(l, x, dy, 1, added, workspace);
    check_floats("dW, added", added, outputs * inputs, bound);
    ck_rows_sum(dy, batch, outputs, 0, biasGradients);
    check_floats("db", biasGradients, outputs, bound);
    release_arrays();
  }
}

static void run(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i]);
}

const Family familyLinear = {"linear", run};
