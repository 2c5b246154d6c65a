#include "check.h"

typedef struct {
  int64_t planes;
  ck_pool_t pool;
} Case;

// height, width, outHeight, outWidth, kernel, stride, padding (top, left, bottom, right), countPadding
static const Case cases[] = {
    {2, {8, 6, 4, 3, 2, 2, 2, 2, 0, 0, 0, 0, 0}},        // vgg
    {3, {13, 13, 6, 6, 3, 3, 2, 2, 0, 0, 0, 0, 1}},      // alexnet
    {1, {11, 12, 5, 6, 3, 3, 2, 2, 0, 0, 0, 1, 0}},      // rounded up: reaches over the right border
    {2, {17, 16, 6, 6, 3, 3, 3, 3, 0, 0, 1, 2, 1}},      // vgg-s
    {1, {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0}},        // one cell
    {2, {1, 9, 1, 3, 1, 3, 1, 3, 0, 0, 0, 0, 0}},        // one row
    {2, {7, 5, 7, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1}},        // padded on all sides
    {1, {7, 7, 4, 4, 3, 3, 2, 2, 1, 1, 1, 1, 0}},        // residual networks
    {5, {7, 7, 1, 1, 7, 7, 7, 7, 0, 0, 0, 0, 1}},        // global
    {1, {16, 16, 1, 1, 16, 16, 1, 1, 0, 0, 0, 0, 0}},    // 256 cells, the most
    {1, {9, 9, 3, 3, 2, 2, 4, 4, 0, 0, 0, 0, 0}},        // windows apart: cells that nobody sees
    {0, {8, 8, 4, 4, 2, 2, 2, 2, 0, 0, 0, 0, 0}},        // nothing
};

static void check(const Case *c, Content content) {
  const ck_pool_t *p = &c->pool;
  int64_t inputs = c->planes * p->height * p->width * CK_BLOCK;
  int64_t outputs = c->planes * p->outHeight * p->outWidth * CK_BLOCK;
  double sum = 2 * p->kernelHeight * p->kernelWidth * UNIT_ROUNDOFF;
  check_begin("pooling %dx%d of %lld planes of %dx%d", p->kernelHeight, p->kernelWidth, (long long)c->planes,
              p->height, p->width);
  while (check_next()) {
    const float *x = floats(inputs, content), *dy = floats(outputs, NOISE);
    float *y = floats(outputs, UNTOUCHED), *dx = floats(inputs, UNTOUCHED);
    uint8_t *argmax = bytes(outputs);
    ck_max_pool_forward(p, c->planes, x, y, argmax);
    check_floats("maximum", y, outputs, 0);
    check_bytes("its place", argmax, outputs);
    ck_max_pool_backward(p, c->planes, dy, argmax, dx);
    check_floats("gradient of the maximum", dx, inputs, sum);
    float *mean = floats(outputs, UNTOUCHED), *dxOfMean = floats(inputs, UNTOUCHED);
    ck_average_pool_forward(p, c->planes, x, mean);
    check_floats("mean", mean, outputs, 2 * sum);
    ck_average_pool_backward(p, c->planes, dy, dxOfMean);
    check_floats("gradient of the mean", dxOfMean, inputs, sum);
    release_arrays();
  }
}

static void run(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(&cases[i], NOISE), check(&cases[i], TIES);
}

const Family familyPooling = {"pooling", run};
