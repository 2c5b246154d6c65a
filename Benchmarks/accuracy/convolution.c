// Error of the convolution kernels on the layers of the networks, against sums in Double: for each pass the largest
// error relative to the largest value, and the root mean square of the errors relative to that of the values.
//
//   clang -std=gnu17 -O3 -fno-math-errno -fno-trapping-math -I Sources/CKernels/include
//     Benchmarks/accuracy/convolution.c Sources/CKernels/*.c -lpthread -lm -o accuracy
//   ICNN_ISA=avx512 ./accuracy [part of a layer's name]
//
// One image per layer. Inputs are those of a trained layer in kind: normal and rectified, gradients normal where the
// output was positive, weights normal with He's variance. The reference body sums in Double.
#include "ckernels.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const char *name;
  int channels, extent, outputs, kernel, padding;
} Layer;

static const Layer layers[] = {
    {"vgg16 1_2", 64, 224, 64, 3, 1},   {"vgg16 2_1", 64, 112, 128, 3, 1},  {"vgg16 2_2", 128, 112, 128, 3, 1},
    {"vgg16 3_1", 128, 56, 256, 3, 1},  {"vgg16 3_2", 256, 56, 256, 3, 1},  {"vgg16 4_1", 256, 28, 512, 3, 1},
    {"vgg16 4_2", 512, 28, 512, 3, 1},  {"vgg16 5_1", 512, 14, 512, 3, 1},  {"alexnet 2", 64, 27, 192, 5, 2},
    {"alexnet 3", 192, 13, 384, 3, 1},  {"alexnet 4", 384, 13, 256, 3, 1},  {"alexnet 5", 256, 13, 256, 3, 1},
    {"vgg-m 3", 256, 13, 512, 3, 1},    {"vgg-m 4", 512, 13, 512, 3, 1},    {"vgg-s 2", 96, 37, 256, 5, 0},
    {"vgg-s 3", 256, 17, 512, 3, 1},    {"vgg-s 4", 512, 17, 512, 3, 1},    {"compact 2", 32, 48, 64, 3, 1},
    {"compact 3", 64, 48, 64, 3, 1},    {"compact 4", 64, 24, 128, 3, 1},   {"compact 5", 128, 24, 128, 3, 1},
    {"compact 6", 128, 12, 192, 3, 1},  {"compact 7", 192, 12, 192, 3, 1},
};

static uint64_t state = 1;

static double uniform(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void) { return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()); }

static float *new_floats(int64_t count) {
  float *values = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
  if (!values) {
    fprintf(stderr, "error: no memory for %lld floats\n", (long long)count);
    exit(71);
  }
  return values;
}

typedef struct {
  double largest, rootMeanSquare;
} Error;

static Error error_of(const float *values, const float *expected, int64_t count) {
  double largest = 0, largestValue = 0, squares = 0, valueSquares = 0;
  for (int64_t i = 0; i < count; i++) {
    double error = fabs((double)values[i] - expected[i]), value = fabs((double)expected[i]);
    largest = fmax(largest, error), largestValue = fmax(largestValue, value);
    squares += error * error, valueSquares += value * value;
  }
  return (Error){largest / largestValue, sqrt(squares / valueSquares)};
}

static void measure(const Layer *layer) {
  ck_convolution_t c = {
      .batch = 1, .channels = layer->channels, .height = layer->extent, .width = layer->extent,
      .outputs = layer->outputs, .kernelHeight = layer->kernel, .kernelWidth = layer->kernel, .strideHeight = 1,
      .strideWidth = 1, .padTop = layer->padding, .padLeft = layer->padding, .groups = 1, .algorithm = CK_DIRECT};
  c.outputHeight = c.outputWidth = layer->extent + 2 * layer->padding - layer->kernel + 1;
  int64_t inputs = (int64_t)c.channels * c.height * c.width, outputs = (int64_t)c.outputs * c.outputHeight * c.outputWidth;
  int64_t weights = (int64_t)c.channels * c.outputs * c.kernelHeight * c.kernelWidth;
  float *x = new_floats(inputs), *dy = new_floats(outputs), *w = new_floats(weights);
  for (int64_t i = 0; i < inputs; i++) x[i] = (float)fmax(normal(), 0);
  for (int64_t i = 0; i < outputs; i++) dy[i] = uniform() < 0.5 ? 0 : (float)normal();
  for (int64_t i = 0; i < weights; i++) w[i] = (float)(normal() * sqrt(2.0 * c.outputs / (double)weights));

  ck_isa_t isa = ck_isa();
  const int32_t algorithms[] = {CK_DIRECT, CK_DIRECT, CK_WINOGRAD_4, CK_WINOGRAD_6};  // the first: the reference
  const int64_t counts[] = {outputs, inputs, weights};
  float *results[4][3];
  for (int i = 0; i < 4; i++) {
    c.algorithm = algorithms[i];
    ck_isa_select(i == 0 ? CK_REFERENCE : isa);
    int64_t workspaceCount = ck_convolution_workspace(&c);
    float *workspace = new_floats(workspaceCount);
    for (int pass = 0; pass < 3; pass++) results[i][pass] = new_floats(counts[pass]);
    ck_convolution_forward(&c, x, w, NULL, 0, results[i][0], workspace, workspaceCount);
    ck_convolution_backward_data(&c, dy, w, NULL, results[i][1], workspace, workspaceCount);
    ck_convolution_backward_weights(&c, x, dy, 0, results[i][2], NULL, workspace, workspaceCount);
    free(workspace);
  }
  c.algorithm = CK_AUTOMATIC;
  static const char *const names[] = {"forward", "backward-data", "backward-weights"};
  for (int pass = 0; pass < 3; pass++) {
    ck_convolution_algorithm_t choice = ck_convolution_choice(&c, (ck_convolution_pass_t)pass);
    printf("| %s | %s |", layer->name, names[pass]);
    for (int i = 1; i < 4; i++) {
      if (algorithms[i] == CK_WINOGRAD_4 && layer->kernel != 3) {
        printf(" - |");
        continue;
      }
      Error e = error_of(results[i][pass], results[0][pass], counts[pass]);
      const char *chosen = (int32_t)choice == algorithms[i] ? "**" : "";
      printf(" %s%.1e / %.1e%s |", chosen, e.largest, e.rootMeanSquare, chosen);
    }
    printf("\n");
  }
  fflush(stdout);
  for (int i = 0; i < 4; i++)
    for (int pass = 0; pass < 3; pass++) free(results[i][pass]);
  free(x), free(dy), free(w);
}

int main(int count, char **arguments) {
  ck_threads_configure(1, 0);
  printf("%s; largest error / root mean square, in bold what is chosen\n\n", ck_isa_name(ck_isa()));
  printf("| layer | pass | direct | winograd 4x4 | winograd 6x6 |\n|---|---|---|---|---|\n");
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    if (count < 2 || strstr(layers[i].name, arguments[1])) measure(&layers[i]);
  return 0;
}
