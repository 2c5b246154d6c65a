#include "ck_images.h"

#include <string.h>

typedef float ck_float4 __attribute__((vector_size(16)));

// Rows first: that pass is contiguous and leaves `rows.outputs` rows for the other, which gathers. There, one
// 4-wide load covers a pixel and the first value of its neighbour; the fourth lane is never stored.
void ck_image_resize(const uint8_t *source, const ck_resampling *rows, const ck_resampling *columns, float *scratch,
                     float *output) {
  int64_t rowValues = 3 * columns->inputs;
  scratch[rowValues] = 0;
  for (int64_t y = 0; y < rows->outputs; y++) {
    memset(scratch, 0, (size_t)rowValues * sizeof(float));
    for (int64_t t = 0; t < rows->taps; t++) {
      float weight = rows->weights[y * rows->taps + t];
      if (weight == 0) continue;
      const uint8_t *line = source + (rows->start[y] + t) * rowValues;
      for (int64_t i = 0; i < rowValues; i++) scratch[i] += weight * (float)line[i];
    }
    float *out = output + y * columns->outputs * 3;
    for (int64_t x = 0; x < columns->outputs; x++) {
      const float *in = scratch + 3 * columns->start[x], *weights = columns->weights + x * columns->taps;
      ck_float4 sum = {0, 0, 0, 0};
      for (int64_t t = 0; t < columns->taps; t++) {
        ck_float4 pixel;
        memcpy(&pixel, in + 3 * t, sizeof pixel);
        sum += weights[t] * pixel;
      }
      out[3 * x] = sum[0], out[3 * x + 1] = sum[1], out[3 * x + 2] = sum[2];
    }
  }
}

void ck_image_normalize(const float *source, int64_t side, int64_t x0, int64_t y0, int64_t size, int flip, float gain,
                        const float *mean, const float scale[3], float *output) {
  for (int64_t y = 0; y < size; y++) {
    const float *in = source + ((y0 + y) * side + x0) * 3;
    const float *center = mean + y * size * 3;
    float *out = output + y * size * 3;
    int64_t step = flip ? -3 : 3;
    if (flip) in += 3 * (size - 1);
    for (int64_t x = 0; x < size; x++, in += step) {
      for (int64_t c = 0; c < 3; c++) {
        float value = in[c];
        if (gain != 1) {
          value *= gain;
          value = value < 0 ? 0 : value > 255 ? 255 : value;
        }
        out[3 * x + c] = (value - center[3 * x + c]) * scale[c];
      }
    }
  }
}

void ck_image_accumulate(const float *source, int64_t side, int64_t x0, int64_t y0, int64_t size, double *sum,
                         double squares[3]) {
  for (int64_t y = 0; y < size; y++) {
    const float *in = source + ((y0 + y) * side + x0) * 3;
    double *out = sum + y * size * 3;
    for (int64_t i = 0; i < 3 * size; i++) out[i] += in[i];
    for (int64_t x = 0; x < size; x++)
      for (int64_t c = 0; c < 3; c++) squares[c] += (double)in[3 * x + c] * in[3 * x + c];
  }
}
