// Shared by the files of the convolution family; not part of the module's interface.
#ifndef ICNN_CK_CONVOLUTION_INTERNAL_H
#define ICNN_CK_CONVOLUTION_INTERNAL_H
#include "internal.h"
#include <stdatomic.h>

/// What one work item of forward or backward-data writes: rows and channel blocks of one image.
typedef struct {
  int64_t image;
  int32_t rowBegin, rowEnd;
  int32_t group;
  int32_t blockBegin, blockEnd;  // counted within the group
} ConvolutionRegion;

/// What one work item of backward-weights adds up: rows (image, row) of y counted through the batch, for a
/// rectangle of weight blocks of one group.
typedef struct {
  int64_t rowBegin, rowEnd;
  int32_t group;
  int32_t outputBegin, outputEnd;  // blocks, counted within the group
  int32_t inputBegin, inputEnd;
} ConvolutionWeightRegion;

static inline int32_t ck_ceiling(int32_t a, int32_t b) { return (a + b - 1) / b; }
static inline int32_t ck_smaller(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t ck_larger(int32_t a, int32_t b) { return a > b ? a : b; }
/// Rounds a number of floats up to a multiple of sixteen.
static inline int64_t ck_aligned(int64_t floats) { return (floats + 15) / 16 * 16; }

/// Blocks of x in one group; an interleaved image counts as one block.
static inline int32_t ck_input_blocks(const ck_convolution_t *c) {
  return ck_ceiling(c->channels / c->groups, CK_BLOCK);
}
/// Blocks of y in one group.
static inline int32_t ck_output_blocks(const ck_convolution_t *c) {
  return ck_ceiling(c->outputs / c->groups, CK_BLOCK);
}
static inline int32_t ck_taps(const ck_convolution_t *c) { return c->kernelHeight * c->kernelWidth; }
/// Floats of the weights of one block of outputs.
static inline int64_t ck_weight_stride(const ck_convolution_t *c) {
  int64_t inputs = c->interleaved ? c->channels : ck_input_blocks(c) * CK_BLOCK;
  return inputs * ck_taps(c) * CK_BLOCK;
}
/// Offset of a block of one image in a blocked map of `blocks` blocks, each of `cells` cells.
static inline int64_t ck_plane(int64_t image, int32_t blocks, int32_t block, int64_t cells) {
  return (image * blocks + block) * cells * CK_BLOCK;
}

// A region's scratch memory. The vector bodies copy the part of the source map that a region needs into it, with
// the zeros of the padding, so that the inner loops know no borders. Columns of a stride s are sorted by their
// remainder modulo s: column s j + f of the padded map lies at [f][j], and neighbouring outputs read neighbouring
// cells whatever the stride.

typedef struct {
  int32_t chunkBlocks;   // source blocks that are copied and summed at a time
  int32_t phases;        // remainders f that occur
  int32_t columns;       // cells j of one remainder
  int64_t rowFloats;     // one row of one block: phases · columns · (16, or the channels of an interleaved image)
  int32_t rowLimit;      // most rows of the written map that a region may have
  int64_t blockFloats;   // one block of the copy
  int64_t tableFloats;   // table of tap offsets at the start of the scratch
  int64_t resultFloats;  // blocked copy of an interleaved dx at its end
  int64_t floats;        // everything
} ConvolutionScratch;

ConvolutionScratch ck_convolution_forward_scratch(const ck_convolution_t *c);
ConvolutionScratch ck_convolution_data_scratch(const ck_convolution_t *c);
/// Floats of scratch of one region of backward-weights.
int64_t ck_convolution_weight_scratch(const ck_convolution_t *c);
/// Cells that backward-weights sums in registers before it touches the weights' memory: few enough that the piece
/// of x and dy stays in the first-level cache for all taps.
#define CK_WEIGHT_CELLS 128
/// Rows of y that are summed so.
int32_t ck_convolution_weight_rows(const ck_convolution_t *c);

// Backward-data with a stride falls apart into sh · sw independent phases: the cells of dx whose padded row and
// column have the remainders (row, column) modulo the stride see only the taps of the same remainders.

/// Taps of remainder r of a kernel extent.
static inline int32_t ck_phase_taps(int32_t kernel, int32_t stride, int32_t r) {
  return r < kernel ? ck_ceiling(kernel - r, stride) : 0;
}
/// Taps in all phases before (row, column), in the order of rows, then columns.
static inline int32_t ck_taps_before_phase(const ck_convolution_t *c, int32_t row, int32_t column) {
  int32_t rowsBefore = 0, columnsBefore = 0;
  for (int32_t r = 0; r < row; r++) rowsBefore += ck_phase_taps(c->kernelHeight, c->strideHeight, r);
  for (int32_t r = 0; r < column; r++) columnsBefore += ck_phase_taps(c->kernelWidth, c->strideWidth, r);
  return rowsBefore * c->kernelWidth + ck_phase_taps(c->kernelHeight, c->strideHeight, row) * columnsBefore;
}

// Lanes: the items of one call, run by as many lanes as there are threads and scratch memory.

typedef struct Lanes {
  void (*item)(const struct Lanes *lanes, int64_t i, float *scratch);
  const void *call;
  atomic_llong next;
  int64_t count;
  float *scratch;
  int64_t scratchFloats;
} Lanes;

/// Calls item(lanes, i, scratch) for every i in 0..<count, each lane with `scratchFloats` of the `available` floats of its
/// own. A single item runs in the calling thread, where loops inside it may use all threads.
void ck_run_lanes(void (*item)(const Lanes *lanes, int64_t i, float *scratch), const void *call, int64_t count,
                  float *scratch, int64_t scratchFloats, int64_t available);

#endif
