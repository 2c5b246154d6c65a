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

// Where an output pixel looks along one axis: between inputs low and high, the second with weight `fraction`.
typedef struct {
  int64_t low, high;
  float fraction;
} ck_tap;

static ck_tap ck_tap_at(float u, int64_t inputs) {
  float last = (float)(inputs - 1);
  u = u < 0 ? 0 : u > last ? last : u;
  int64_t low = (int64_t)u;
  return (ck_tap){low, low + 1 < inputs ? low + 1 : low, u - (float)low};
}

static float ck_mix(float a, float b, float fraction) { return a + fraction * (b - a); }

// Row y of the window, unmirrored, interpolated.
static void ck_window_row(const float *source, int64_t side, ck_window window, int64_t size, int64_t y, float *out) {
  float step = window.side / (float)size;
  ck_tap row = ck_tap_at(window.y + ((float)y + 0.5f) * step - 0.5f, side);
  const float *upper = source + row.low * side * 3, *lower = source + row.high * side * 3;
  for (int64_t x = 0; x < size; x++) {
    ck_tap column = ck_tap_at(window.x + ((float)x + 0.5f) * step - 0.5f, side);
    const float *a = upper + 3 * column.low, *b = upper + 3 * column.high;
    const float *c = lower + 3 * column.low, *d = lower + 3 * column.high;
    for (int64_t i = 0; i < 3; i++)
      out[3 * x + i] = ck_mix(ck_mix(a[i], b[i], column.fraction), ck_mix(c[i], d[i], column.fraction), row.fraction);
  }
}

static void ck_mirror_row(float *row, int64_t size) {
  for (int64_t x = 0; x < size / 2; x++)
    for (int64_t c = 0; c < 3; c++) {
      float *left = row + 3 * x + c, *right = row + 3 * (size - 1 - x) + c, value = *left;
      *left = *right, *right = value;
    }
}

static void ck_change_colors(float *row, int64_t size, const ck_color_change *change) {
  const float *m = change->matrix;
  for (int64_t x = 0; x < size; x++, row += 3) {
    float in[3] = {row[0], row[1], row[2]};
    for (int64_t c = 0; c < 3; c++) {
      float value = m[3 * c] * in[0] + m[3 * c + 1] * in[1] + m[3 * c + 2] * in[2] + change->offset;
      row[c] = value < 0 ? 0 : value > 255 ? 255 : value;
    }
  }
}

void ck_image_normalize(const float *source, int64_t side, ck_window window, int64_t size,
                        const ck_color_change *color, const float *mean, const float scale[3], float *output) {
  int64_t x0 = (int64_t)window.x, y0 = (int64_t)window.y;
  int isExact = window.side == (float)size && window.x == (float)x0 && window.y == (float)y0;
  for (int64_t y = 0; y < size; y++, mean += 3 * size, output += 3 * size) {
    if (isExact)
      memcpy(output, source + ((y0 + y) * side + x0) * 3, (size_t)(3 * size) * sizeof(float));
    else
      ck_window_row(source, side, window, size, y, output);
    if (window.flip) ck_mirror_row(output, size);
    if (color) ck_change_colors(output, size, color);
    for (int64_t x = 0; x < size; x++)
      for (int64_t c = 0; c < 3; c++) output[3 * x + c] = (output[3 * x + c] - mean[3 * x + c]) * scale[c];
  }
}

// In Double the rounding is exact, and SSE2 has it for four values at a time.
static int32_t ck_fixed_point(float value) { return (int32_t)((double)value * 65536 + 0.5); }

void ck_image_accumulate(const float *source, int64_t side, int64_t x0, int64_t y0, int64_t size, double *sum,
                         double squares[9]) {
  for (int64_t y = 0; y < size; y++) {
    const float *in = source + ((y0 + y) * side + x0) * 3;
    double *out = sum + y * size * 3;
    for (int64_t i = 0; i < 3 * size; i++) out[i] += (double)ck_fixed_point(in[i]);
    uint64_t row[3] = {0, 0, 0};
    for (int64_t x = 0; x < size; x++)
      for (int64_t c = 0; c < 3; c++) {
        uint64_t value = (uint64_t)ck_fixed_point(in[3 * x + c]);
        row[c] += value * value;
      }
    for (int64_t c = 0; c < 3; c++)
      for (int64_t digit = 0; digit < 3; digit++)
        squares[3 * c + digit] += (double)(row[c] >> (20 * digit) & (digit < 2 ? 0xfffff : ~(uint64_t)0));
  }
}
