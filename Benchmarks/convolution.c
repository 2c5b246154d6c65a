// Speed of the convolution kernels, in GFLOP/s (multiplications with the padding's zeros count): small shapes against
// the reference, or with --layers the layers of VGG-16 and AlexNet. See harness.h.
#include "harness.h"

typedef struct {
  const char *name;
  int channels, extent, outputs, kernel, stride, padding, interleaved;
} Layer;

static const Layer small[] = {
    {"3x3", 64, 28, 64, 3, 1, 1, 0},          {"3x3 on 14x14", 128, 14, 128, 3, 1, 1, 0},
    {"3x3 on 7x7", 128, 7, 128, 3, 1, 1, 0},  {"3x3 stride 2", 64, 28, 64, 3, 2, 1, 0},
    {"5x5", 32, 27, 64, 5, 1, 2, 0},          {"5x5 stride 2", 32, 27, 64, 5, 2, 1, 0},
    {"7x7 stride 2", 16, 28, 64, 7, 2, 3, 0}, {"1x1", 128, 28, 128, 1, 1, 0, 0},
    {"11x11 of images", 3, 63, 64, 11, 4, 2, 1}, {"7x7 of images", 3, 63, 96, 7, 2, 0, 1},
    {"3x3 of images", 3, 56, 64, 3, 1, 1, 1},
};

static const Layer published[] = {
    {"vgg16 1_1", 3, 224, 64, 3, 1, 1, 1},   {"vgg16 1_2", 64, 224, 64, 3, 1, 1, 0},
    {"vgg16 2_1", 64, 112, 128, 3, 1, 1, 0}, {"vgg16 2_2", 128, 112, 128, 3, 1, 1, 0},
    {"vgg16 3_1", 128, 56, 256, 3, 1, 1, 0}, {"vgg16 3_2", 256, 56, 256, 3, 1, 1, 0},
    {"vgg16 4_1", 256, 28, 512, 3, 1, 1, 0}, {"vgg16 4_2", 512, 28, 512, 3, 1, 1, 0},
    {"vgg16 5_1", 512, 14, 512, 3, 1, 1, 0}, {"alexnet 1", 3, 224, 64, 11, 4, 2, 1},
    {"alexnet 2", 64, 27, 192, 5, 1, 2, 0},  {"alexnet 3", 192, 13, 384, 3, 1, 1, 0},
    {"alexnet 4", 384, 13, 256, 3, 1, 1, 0}, {"alexnet 5", 256, 13, 256, 3, 1, 1, 0},
};

typedef struct {
  ck_convolution_t c;
  float *x, *y, *w, *bias, *dx, *dy, *dw, *dbias, *workspace;
  int64_t workspaceCount;
} Call;

static void forward(void *context) {
  Call *p = context;
  ck_convolution_forward(&p->c, p->x, p->w, p->bias, 0, p->y, p->workspace, p->workspaceCount);
}

static void backward_data(void *context) {
  Call *p = context;
  ck_convolution_backward_data(&p->c, p->dy, p->w, NULL, p->dx, p->workspace, p->workspaceCount);
}

static void backward_weights(void *context) {
  Call *p = context;
  ck_convolution_backward_weights(&p->c, p->x, p->dy, 1, p->dw, p->dbias, p->workspace, p->workspaceCount);
}

static void measure(const Layer *layer, int batch) {
  if (!strstr(layer->name, harness.part) && !strstr("convolution", harness.part)) return;
  Call p = {.c = {
      .batch = batch, .channels = layer->channels, .height = layer->extent, .width = layer->extent,
      .outputs = layer->outputs, .kernelHeight = layer->kernel, .kernelWidth = layer->kernel,
      .strideHeight = layer->stride, .strideWidth = layer->stride, .padTop = layer->padding,
      .padLeft = layer->padding, .groups = 1, .interleaved = layer->interleaved}};
  p.c.outputHeight = p.c.outputWidth = (layer->extent + 2 * layer->padding - layer->kernel) / layer->stride + 1;
  int64_t inputs = (int64_t)batch * layer->extent * layer->extent * layer->channels;
  int64_t outputs = (int64_t)batch * p.c.outputHeight * p.c.outputWidth * layer->outputs;
  int64_t weights = (int64_t)layer->outputs * layer->channels * layer->kernel * layer->kernel;
  p.workspaceCount = ck_convolution_workspace(&p.c);
  p.x = new_floats(inputs), p.y = new_floats(outputs), p.dy = new_floats(outputs), p.w = new_floats(weights);
  p.dx = new_floats(inputs), p.dw = new_floats(weights), p.bias = new_floats(layer->outputs);
  p.dbias = new_floats(layer->outputs), p.workspace = new_floats(p.workspaceCount);
  double operations = 2.0 * (double)outputs * layer->channels * layer->kernel * layer->kernel;
  struct {
    const char *pass;
    void (*body)(void *);
  } passes[] = {{"forward", forward}, {"backward-data", backward_data}, {"backward-weights", backward_weights}};
  for (int i = 0; i < 3; i++) {
    if (layer->interleaved && passes[i].body == backward_data) continue;  // nobody wants the images' gradient
    char name[128];
    snprintf(name, sizeof name, "convolution %s, %s", layer->name, passes[i].pass);
    harness_measure(name, GFLOPS, operations, passes[i].body, &p);
  }
  float *all[] = {p.x, p.y, p.w, p.bias, p.dx, p.dy, p.dw, p.dbias, p.workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

int main(int count, char **arguments) {
  harness_begin(count, arguments);
  if (harness.layers) {
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
      measure(&published[i], harness.batch ? harness.batch : 8);
  } else {
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) measure(&small[i], harness.batch ? harness.batch : 4);
  }
  return 0;
}
