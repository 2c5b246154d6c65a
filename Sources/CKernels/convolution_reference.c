// Convolution as its definition says, in plain loops that sum in double: the oracle of the vector bodies.
#include "convolution.h"

/// Offset in x or dx of channel 16 block + i (of the group) of one image at (h, w).
static int64_t input_offset(const ck_convolution_t *c, int64_t image, int32_t block, int32_t h, int32_t w) {
  if (c->interleaved) return ((image * c->height + h) * c->width + w) * c->channels;
  int64_t cells = (int64_t)c->height * c->width;
  return ck_plane(image, ck_input_blocks(c) * c->groups, block, cells) + ((int64_t)h * c->width + w) * CK_BLOCK;
}

static int64_t output_offset(const ck_convolution_t *c, int64_t image, int32_t block, int32_t h, int32_t w) {
  int64_t cells = (int64_t)c->outputHeight * c->outputWidth;
  return ck_plane(image, ck_output_blocks(c) * c->groups, block, cells) +
         ((int64_t)h * c->outputWidth + w) * CK_BLOCK;
}

/// Channels of one block that exist in memory: all sixteen, or those of an interleaved image.
static int32_t block_channels(const ck_convolution_t *c) { return c->interleaved ? c->channels : CK_BLOCK; }

/// Offset of the 16 output weights of input channel 0 of a block, at tap (a, b).
static int64_t weight_offset(const ck_convolution_t *c, int32_t output, int32_t input, int32_t a, int32_t b) {
  int64_t tap = (int64_t)a * c->kernelWidth + b;
  return output * ck_weight_stride(c) + ((int64_t)input * ck_taps(c) + tap) * block_channels(c) * CK_BLOCK;
}

void ck_convolution_forward_region_reference(const ck_convolution_t *c, const ConvolutionRegion *region,
                                             const float *x, const float *w, const float *bias, int relu, float *y,
                                             float *scratch) {
  (void)scratch;
  int32_t inputs = ck_input_blocks(c), channels = block_channels(c);
  for (int32_t block = region->blockBegin; block < region->blockEnd; block++) {
    int32_t output = region->group * ck_output_blocks(c) + block;
    for (int32_t h = region->rowBegin; h < region->rowEnd; h++)
      for (int32_t v = 0; v < c->outputWidth; v++) {
        double sum[CK_BLOCK];
        for (int o = 0; o < CK_BLOCK; o++) sum[o] = bias ? bias[output * CK_BLOCK + o] : 0;
        for (int32_t input = 0; input < inputs; input++)
          for (int32_t a = 0; a < c->kernelHeight; a++)
            for (int32_t b = 0; b < c->kernelWidth; b++) {
              int32_t row = h * c->strideHeight + a - c->padTop, column = v * c->strideWidth + b - c->padLeft;
              if (row < 0 || row >= c->height || column < 0 || column >= c->width) continue;
              const float *source =
                  x + input_offset(c, region->image, region->group * inputs + input, row, column);
              const float *weights = w + weight_offset(c, output, input, a, b);
              for (int32_t i = 0; i < channels; i++)
                for (int o = 0; o < CK_BLOCK; o++) sum[o] += (double)source[i] * weights[i * CK_BLOCK + o];
            }
        float *result = y + output_offset(c, region->image, output, h, v);
        for (int o = 0; o < CK_BLOCK; o++) result[o] = (float)(relu && sum[o] < 0 ? 0 : sum[o]);
      }
  }
}

void ck_convolution_data_region_reference(const ck_convolution_t *c, const ConvolutionRegion *region,
                                          const float *dy, const float *w, const float *packed,
                                          const float *rectified, float *dx,
                                          float *scratch) {
  (void)packed, (void)scratch;
  int32_t inputs = ck_input_blocks(c), outputs = ck_output_blocks(c), channels = block_channels(c);
  for (int32_t input = region->blockBegin; input < region->blockEnd; input++)
    for (int32_t h = region->rowBegin; h < region->rowEnd; h++)
      for (int32_t v = 0; v < c->width; v++) {
        double sum[CK_BLOCK] = {0};
        for (int32_t block = 0; block < outputs; block++) {
          int32_t output = region->group * outputs + block;
          for (int32_t a = 0; a < c->kernelHeight; a++)
            for (int32_t b = 0; b < c->kernelWidth; b++) {
              int32_t row = h + c->padTop - a, column = v + c->padLeft - b;
              if (row < 0 || column < 0 || row % c->strideHeight || column % c->strideWidth) continue;
              row /= c->strideHeight, column /= c->strideWidth;
              if (row >= c->outputHeight || column >= c->outputWidth) continue;
              const float *source = dy + output_offset(c, region->image, output, row, column);
              const float *weights = w + weight_offset(c, output, input, a, b);
              for (int32_t i = 0; i < channels; i++)
                for (int o = 0; o < CK_BLOCK; o++) sum[i] += (double)source[o] * weights[i * CK_BLOCK + o];
            }
        }
        float *result = dx + input_offset(c, region->image, region->group * inputs + input, h, v);
        const float *x = rectified ? rectified + (result - dx) : NULL;
        for (int32_t i = 0; i < channels; i++) result[i] = x && !(x[i] > 0) ? 0 : (float)sum[i];
      }
}

static void add_bias_gradient(const ck_convolution_t *c, const ConvolutionWeightRegion *region, int32_t output,
                              const float *dy, float *dbias) {
  double sum[CK_BLOCK] = {0};
  for (int64_t r = region->rowBegin; r < region->rowEnd; r++) {
    const float *row = dy + output_offset(c, r / c->outputHeight, output, (int32_t)(r % c->outputHeight), 0);
    for (int32_t v = 0; v < c->outputWidth * CK_BLOCK; v++) sum[v % CK_BLOCK] += row[v];
  }
  for (int o = 0; o < CK_BLOCK; o++) dbias[output * CK_BLOCK + o] += (float)sum[o];
}

void ck_convolution_weight_region_reference(const ck_convolution_t *c, const ConvolutionWeightRegion *region,
                                            const float *x, const float *dy, float *dw, float *dbias,
                                            float *scratch) {
  (void)scratch;
  int32_t inputs = ck_input_blocks(c), channels = block_channels(c);
  for (int32_t block = region->outputBegin; block < region->outputEnd; block++) {
    if (dbias) add_bias_gradient(c, region, region->group * ck_output_blocks(c) + block, dy, dbias);
    for (int32_t input = region->inputBegin; input < region->inputEnd; input++)
      for (int32_t a = 0; a < c->kernelHeight; a++)
        for (int32_t b = 0; b < c->kernelWidth; b++) {
          int32_t output = region->group * ck_output_blocks(c) + block;
          double sum[CK_BLOCK * CK_BLOCK] = {0};
          for (int64_t r = region->rowBegin; r < region->rowEnd; r++)
            for (int32_t v = 0; v < c->outputWidth; v++) {
              int64_t image = r / c->outputHeight;
              int32_t h = (int32_t)(r % c->outputHeight);
              int32_t row = h * c->strideHeight + a - c->padTop, column = v * c->strideWidth + b - c->padLeft;
              if (row < 0 || row >= c->height || column < 0 || column >= c->width) continue;
              const float *source = x + input_offset(c, image, region->group * inputs + input, row, column);
              const float *gradient = dy + output_offset(c, image, output, h, v);
              for (int32_t i = 0; i < channels; i++)
                for (int o = 0; o < CK_BLOCK; o++) sum[i * CK_BLOCK + o] += (double)source[i] * gradient[o];
            }
          float *result = dw + weight_offset(c, output, input, a, b);
          for (int32_t i = 0; i < channels * CK_BLOCK; i++) result[i] += (float)sum[i];
        }
  }
}

void ck_convolution_pack_block_reference(const ck_convolution_t *c, const float *w, int32_t group, int32_t output,
                                         int32_t input, float *packed) {
  // The plain loops of backward-data read the weights as they are.
  (void)c, (void)w, (void)group, (void)output, (void)input, (void)packed;
}
