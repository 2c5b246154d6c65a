// From decoded pixels to network input. Pixels are interleaved [H][W][3].
#ifndef ICNN_CK_IMAGES_H
#define ICNN_CK_IMAGES_H
#include <stdint.h>

/// One axis of a resampling: output o is the sum over t < taps of weights[o * taps + t] * input[start[o] + t].
/// Every start[o] + taps lies within the axis.
typedef struct {
  int64_t inputs, outputs, taps;
  const int32_t *start;
  const float *weights;
} ck_resampling;

/// Resizes 8-bit pixels [rows.inputs][columns.inputs][3] into output [rows.outputs][columns.outputs][3].
/// scratch holds one row: 3 * columns.inputs + 1 floats.
void ck_image_resize(const uint8_t *source, const ck_resampling *rows, const ck_resampling *columns, float *scratch,
                     float *output);

/// A square part of an image: corner and side in pixels, mirrored left to right if flip is non-zero.
typedef struct {
  float x, y, side;
  int flip;
} ck_window;

/// A change of colours: out[c] = sum over k of matrix[3c + k] * in[k], plus offset, clamped to 0...255.
typedef struct {
  float matrix[9], offset;
} ck_color_change;

/// Cuts a window from source [side][side][3], brings it to size x size pixels, changes its colours unless `color` is
/// null, subtracts mean [size][size][3] and multiplies by scale[3].
///
/// Bilinear between the centres of pixels, the border repeated. A window of `size` pixels at whole numbers is copied bit
/// for bit.
void ck_image_normalize(const float *source, int64_t side, ck_window window, int64_t size,
                        const ck_color_change *color, const float *mean, const float scale[3], float *output);

/// Adds the window of size x size pixels (0...255) at (x0, y0) of source [side][side][3] to sum [size][size][3], as whole
/// multiples of 1/65536, and each channel's squares of these to squares [3][3]: digits of base 2^20, the lowest first,
/// of the sum of each row (size <= 4096).
///
/// All of it are whole numbers in Double: added up in any order they give the same bits, up to 2^29 images for sum and
/// 2^33 rows for squares.
void ck_image_accumulate(const float *source, int64_t side, int64_t x0, int64_t y0, int64_t size, double *sum,
                         double squares[9]);

#endif
