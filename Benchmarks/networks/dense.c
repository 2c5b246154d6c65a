// Speed of everything but convolution on the shapes of VGG-16 and AlexNet: process CPU time, best of several runs, one
// thread unless ICNN_THREADS says more. GB/s count each value once that a kernel must read or write; the first lines say what
// memory gives.
//
//   clang -std=gnu17 -O3 -fno-math-errno -fno-trapping-math -I Sources/CKernels/include
//     Benchmarks/networks/dense.c Sources/CKernels/*.c -lpthread -lm -o dense
//   ICNN_ISA=avx512 ./dense [batch, 16] [runs, 5] [part of a kernel's name]
//
// With -DWITH_OPENBLAS -lopenblas each product of a linear layer is also made by OpenBLAS, in the pieces of
// Ops/Gemm.swift and in the same run; set OPENBLAS_NUM_THREADS=1 and, on a CPU that it does not know, OPENBLAS_CORETYPE.
#include "ckernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(WITH_OPENBLAS)
#include <cblas.h>
#endif

static int64_t batch, runs;
static const char *part;

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *memory(int64_t bytes) {
  void *block = aligned_alloc(64, (size_t)(bytes + 64) / 64 * 64);
  if (!block) {
    fprintf(stderr, "no memory for %lld bytes\n", (long long)bytes);
    exit(71);
  }
  memset(block, 0, (size_t)bytes);
  return block;
}

static float *new_floats(int64_t count) {
  float *values = memory(count * 4);
  for (int64_t i = 0; i < count; i++) values[i] = (float)(i % 97) / 97 - 0.5f;
  return values;
}

/// Best time of a statement over the runs.
#define TIME(statement) \
  ({ \
    double best = 1e30; \
    for (int64_t run = 0; run < runs; run++) { \
      double start = cpu_seconds(); \
      statement; \
      double seconds = cpu_seconds() - start; \
      if (seconds < best) best = seconds; \
    } \
    best; \
  })

static int wanted(const char *name) { return strstr(name, part) != 0; }

static void report(const char *name, double seconds, double bytes, double operations) {
  printf("| %s | %.2f | %.1f | ", name, seconds * 1e3, bytes / seconds / 1e9);
  if (operations > 0) printf("%.0f |\n", operations / seconds / 1e9);
  else printf("- |\n");
  fflush(stdout);
}

// MARK: memory

__attribute__((noinline)) static float sum_of(const float *x, int64_t count) {
  typedef float vector __attribute__((ext_vector_type(16)));
  vector sum[8] = {0};
  for (int64_t i = 0; i < count; i += 128)
    for (int j = 0; j < 8; j++) sum[j] += *(const vector *)(x + i + 16 * j);
  for (int j = 1; j < 8; j++) sum[0] += sum[j];
  return sum[0][0] + sum[0][7];
}

static void measure_memory(void) {
  if (!wanted("memory")) return;
  const int64_t count = 1 << 26;
  float *a = new_floats(count), *b = new_floats(count);
  volatile float sink = 0;
  report("memory: read", TIME(sink += sum_of(a, count)), 4.0 * count, 0);
  report("memory: set to zero", TIME(memset(b, 0, 4 * count); sink += b[run]), 4.0 * count, 0);
  report("memory: copy", TIME(memcpy(b, a, 4 * count); sink += b[run]), 8.0 * count, 0);
  free(a), free(b);
}

// MARK: linear layers

static void measure_linear(const char *name, int64_t inputs, int64_t outputs) {
  char label[64];
  snprintf(label, sizeof label, "linear %s", name);
  if (!wanted(label)) return;
  ck_linear_t l = {batch, inputs, outputs};
  float *x = new_floats(batch * inputs), *y = new_floats(batch * outputs), *dx = new_floats(batch * inputs);
  float *w = new_floats(inputs * outputs), *dw = new_floats(inputs * outputs), *bias = new_floats(outputs);
  float *workspace = new_floats(ck_linear_workspace(&l));
  double bytes = 4.0 * (double)(inputs * outputs + batch * (inputs + outputs));
  double operations = 2.0 * (double)(batch * inputs * outputs);
  const char *passes[] = {"forward", "backward-data", "backward-weights", "backward-weights, adding"};
  for (int pass = 0; pass < 4; pass++) {
    double own = TIME(
        if (pass == 0) ck_linear_forward(&l, x, w, bias, y, workspace);
        else if (pass == 1) ck_linear_backward_data(&l, y, w, dx, workspace);
        else ck_linear_backward_weights(&l, x, y, pass == 3, dw, workspace));
    snprintf(label, sizeof label, "linear %s, %s", name, passes[pass]);
    report(label, own, pass == 3 ? 2 * bytes : bytes, operations);
#if defined(WITH_OPENBLAS)
    int m = (int)batch, in = (int)inputs, out = (int)outputs;
    double blas = TIME(
        if (pass == 0) for (int o = 0; o < out; o += 128)
          cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, out - o < 128 ? out - o : 128, in, 1, x, in,
                      w + (int64_t)o * in, in, 0, y + o, out);
        else if (pass == 1) for (int i = 0; i < in; i += 512)
          cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, in - i < 512 ? in - i : 512, out, 1, y, out, w + i,
                      in, 0, dx + i, in);
        else for (int o = 0; o < out; o += 128)
          cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, out - o < 128 ? out - o : 128, in, m, 1, y + o, out, x,
                      in, pass == 3, dw + (int64_t)o * in, in));
    snprintf(label, sizeof label, "  the same by OpenBLAS");
    report(label, blas, pass == 3 ? 2 * bytes : bytes, operations);
#endif
  }
  // What an update beyond that costs: `momentum update` reads dW again and moves what is moved here.
  ck_linear_factors_t factors = {batch, new_floats(batch * ck_linear_factor_inputs(inputs)), new_floats(batch * outputs)};
  ck_linear_keep_factors(&l, x, y, 0, &factors);
  ck_linear_update_t update = {inputs, outputs, 0, inputs * outputs, w, dw, 1e-6f, 0.9f, 5e-4f};
  snprintf(label, sizeof label, "linear %s, update by factors", name);
  report(label, TIME(ck_linear_update(&update, &factors)), 16.0 * (double)(inputs * outputs), operations);
  float *all[] = {x, y, dx, w, dw, bias, workspace, factors.x, factors.dy};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

// MARK: maps

static void measure_pooling(const char *name, int64_t channels, int32_t extent, int32_t kernel, int32_t stride) {
  char label[64];
  int32_t out = (extent - kernel) / stride + 1;
  ck_pool_t p = {.height = extent, .width = extent, .outHeight = out, .outWidth = out, .kernelHeight = kernel,
                 .kernelWidth = kernel, .strideHeight = stride, .strideWidth = stride};
  int64_t planes = batch * channels / 16, in = planes * extent * extent * 16, outs = planes * out * out * 16;
  snprintf(label, sizeof label, "max pooling %s", name);
  if (!wanted(label)) return;
  float *x = new_floats(in), *y = new_floats(outs);
  uint8_t *winners = memory(outs);
  snprintf(label, sizeof label, "max pooling %s, forward", name);
  report(label, TIME(ck_max_pool_forward(&p, planes, x, y, winners)), 4.0 * in + 5.0 * outs, 0);
  snprintf(label, sizeof label, "max pooling %s, backward", name);
  report(label, TIME(ck_max_pool_backward(&p, planes, y, winners, x)), 4.0 * in + 5.0 * outs, 0);
  snprintf(label, sizeof label, "average pooling %s, forward", name);
  report(label, TIME(ck_average_pool_forward(&p, planes, x, y)), 4.0 * in + 4.0 * outs, 0);
  snprintf(label, sizeof label, "average pooling %s, backward", name);
  report(label, TIME(ck_average_pool_backward(&p, planes, y, x)), 4.0 * in + 4.0 * outs, 0);
  free(x), free(y), free(winners);
}

static void measure_normalization(const char *name, int64_t channels, int64_t extent) {
  char label[64];
  snprintf(label, sizeof label, "normalization %s", name);
  if (!wanted(label)) return;
  int64_t blocks = channels / 16, cells = extent * extent, count = batch * channels * cells;
  float *x = new_floats(count), *y = new_floats(count), *dx = new_floats(count), *factors = new_floats(channels);
  double *partials = memory(batch * blocks * 32 * 8), *sums = memory(channels * 2 * 8), bytes = 4.0 * (double)count;
  ck_lrn_t lrn = {batch, blocks, cells, 2, 2, 1e-4f, 0.75f};
  snprintf(label, sizeof label, "response normalization %s, forward", name);
  report(label, TIME(ck_lrn_forward(&lrn, x, y)), 2 * bytes, 0);
  snprintf(label, sizeof label, "response normalization %s, backward", name);
  report(label, TIME(ck_lrn_backward(&lrn, x, y, dx)), 3 * bytes, 0);
  snprintf(label, sizeof label, "batch normalization %s, moments of x", name);
  report(label, TIME(ck_channel_moments(batch, blocks, cells, x, x, factors, partials, sums)), bytes, 0);
  snprintf(label, sizeof label, "batch normalization %s, y", name);
  report(label, TIME(ck_channel_affine(batch, blocks, cells, x, factors, factors, factors, 0, y)), 2 * bytes, 0);
  snprintf(label, sizeof label, "batch normalization %s, moments of dy", name);
  report(label, TIME(ck_channel_moments(batch, blocks, cells, y, x, factors, partials, sums)), 2 * bytes, 0);
  snprintf(label, sizeof label, "batch normalization %s, dx", name);
  report(label, TIME(ck_channel_affine2(batch, blocks, cells, y, x, factors, factors, factors, factors, dx)), 3 * bytes,
         0);
  free(x), free(y), free(dx), free(factors), free(partials), free(sums);
}

static void measure_elementwise(void) {
  int64_t count = batch * 64 * 224 * 224;
  uint64_t *keys = memory(batch * 8);
  for (int64_t n = 0; n < batch; n++) keys[n] = (uint64_t)n;
  if (wanted("dropout of 4096 values")) {
    float *x = new_floats(batch * 4096);
    report("dropout of 4096 values", TIME(ck_dropout(1, keys, batch, 4096, 1u << 31, 2, x)), 8.0 * 4096 * (double)batch, 0);
    free(x);
  }
  if (wanted("dropout of maps")) {
    float *x = new_floats(count);
    report("dropout of maps", TIME(ck_dropout(1, keys, batch, 64 * 224 * 224, 1u << 31, 2, x)), 8.0 * (double)count, 0);
    free(x);
  }
  if (wanted("flatten")) {
    float *x = new_floats(batch * 25088), *y = new_floats(batch * 25088);
    report("flatten 512 × 7 × 7", TIME(ck_blocked_to_flat(batch, 512, 49, x, y)), 8.0 * 25088 * (double)batch, 0);
    report("unflatten 512 × 7 × 7", TIME(ck_flat_to_blocked(batch, 512, 49, x, y)), 8.0 * 25088 * (double)batch, 0);
    free(x), free(y);
  }
  free(keys);
}

static void measure_update(const char *name, int64_t count) {
  char label[64];
  snprintf(label, sizeof label, "momentum update %s", name);
  if (!wanted(label)) return;
  float *values = new_floats(count), *gradients = new_floats(count), *velocities = new_floats(count);
  int64_t rangeCount = (count + 16383) / 16384;
  ck_update_range_t *ranges = memory(rangeCount * (int64_t)sizeof *ranges);
  for (int64_t i = 0; i < rangeCount; i++)
    ranges[i] = (ck_update_range_t){i * 16384, i == rangeCount - 1 ? count - i * 16384 : 16384, 1, 1};
  const float *arenas[] = {gradients};
  ck_update_t update = {.ranges = ranges, .rangeCount = rangeCount, .values = values, .velocities = velocities,
                        .gradients = arenas, .gradientCount = 1};
  report(label, TIME(ck_momentum_update(&update, 1e-3f, 0.9f, 5e-4f)),
         20.0 * (double)count, 0);
  free(values), free(gradients), free(velocities), free(ranges);
}

// MARK: the interpretable layer

static void measure_interpretable(const char *name, int64_t filters, int64_t extent) {
  char label[64];
  snprintf(label, sizeof label, "interpretable %s", name);
  if (!wanted(label)) return;
  ck_maps_t maps = {batch, filters / 16, extent, extent};
  int64_t cells = extent * extent, lanes = batch * filters, templates = cells + 1, count = lanes * cells;
  float *x = new_floats(count), *y = new_floats(count), *row = new_floats(lanes), *column = new_floats(lanes);
  float *maximum = new_floats(lanes), *slope = new_floats(filters), *along = new_floats(lanes);
  double *sum = memory(lanes * 8), *scores = memory(lanes * templates * 8), *logZ = memory(filters * templates * 8);
  double *logLikelihood = memory(lanes * 8), *terms = memory(lanes * 3 * 8), *divergence = memory(filters * templates * 8);
  int64_t rowLength = CK_CONE_ROW(extent);
  double *cone = memory(extent * rowLength * 8);
  int32_t *reach = memory(extent * 4);
  for (int64_t i = 0; i < count; i++) x[i] = x[i] < 0 ? 0 : x[i];
  for (int64_t i = 0; i < filters; i++) slope[i] = 4;
  for (int64_t down = 0; down < extent; down++)
    for (int64_t right = 0; right < extent; right++) {
      double value = 2 - 4.0 * (double)(down + right) / (double)extent;
      if (value <= 0) continue;
      cone[down * rowLength + CK_CONE_CENTRE(extent) + right] = value;
      cone[down * rowLength + CK_CONE_CENTRE(extent) - right] = value;
      reach[down] = (int32_t)right + 1;
    }
  ck_templates_t bank = {cone, reach, 0.5 / (double)cells};
  ck_mask_t mask = {row, column, slope, 1.0f / (float)extent, 1.0f / (float)extent, 1};
  double bytes = 4.0 * (double)count, scoreBytes = 8.0 * (double)(lanes * templates);
  snprintf(label, sizeof label, "interpretable %s, peak", name);
  report(label, TIME(ck_peak(x, maps, row, column, maximum, sum)), bytes, 0);
  snprintf(label, sizeof label, "interpretable %s, mask forward", name);
  report(label, TIME(ck_mask_forward(x, maps, mask, y)), 2 * bytes, 0);
  snprintf(label, sizeof label, "interpretable %s, mask backward", name);
  report(label, TIME(ck_mask_backward(x, y, maps, mask, along, along, 1)), 3 * bytes, 0);
  snprintf(label, sizeof label, "interpretable %s, scores", name);
  report(label, TIME(ck_template_scores(x, maps, bank, scores)), bytes + scoreBytes, 0);
  snprintf(label, sizeof label, "interpretable %s, normalizers", name);
  report(label, TIME(ck_template_normalizers(scores, maps, logZ)), scoreBytes, 0);
  snprintf(label, sizeof label, "interpretable %s, likelihoods", name);
  report(label, TIME(ck_template_scores(x, maps, bank, scores);
                     ck_template_likelihoods(scores, maps, logZ, logLikelihood, terms)) -
                    TIME(ck_template_scores(x, maps, bank, scores)),
         2 * scoreBytes, 0);
  snprintf(label, sizeof label, "interpretable %s, divergences", name);
  report(label, TIME(ck_template_divergences(scores, maps, logLikelihood, divergence)), scoreBytes, 0);
  snprintf(label, sizeof label, "interpretable %s, exact gradient", name);
  report(label, TIME(ck_template_gradient(scores, maps, bank, logLikelihood, divergence, 1e-9, y)),
         2 * scoreBytes + 2 * bytes, 0);
  void *all[] = {x, y, row, column, maximum, slope, along, sum, scores, logZ, logLikelihood, terms, divergence, cone, reach};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

int main(int argumentCount, char **arguments) {
  batch = argumentCount > 1 ? atoi(arguments[1]) : 16, runs = argumentCount > 2 ? atoi(arguments[2]) : 5;
  part = argumentCount > 3 ? arguments[3] : "";
  const char *threads = getenv("ICNN_THREADS");
  if (batch < 1 || runs < 1) {
    fprintf(stderr, "usage: %s [batch >= 1] [runs >= 1] [part of a kernel's name]\n", arguments[0]);
    return 64;
  }
  ck_threads_configure(threads ? atoi(threads) : 1, 1);
  printf("%s, %d thread(s), batch %d\n\n| kernel | ms | GB/s | GFLOP/s |\n|---|---|---|---|\n", ck_isa_name(ck_isa()),
         ck_threads_count(), (int)batch);
  measure_memory();
  measure_linear("vgg16 classifier.0", 25088, 4096);
  measure_linear("alexnet classifier.1", 9216, 4096);
  measure_linear("classifier.3", 4096, 4096);
  measure_linear("logits", 4096, 1000);
  measure_linear("six logits", 4096, 6);
  measure_linear("odd", 1025, 37);
  measure_update("vgg16", 138357544);
  measure_update("alexnet", 61100840);
  measure_pooling("vgg16 1", 64, 224, 2, 2);
  measure_pooling("vgg16 4", 512, 28, 2, 2);
  measure_pooling("alexnet 1", 64, 55, 3, 2);
  measure_pooling("alexnet 5", 256, 13, 3, 2);
  measure_normalization("of 64 × 55 × 55", 64, 55);
  measure_normalization("of 512 × 14 × 14", 512, 14);
  measure_elementwise();
  measure_interpretable("vgg16", 512, 14);
  measure_interpretable("alexnet", 256, 13);
  return 0;
}
