// Shared by the files of Winograd's convolutions; not part of the module's interface.
//
// Winograd's minimal filtering (Lavin, Gray, "Fast algorithms for convolutional neural networks", CVPR 2016): a map is
// cut into tiles of m x m results, each of which needs a x a cells of the source, a = m + r - 1 for a kernel of r x r.
//   forward            Y  = A' [ (G w G') o (B' d B) ] A        summed over the source's channels
//   backward-data      the forward of dy with the weights turned around and transposed
//   backward-weights   dw = G' [ (B' d B) o (A dY A') ] G       summed over the tiles
// Here o multiplies element by element, so that for each of the a x a elements the sum over channels (or tiles) is one
// matrix product: a^2 multiplications give m^2 results instead of r^2 m^2.
#ifndef ICNN_CK_WINOGRAD_H
#define ICNN_CK_WINOGRAD_H
#include "convolution.h"

/// A convolution as its tiles see it. Source and result are x and y, or in backward-data dy and dx.
typedef struct {
  int32_t tile, kernel, step;           // a, r, m = a - r + 1
  int32_t elements;                     // a^2
  int32_t height, width;                // of the source map
  int32_t resultHeight, resultWidth;
  int32_t padTop, padLeft;              // zeros before the source map
  int32_t sourceBlocks, resultBlocks;   // of sixteen channels
  int32_t tileRows, tileColumns;        // in one map
  int64_t tiles;                        // in the batch
  int32_t chunk;                        // tiles that are transformed, multiplied and transformed back at a time
  int64_t sourceStride, resultStride;   // floats of one element of a chunk, all channels
  int64_t weightStride;                 // floats of one element of the transformed weights
} WinogradPlan;

/// Tiles first..<first + count of the batch, which lie at `place` and after in their chunk.
typedef struct {
  int64_t first;
  int32_t count, place;
} WinogradTiles;

/// True if this convolution can be computed with tiles of that extent (4 or 6).
int ck_winograd_fits(const ck_convolution_t *c, int32_t tile);
/// Floats of workspace that any pass wants for `threads` lanes, with chunks for the present number of threads.
int64_t ck_winograd_workspace(const ck_convolution_t *c, int32_t tile, int32_t threads);

void ck_winograd_forward(const ck_convolution_t *c, int32_t tile, const float *x, const float *w, const float *bias,
                         int relu, float *y, float *workspace, int64_t workspaceCount);
void ck_winograd_backward_data(const ck_convolution_t *c, int32_t tile, const float *dy, const float *w,
                               const float *rectified, float *dx, float *workspace, int64_t workspaceCount);
void ck_winograd_backward_weights(const ck_convolution_t *c, int32_t tile, const float *x, const float *dy, int add,
                                  float *dw, float *dbias, float *workspace, int64_t workspaceCount);

#endif
