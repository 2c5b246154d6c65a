#include "ck_images.h"
#include "check.h"

/// A resampling of `inputs` positions to `outputs`, each the mean of `taps` neighbours.
static ck_resampling resampling(int64_t inputs, int64_t outputs, int64_t taps) {
  int32_t *start = bytes(outputs * (int64_t)sizeof *start);
  float *weights = floats(outputs * taps, ZERO);
  for (int64_t o = 0; o < outputs; o++) start[o] = (int32_t)(o * (inputs - taps) / (outputs > 1 ? outputs - 1 : 1));
  for (int64_t i = 0; i < outputs * taps; i++) weights[i] = 1 / (float)taps;
  return (ck_resampling){inputs, outputs, taps, start, weights};
}

static void check_resize(int64_t height, int64_t width, int64_t outHeight, int64_t outWidth, int64_t taps) {
  check_begin("resizing %lldx%lld to %lldx%lld", (long long)height, (long long)width, (long long)outHeight,
              (long long)outWidth);
  while (check_next()) {
    uint8_t *pixels = bytes(height * width * 3);
    for (int64_t i = 0; i < height * width * 3; i++) pixels[i] = (uint8_t)random_below(256);
    ck_resampling rows = resampling(height, outHeight, taps), columns = resampling(width, outWidth, taps);
    float *output = floats(outHeight * outWidth * 3, UNTOUCHED);
    ck_image_resize(pixels, &rows, &columns, floats(3 * width + 1, UNTOUCHED), output);
    check_floats("pixels", output, outHeight * outWidth * 3, 0);
    release_arrays();
  }
}

/// A window of `side` pixels from (x, y) on in an image of `extent` pixels, brought to `size` pixels.
static void check_window(int64_t extent, ck_window window, int64_t size, const ck_color_change *color) {
  check_begin("window of %g at (%g, %g) in %lld pixels to %lld, flip %d%s", (double)window.side, (double)window.x,
              (double)window.y, (long long)extent, (long long)size, window.flip, color ? ", colours" : "");
  while (check_next()) {
    float *source = floats(extent * extent * 3, POSITIVE), *mean = floats(size * size * 3, NOISE);
    const float *scale = floats(3, POSITIVE);
    float *output = floats(size * size * 3, UNTOUCHED);
    for (int64_t i = 0; i < extent * extent * 3; i++) source[i] *= 255;
    ck_image_normalize(source, extent, window, size, color, mean, scale, output);
    check_floats("pixels", output, size * size * 3, 0);
    release_arrays();
  }
}

static void check_accumulate(int64_t extent, int64_t x0, int64_t y0, int64_t size) {
  check_begin("sums of %lld in %lld pixels", (long long)size, (long long)extent);
  while (check_next()) {
    float *source = floats(extent * extent * 3, POSITIVE);
    double *sum = doubles(size * size * 3, ZERO), *squares = doubles(9, ZERO);
    for (int64_t i = 0; i < extent * extent * 3; i++) source[i] *= 255;
    ck_image_accumulate(source, extent, x0, y0, size, sum, squares);
    check_doubles("sum", sum, size * size * 3, 0);
    check_doubles("squares", squares, 9, 0);
    release_arrays();
  }
}

static void run(void) {
  static const ck_color_change warmer = {{1.2f, 0.1f, 0, 0, 1, 0, -0.1f, 0, 0.8f}, 12};
  check_resize(7, 9, 4, 5, 2);
  check_resize(1, 1, 3, 2, 1);
  check_resize(5, 4, 9, 11, 4);
  check_window(9, (ck_window){2, 3, 6, 0}, 6, NULL);
  check_window(9, (ck_window){3, 3, 6, 1}, 6, &warmer);
  check_window(9, (ck_window){0.25f, 1.5f, 7.3f, 1}, 6, NULL);
  check_window(9, (ck_window){0, 0, 9, 0}, 13, &warmer);
  check_window(9, (ck_window){4.5f, 4.5f, 4.5f, 0}, 5, NULL);
  check_window(1, (ck_window){0, 0, 1, 1}, 1, &warmer);
  check_accumulate(9, 2, 3, 6);
  check_accumulate(9, 3, 3, 6);
  check_accumulate(1, 0, 0, 1);
}

const Family familyImages = {"images", run};
