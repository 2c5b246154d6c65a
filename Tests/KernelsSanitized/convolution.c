#include "check.h"

typedef struct {
  int64_t batch;
  int32_t channels, height, width, outputs, kernelHeight, kernelWidth, strideHeight, strideWidth;
  int32_t padTop, padLeft, padBottom, padRight, groups, interleaved;
} Case;

// batch, C, H, W, O, kernel, stride, padding (top, left, bottom, right), groups, interleaved
static const Case cases[] = {
    {2, 16, 1, 1, 40, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0},       // one cell
    {1, 16, 1, 1, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},       // one cell, 3x3
    {2, 3, 2, 2, 33, 5, 5, 1, 1, 2, 2, 2, 2, 1, 0},        // kernel larger than the map
    {1, 1, 7, 9, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},         // one channel
    {1, 17, 3, 15, 33, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},      // a block and one channel more, odd extents
    {2, 20, 13, 13, 18, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},     // the 3x3 of the top layers
    {1, 16, 8, 12, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},      // whole tiles of 4x4
    {1, 32, 11, 10, 32, 3, 3, 1, 1, 0, 0, 0, 0, 1, 0},     // 3x3 without padding
    {1, 16, 2, 5, 16, 3, 3, 1, 1, 2, 2, 2, 2, 1, 0},       // 3x3, padding of 2
    {1, 80, 6, 6, 48, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},       // several blocks in and out
    {1, 2, 7, 7, 112, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},       // short rows, many blocks
    {1, 150, 2, 3, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},      // sums in chunks of input blocks
    {1, 16, 2, 3, 150, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},      // and of output blocks
    {3, 1, 21, 40, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},       // many cells: the batch in parts
    {1, 2, 2, 150, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},       // wide rows
    {1, 20, 6, 8, 17, 3, 3, 2, 2, 0, 0, 0, 0, 1, 0},       // 3x3 stride 2, last row unseen
    {2, 6, 7, 8, 20, 3, 3, 2, 2, 1, 2, 0, 1, 1, 0},        // asymmetric padding
    {2, 5, 11, 10, 18, 2, 2, 3, 3, 0, 0, 0, 0, 1, 0},      // stride beyond the kernel: unseen cells
    {1, 4, 3, 3, 5, 2, 2, 2, 2, 5, 5, 5, 5, 1, 0},         // padding beyond the kernel
    {1, 32, 13, 13, 32, 5, 5, 1, 1, 2, 2, 2, 2, 1, 0},     // 5x5
    {1, 17, 12, 11, 20, 5, 5, 2, 2, 1, 1, 1, 1, 1, 0},     // 5x5 stride 2
    {1, 20, 15, 14, 17, 7, 7, 2, 2, 3, 3, 3, 3, 1, 0},     // 7x7
    {3, 33, 7, 5, 20, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0},       // pointwise
    {2, 18, 7, 6, 20, 1, 1, 2, 2, 0, 0, 0, 0, 1, 0},       // pointwise, stride 2
    {1, 18, 3, 4, 20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0},       // pointwise, padded
    {2, 7, 6, 9, 10, 1, 5, 2, 1, 0, 2, 0, 2, 1, 0},        // row kernel
    {1, 7, 9, 10, 18, 4, 1, 1, 3, 0, 0, 0, 0, 1, 0},       // column kernel
    {2, 32, 3, 4, 32, 3, 3, 1, 1, 1, 1, 1, 1, 2, 0},       // two groups of one block
    {1, 96, 5, 5, 48, 3, 3, 1, 1, 1, 1, 1, 1, 3, 0},       // three groups, two blocks to one
    {2, 3, 23, 23, 20, 11, 11, 4, 4, 2, 2, 2, 2, 1, 1},    // first layer of alexnet
    {1, 3, 21, 21, 33, 7, 7, 2, 2, 0, 0, 0, 0, 1, 1},      // of vgg-m
    {2, 3, 9, 10, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},       // of vgg16
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1},         // one number
    {1, 16, 5, 6, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},       // as many interleaved channels as there may be
    {2, 16, 50, 45, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},     // more tiles than a chunk
    {0, 16, 5, 5, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0},       // no image
    {0, 3, 9, 9, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},        // no image, interleaved
};

static ck_convolution_t convolution_of(const Case *c) {
  return (ck_convolution_t){
      .batch = c->batch, .channels = c->channels, .height = c->height, .width = c->width, .outputs = c->outputs,
      .outputHeight = (c->height + c->padTop + c->padBottom - c->kernelHeight) / c->strideHeight + 1,
      .outputWidth = (c->width + c->padLeft + c->padRight - c->kernelWidth) / c->strideWidth + 1,
      .kernelHeight = c->kernelHeight, .kernelWidth = c->kernelWidth, .strideHeight = c->strideHeight,
      .strideWidth = c->strideWidth, .padTop = c->padTop, .padLeft = c->padLeft, .groups = c->groups,
      .interleaved = c->interleaved};
}

/// Weights in the kernel's order, random where they belong to a channel, zero in the padding.
static float *weights_of(const ck_convolution_t *c, Content content) {
  int32_t taps = c->kernelHeight * c->kernelWidth, inputs = c->channels / c->groups;
  int64_t stored = c->interleaved ? inputs : padded(inputs);
  int64_t count = padded(c->outputs) * stored * taps;
  float *w = floats(count, content);
  for (int64_t i = 0; i < count; i++) {
    int64_t output = i / (stored * taps * CK_BLOCK) * CK_BLOCK + i % CK_BLOCK;
    int64_t input = c->interleaved ? 0 : i / (taps * CK_BLOCK * CK_BLOCK) % (stored / CK_BLOCK) * CK_BLOCK +
                                             i / CK_BLOCK % CK_BLOCK;
    if (output >= c->outputs || input >= inputs) w[i] = 0;
  }
  return w;
}

static float *vector_of(int64_t channels, Content content) { return maps(1, channels, 1, content); }

/// Difference of two sums of `terms` products of numbers in -1..<1, taken in different orders: partial sums stay below
/// √terms, so each of the `terms` roundings below u·√terms, and of random sign they add up to u·terms.
/// Winograd's transforms multiply by up to 5 (tiles of 6) and divide again: a factor found by trial, not derived.
static double bound(double terms, ck_convolution_algorithm_t algorithm) {
  double factor = algorithm == CK_WINOGRAD_6 ? 24 : algorithm == CK_WINOGRAD_4 ? 4 : 1;
  return factor * 2 * (terms + 2) * UNIT_ROUNDOFF;
}

static void check(const Case *k, ck_convolution_algorithm_t algorithm, int isNarrow) {
  ck_convolution_t c = convolution_of(k);
  c.algorithm = algorithm;
  int64_t cells = (int64_t)c.height * c.width, outputCells = (int64_t)c.outputHeight * c.outputWidth;
  int32_t taps = c.kernelHeight * c.kernelWidth, inputs = c.channels / c.groups;
  int64_t inputCount = c.batch * cells * (c.interleaved ? c.channels : padded(c.channels));
  int64_t outputCount = c.batch * outputCells * padded(c.outputs);
  int64_t weightCount = padded(c.outputs) * (c.interleaved ? inputs : padded(inputs)) * taps;
  check_begin("convolution %d: %dx%d stride %d of %lld x %d x %dx%d to %d, %d groups%s%s", algorithm, c.kernelHeight, c.kernelWidth,
              c.strideHeight, (long long)c.batch, c.channels, c.height, c.width, c.outputs, c.groups,
              c.interleaved ? ", interleaved" : "", isNarrow ? ", workspace for one thread" : "");
  while (check_next()) {
    int64_t workspaceCount = ck_convolution_workspace(&c);
    if (isNarrow) {
      int threads = ck_threads_count();
      ck_threads_configure(1, 0);
      workspaceCount = ck_convolution_workspace(&c);
      ck_threads_configure(threads, 0);
    }
    const float *x = c.interleaved ? floats(inputCount, NOISE) : maps(c.batch, c.channels, cells, NOISE);
    const float *dy = maps(c.batch, c.outputs, outputCells, NOISE);
    const float *w = weights_of(&c, NOISE), *bias = vector_of(c.outputs, NOISE);
    float *y = floats(outputCount, UNTOUCHED), *dx = floats(inputCount, UNTOUCHED);
    float *dw = weights_of(&c, NOISE), *dbias = vector_of(c.outputs, NOISE);

    ck_convolution_forward(&c, x, w, bias, 0, y, floats(workspaceCount, UNTOUCHED), workspaceCount);
    check_floats("y", y, outputCount, bound(inputs * taps, algorithm));
    ck_convolution_forward(&c, x, w, NULL, 1, y, floats(workspaceCount, UNTOUCHED), workspaceCount);
    check_floats("y with relu", y, outputCount, bound(inputs * taps, algorithm));
    ck_convolution_backward_data(&c, dy, w, NULL, dx, floats(workspaceCount, UNTOUCHED), workspaceCount);
    check_floats("dx", dx, inputCount, bound(c.outputs / c.groups * taps, algorithm));
    if (!c.interleaved) {
      ck_convolution_backward_data(&c, dy, w, x, dx, floats(workspaceCount, UNTOUCHED), workspaceCount);
      check_floats("dx of a rectified x", dx, inputCount, bound(c.outputs / c.groups * taps, algorithm));
    }
    ck_convolution_backward_weights(&c, x, dy, 1, dw, dbias, floats(workspaceCount, UNTOUCHED), workspaceCount);
    check_floats("dw", dw, weightCount, bound((double)(c.batch * outputCells), algorithm));
    check_floats("dbias", dbias, padded(c.outputs), bound((double)(c.batch * outputCells), algorithm));
    ck_convolution_backward_weights(&c, x, dy, 1, dw, NULL, floats(workspaceCount, UNTOUCHED), workspaceCount);
    check_floats("dw twice", dw, weightCount, 2 * bound((double)(c.batch * outputCells), algorithm));
    dw = floats(weightCount, UNTOUCHED), dbias = floats(padded(c.outputs), UNTOUCHED);
    ck_convolution_backward_weights(&c, x, dy, 0, dw, dbias, floats(workspaceCount, UNTOUCHED), workspaceCount);
    check_floats("dw replaced", dw, weightCount, bound((double)(c.batch * outputCells), algorithm));
    check_floats("dbias replaced", dbias, padded(c.outputs), bound((double)(c.batch * outputCells), algorithm));
    release_arrays();
  }
}

static void check_groups(int32_t outputs, int32_t inputs, int32_t taps, int32_t groups) {
  int64_t count = padded(outputs) * padded(inputs) * taps;
  check_begin("zeros outside %d groups of %d to %d", groups, inputs, outputs);
  while (check_next()) {
    float *w = floats(count, NOISE);
    ck_convolution_zero_outside_groups(w, outputs, inputs, taps, groups);
    check_floats("w", w, count, 0);
    release_arrays();
  }
}

static void run(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check(&cases[i], CK_DIRECT, 0);
    if (i % 6 == 0) check(&cases[i], CK_DIRECT, 1);
    const Case *k = &cases[i];
    if (k->kernelHeight != k->kernelWidth || k->strideHeight * k->strideWidth * k->groups != 1 || k->interleaved)
      continue;
    for (int isNarrow = 0; isNarrow < 2; isNarrow++) {
      if (k->kernelHeight == 3) check(k, CK_WINOGRAD_4, isNarrow);
      if (k->kernelHeight == 3 || k->kernelHeight == 5) check(k, CK_WINOGRAD_6, isNarrow);
    }
  }
  check_groups(40, 24, 9, 4);
  check_groups(17, 17, 1, 17);
}

const Family familyConvolution = {"convolution", run};
