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

/// An update by factors: all of W; then what three ranks make of it, of which each has some of the images and updates a part
/// that ends anywhere. Once with a gradient that is not finite.
static void check_update(const ck_linear_t *l, int isBroken) {
  int64_t batch = l->batch, inputs = l->inputs, outputs = l->outputs, count = inputs * outputs, perImage;
  check_begin("linear update %lld -> %lld, batch %lld%s", (long long)inputs, (long long)outputs, (long long)batch,
              isBroken ? ", broken" : "");
  while (check_next()) {
    float *x = floats(batch * inputs, NOISE), *dy = floats(batch * outputs, NOISE);
    float *values = floats(count, NOISE), *velocities = floats(count, NOISE);
    float *sharedValues = floats(count, UNTOUCHED), *sharedVelocities = floats(count, UNTOUCHED);
    memcpy(sharedValues, values, sizeof(float) * (size_t)count);
    memcpy(sharedVelocities, velocities, sizeof(float) * (size_t)count);
    if (isBroken) dy[batch * outputs - 1] = INFINITY;
    perImage = ck_linear_factor_inputs(inputs);
    check_true(perImage >= inputs, "room for the inputs");
    ck_linear_factors_t factors = {batch, floats(batch * perImage, UNTOUCHED), floats(batch * outputs, UNTOUCHED)};
    for (int64_t rank = 0; rank < 3; rank++) {
      int64_t from = batch * rank / 3, to = batch * (rank + 1) / 3;
      ck_linear_t own = {to - from, inputs, outputs};
      ck_linear_keep_factors(&own, x + from * inputs, dy + from * outputs, from, &factors);
    }
    ck_linear_update_t update = {inputs, outputs, 0, count, values, velocities, 0.1f, 0.9f, 5e-4f};
    check_true(ck_linear_update(&update, &factors) == !isBroken, "whether all gradients were finite");
    double bound = 4 * (double)(batch + 4) * UNIT_ROUNDOFF;
    // What is left untouched around a broken gradient differs from body to body.
    if (!isBroken) {
      check_floats("velocities", velocities, count, bound);
      check_floats("values", values, count, bound);
    } else {
      int64_t notFinite = 0;
      for (int64_t i = 0; i < count; i++) notFinite += !isfinite(values[i]) || !isfinite(velocities[i]);
      check_true(notFinite == 0, "values stay finite");
    }
    int allFinite = 1;
    for (int64_t rank = 0; rank < 3; rank++) {
      update.first = count * rank / 3, update.count = count * (rank + 1) / 3 - update.first;
      update.values = sharedValues, update.velocities = sharedVelocities;
      allFinite &= ck_linear_update(&update, &factors);
    }
    check_true(allFinite == !isBroken, "whether all shares were finite");
    if (!isBroken)
      check_true(memcmp(values, sharedValues, sizeof(float) * (size_t)count) == 0 &&
                     memcmp(velocities, sharedVelocities, sizeof(float) * (size_t)count) == 0,
                 "shares end with the bits of one");
    release_arrays();
  }
}

static void run(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check(&cases[i]);
    if (cases[i].batch == 0) continue;
    check_update(&cases[i], 0);
    check_update(&cases[i], 1);
  }
}

const Family familyLinear = {"linear", run};
