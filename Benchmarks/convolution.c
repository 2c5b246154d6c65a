// Speed of the convolution kernels on the layers of VGG-16 and AlexNet: process CPU time, best of several runs, in
// GFLOP/s (multiplications with the padding's zeros count), one thread unless ICNN_THREADS says more.
//
//   clang -std=gnu17 -O3 -fno-math-errno -fno-trapping-math -I Sources/CKernels/include
//     Benchmarks/convolution.c Sources/CKernels/*.c -lpthread -lm -o convolution
//   ICNN_ISA=avx512 ./convolution [batch, 8] [runs, 5] [part of a layer's name]
#include "ckernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
  const char *name;
  int channels, extent, outputs, kernel, stride, padding, interleaved;
} Layer;

static const Layer layers[] = {
    {"vgg16 1_1", 3, 224, 64, 3, 1, 1, 1},   {"vgg16 1_2", 64, 224, 64, 3, 1, 1, 0},
    {"vgg16 2_1", 64, 112, 128, 3, 1, 1, 0}, {"vgg16 2_2", 128, 112, 128, 3, 1, 1, 0},
    {"vgg16 3_1", 128, 56, 256, 3, 1, 1, 0}, {"vgg16 3_2", 256, 56, 256, 3, 1, 1, 0},
    {"vgg16 4_1", 256, 28, 512, 3, 1, 1, 0}, {"vgg16 4_2", 512, 28, 512, 3, 1, 1, 0},
    {"vgg16 5_1", 512, 14, 512, 3, 1, 1, 0}, {"alexnet 1", 3, 224, 64, 11, 4, 2, 1},
    {"alexnet 2", 64, 27, 192, 5, 1, 2, 0},  {"alexnet 3", 192, 13, 384, 3, 1, 1, 0},
    {"alexnet 4", 384, 13, 256, 3, 1, 1, 0}, {"alexnet 5", 256, 13, 256, 3, 1, 1, 0},
};

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fill(float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++) values[i] = (float)(i % 97) / 97 - 0.5f;
}

static float *new_floats(int64_t count) {
  float *values = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
  if (!values) {
    fprintf(stderr, "no memory for %lld floats\n", (long long)count);
    exit(71);
  }
  fill(values, count);
  return values;
}

/// GFLOP/s of twelve independent chains of multiply-adds in registers, each a value of `floats` floats.
#define PEAK(name, features, floats) \
  __attribute__((target(features))) static double name(void) { \
    typedef float vector __attribute__((ext_vector_type(floats))); \
    vector sum[12], factor = 0.999f, term = 0.001f; \
    double best = 0; \
    for (int i = 0; i < 12; i++) sum[i] = (float)i; \
    for (int run = 0; run < 5; run++) { \
      double start = cpu_seconds(); \
      for (int step = 0; step < 4000000; step++) \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < 12; i++) sum[i] = \
            __builtin_elementwise_fma(sum[i], factor, term); \
      double rate = 4e6 * 12 * 2 * floats / (cpu_seconds() - start) / 1e9; \
      if (rate > best) best = rate; \
    } \
    for (int i = 1; i < 12; i++) sum[0] += sum[i]; \
    return sum[0][0] == 0 ? 0 : best; \
  }
#if defined(__x86_64__)
PEAK(peak_avx2, "avx2,fma", 8)
PEAK(peak_avx512, "avx512f", 16)
#endif

static void measure(const Layer *layer, int batch, int runs) {
  ck_convolution_t c = {
      .batch = batch, .channels = layer->channels, .height = layer->extent, .width = layer->extent,
      .outputs = layer->outputs, .kernelHeight = layer->kernel, .kernelWidth = layer->kernel,
      .strideHeight = layer->stride, .strideWidth = layer->stride, .padTop = layer->padding,
      .padLeft = layer->padding, .groups = 1, .interleaved = layer->interleaved};
  c.outputHeight = c.outputWidth = (layer->extent + 2 * layer->padding - layer->kernel) / layer->stride + 1;
  int64_t inputs = (int64_t)batch * layer->extent * layer->extent * layer->channels;
  int64_t outputs = (int64_t)batch * c.outputHeight * c.outputWidth * layer->outputs;
  int64_t weights = (int64_t)layer->outputs * layer->channels * layer->kernel * layer->kernel;
  int64_t workspaceCount = ck_convolution_workspace(&c);
  float *x = new_floats(inputs), *y = new_floats(outputs), *dy = new_floats(outputs), *w = new_floats(weights);
  float *dx = new_floats(inputs), *dw = new_floats(weights), *bias = new_floats(layer->outputs);
  float *dbias = new_floats(layer->outputs), *workspace = new_floats(workspaceCount);
  double best[3] = {1e30, 1e30, 1e30};
  for (int run = 0; run < runs; run++) {
    double times[4] = {cpu_seconds()};
    ck_convolution_forward(&c, x, w, bias, 0, y, workspace, workspaceCount);
    times[1] = cpu_seconds();
    if (!layer->interleaved) ck_convolution_backward_data(&c, dy, w, dx, workspace, workspaceCount);
    times[2] = cpu_seconds();
    ck_convolution_backward_weights(&c, x, dy, dw, dbias, workspace, workspaceCount);
    times[3] = cpu_seconds();
    for (int pass = 0; pass < 3; pass++)
      if (times[pass + 1] - times[pass] < best[pass]) best[pass] = times[pass + 1] - times[pass];
  }
  double gigaflop = 2.0 * (double)outputs * layer->channels * layer->kernel * layer->kernel / 1e9;
  printf("| %s | %.0f | ", layer->name, gigaflop / best[0]);
  if (layer->interleaved) printf("- | ");
  else printf("%.0f | ", gigaflop / best[1]);
  printf("%.0f |\n", gigaflop / best[2]);
  fflush(stdout);
  float *all[] = {x, y, dy, w, dx, dw, bias, dbias, workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

int main(int argumentCount, char **arguments) {
  int batch = argumentCount > 1 ? atoi(arguments[1]) : 8, runs = argumentCount > 2 ? atoi(arguments[2]) : 5;
  const char *part = argumentCount > 3 ? arguments[3] : "", *threads = getenv("ICNN_THREADS");
  if (batch < 1 || runs < 1) {
    fprintf(stderr, "usage: %s [batch >= 1] [runs >= 1] [part of a layer's name]\n", arguments[0]);
    return 64;
  }
  ck_threads_configure(threads ? atoi(threads) : 1, 1);
  printf("%s, %d thread(s), batch %d", ck_isa_name(ck_isa()), ck_threads_count(), batch);
#if defined(__x86_64__)
  if (ck_isa_available(CK_AVX2)) printf(", AVX2 peak %.0f", peak_avx2());
  if (ck_isa_available(CK_AVX512)) printf(", AVX-512 peak %.0f", peak_avx512());
#endif
  printf(" GFLOP/s per core\n\n| layer | forward | backward-data | backward-weights |\n|---|---|---|---|\n");
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    if (strstr(layers[i].name, part)) measure(&layers[i], batch, runs);
  return 0;
}
