// Two-dimensional convolution (cross-correlation, as everywhere in the field), forward and both directions of
// backward. Part of ckernels.h; layouts are explained there.
#ifndef ICNN_CK_CONVOLUTION_H
#define ICNN_CK_CONVOLUTION_H
#include <stdint.h>

/// What is convolved: x [N, C, H, W] with weights [O, C/groups, kh, kw] to y [N, O, H', W'],
///   y[n, o, h, w] = bias[o] + sum over i, a, b of x[n, i, sh h + a - top, sw w + b - left] weights[o, i, a, b],
/// x being zero outside the map. The padding below and to the right follows from H' and W'.
/// y is blocked; x is blocked, or interleaved (then groups is 1).
/// Weights lie as [O/16][C/groups/16][kh][kw][16 i][16 o] for blocked x, as [O/16][kh][kw][C][16 o] for interleaved
/// x, padded with zeros. With groups > 1 both C/groups and O/groups are multiples of 16.
typedef enum {
  CK_AUTOMATIC = 0,   // the fastest that fits, by the shape alone
  CK_DIRECT = 1,      // the sum as it is written above
  CK_WINOGRAD_4 = 4,  // tiles of 4 x 4: F(2x2, 3x3), as exact as the direct sum
  CK_WINOGRAD_6 = 6,  // tiles of 6 x 6: F(4x4, 3x3) and F(2x2, 5x5), about a decimal digit less exact
} ck_convolution_algorithm_t;

/// The three passes.
typedef enum { CK_FORWARD, CK_BACKWARD_DATA, CK_BACKWARD_WEIGHTS } ck_convolution_pass_t;

typedef struct {
  int64_t batch;                                 // N, may be 0
  int32_t channels, height, width;               // C, H, W
  int32_t outputs, outputHeight, outputWidth;    // O, H', W'
  int32_t kernelHeight, kernelWidth;             // kh, kw
  int32_t strideHeight, strideWidth;             // sh, sw
  int32_t padTop, padLeft;                       // top, left
  int32_t groups;                                // 1: every output sees every input
  int32_t interleaved;                           // non-zero: x and dx are [N][H][W][C]
  int32_t algorithm;                             // a ck_convolution_algorithm_t; direct where it does not fit
} ck_convolution_t;

/// What computes this pass: direct, or Winograd's with tiles of 4 or 6. Depends on the shape of one image
/// and the algorithm asked for, not on the batch; the reference instruction set is always direct.
ck_convolution_algorithm_t ck_convolution_choice(const ck_convolution_t *c, ck_convolution_pass_t pass);

/// Floats of workspace that any of the calls below wants for this convolution on the present number of threads.
/// With fewer, but at least those for one thread, they use fewer threads. The workspace is aligned to 64 bytes, its
/// content means nothing before and after a call.
int64_t ck_convolution_workspace(const ck_convolution_t *c);

/// x, w, bias -> y. bias, [O] padded to a multiple of 16, may be NULL; non-zero relu stores max(y, 0).
void ck_convolution_forward(const ck_convolution_t *c, const float *x, const float *w, const float *bias, int relu,
                            float *y, float *workspace, int64_t workspaceCount);
/// dy, w -> dx (overwritten): the transposed convolution. Unless it is NULL, `rectified` is x, the output of a ReLU whose
/// backward is done on the way: dx is zero where x is not positive.
void ck_convolution_backward_data(const ck_convolution_t *c, const float *dy, const float *w, const float *rectified,
                                  float *dx, float *workspace, int64_t workspaceCount);
/// x, dy -> dw and, unless it is NULL, dbias (sum of dy over n, h, w; [O] padded to a multiple of 16); added to what
/// they hold if `add` is not zero. The order of the sums does not depend on the number of threads.
void ck_convolution_backward_weights(const ck_convolution_t *c, const float *x, const float *dy, int add, float *dw,
                                     float *dbias, float *workspace, int64_t workspaceCount);

/// Sets to zero what lies outside the groups in dense-expanded weights [O/16][I/16][kernelArea][16 i][16 o] of
/// `groups` groups: the value of output o and input i is kept if o / (outputs/groups) == i / (inputs/groups).
void ck_convolution_zero_outside_groups(float *w, int32_t outputs, int32_t inputs, int32_t kernelArea,
                                        int32_t groups);

#endif
