// Public functions of convolution: they cut the work into regions, hand out scratch memory, and dispatch.
#include "convolution.h"
#include "winograd.h"
#include <stddef.h>
#include <string.h>

CK_DECLARE(ck_convolution_forward_region,
           (const ck_convolution_t *c, const ConvolutionRegion *region, const float *x, const float *w,
            const float *bias, int relu, float *y, float *scratch))
CK_DECLARE(ck_convolution_data_region,
           (const ck_convolution_t *c, const ConvolutionRegion *region, const float *dy, const float *w,
            const float *packed, const float *rectified, float *dx, float *scratch))
CK_DECLARE(ck_convolution_weight_region,
           (const ck_convolution_t *c, const ConvolutionWeightRegion *region, const float *x, const float *dy,
            float *dw, float *dbias, float *scratch))
CK_DECLARE(ck_convolution_pack_block,
           (const ck_convolution_t *c, const float *w, int32_t group, int32_t output, int32_t input, float *packed))

// MARK: The choice

/// Multiplications of one map and pair of channels with Winograd's tiles, what the tiles compute beyond the map included.
/// Not of the batch: ranks with different shares of it must compute alike, although few tiles do not repay the transforms
/// of the weights, which cost as much as 25 tiles.
static double winograd_cost(int32_t tile, int32_t kernel, int32_t height, int32_t width) {
  int32_t step = tile - kernel + 1;
  return (double)ck_ceiling(height, step) * ck_ceiling(width, step) * tile * tile;
}

// What tiles of 6 x 6 must save on those of 4 x 4: they have more transforms, and are less exact.
#define LARGE_TILE_COST 1.1
// What Winograd's must save on the direct sum. Measured over maps of 2 x 2 to 224 x 224 cells and 16 to 512 channels.
#define WINOGRAD_COST 1.2

ck_convolution_algorithm_t ck_convolution_choice(const ck_convolution_t *c, ck_convolution_pass_t pass) {
  if (ck_isa() == CK_REFERENCE || c->algorithm == CK_DIRECT) return CK_DIRECT;
  if (c->algorithm != CK_AUTOMATIC) return ck_winograd_fits(c, c->algorithm) ? c->algorithm : CK_DIRECT;
  int32_t height = pass == CK_BACKWARD_DATA ? c->height : c->outputHeight;
  int32_t width = pass == CK_BACKWARD_DATA ? c->width : c->outputWidth;
  ck_convolution_algorithm_t best = CK_DIRECT;
  double least = (double)height * width * ck_taps(c);
  if (ck_winograd_fits(c, 4)) {
    double cost = WINOGRAD_COST * winograd_cost(4, c->kernelHeight, height, width);
    if (cost < least) best = CK_WINOGRAD_4, least = cost;
  }
  if (ck_winograd_fits(c, 6)) {
    double cost = WINOGRAD_COST * LARGE_TILE_COST * winograd_cost(6, c->kernelHeight, height, width);
    if (cost < least) best = CK_WINOGRAD_6;
  }
  return best;
}

/// Extent of Winograd's tiles, or 0: direct.
static int32_t winograd_tile(const ck_convolution_t *c, ck_convolution_pass_t pass) {
  ck_convolution_algorithm_t choice = ck_convolution_choice(c, pass);
  return choice == CK_DIRECT ? 0 : (int32_t)choice;
}

// MARK: Scratch memory

// Floats of scratch that one region should stay below: about a third of a second-level cache of 1 MiB, the rest
// being left to the weights and the results.
#define SCRATCH_FLOATS 98304
// Floats of weights of a pair of output blocks that are used for a whole region before the next ones.
#define CHUNK_WEIGHT_FLOATS 40960

/// Equal chunks of at most what the weights' share of the cache holds.
static int32_t chunk_blocks(int32_t blocks, int32_t taps) {
  int32_t most = ck_larger(CHUNK_WEIGHT_FLOATS / (taps * 2 * CK_BLOCK * CK_BLOCK), 1);
  return ck_ceiling(blocks, ck_ceiling(blocks, most));
}

/// Most rows whose copy stays within SCRATCH_FLOATS, at least one; `extra` rows are copied besides `step` per row.
static int32_t row_limit(int32_t height, int64_t floatsPerCopiedRow, int32_t step, int32_t extra) {
  int64_t copied = SCRATCH_FLOATS / floatsPerCopiedRow;
  int64_t rows = (copied - extra) / step;
  return rows < 1 ? 1 : rows > height ? height : (int32_t)rows;
}

ConvolutionScratch ck_convolution_forward_scratch(const ck_convolution_t *c) {
  ConvolutionScratch s = {0};
  int64_t channels = c->interleaved ? c->channels : CK_BLOCK;
  s.chunkBlocks = chunk_blocks(ck_input_blocks(c), ck_taps(c));
  s.phases = ck_smaller(c->strideWidth, c->kernelWidth);
  s.columns = c->outputWidth + (c->kernelWidth - 1) / c->strideWidth;
  s.rowFloats = channels * s.phases * s.columns;
  int32_t extra = c->kernelHeight - c->strideHeight;
  s.rowLimit = row_limit(c->outputHeight, s.chunkBlocks * s.rowFloats, c->strideHeight, extra);
  s.blockFloats = (((int64_t)s.rowLimit - 1) * c->strideHeight + c->kernelHeight) * s.rowFloats;
  s.tableFloats = ck_aligned(ck_taps(c) * (c->interleaved ? c->channels : 1));
  s.floats = s.tableFloats + ck_aligned(s.chunkBlocks * s.blockFloats);
  return s;
}

ConvolutionScratch ck_convolution_data_scratch(const ck_convolution_t *c) {
  ConvolutionScratch s = {0};
  int32_t tapRows = ck_ceiling(c->kernelHeight, c->strideHeight);
  int32_t tapColumns = ck_ceiling(c->kernelWidth, c->strideWidth);
  int32_t firstColumn = c->padLeft / c->strideWidth;
  int32_t lastColumn = (c->padLeft + c->width - 1) / c->strideWidth;
  s.chunkBlocks = chunk_blocks(ck_output_blocks(c), ck_taps(c));
  s.phases = 1;
  s.columns = lastColumn - firstColumn + tapColumns;
  s.rowFloats = (int64_t)s.columns * CK_BLOCK;
  int64_t copied = SCRATCH_FLOATS / (s.chunkBlocks * s.rowFloats);
  int64_t rows = (copied - tapRows) * c->strideHeight;
  s.rowLimit = rows < 1 ? 1 : rows > c->height ? c->height : (int32_t)rows;
  int32_t copiedRows = (s.rowLimit + c->strideHeight - 2) / c->strideHeight + tapRows;
  s.blockFloats = copiedRows * s.rowFloats;
  s.tableFloats = ck_aligned(ck_taps(c));
  s.resultFloats = c->interleaved ? (int64_t)s.rowLimit * c->width * CK_BLOCK : 0;
  s.floats = s.tableFloats + ck_aligned(s.chunkBlocks * s.blockFloats) + s.resultFloats;
  return s;
}

int32_t ck_convolution_weight_rows(const ck_convolution_t *c) {
  return ck_smaller(ck_larger(CK_WEIGHT_CELLS / c->outputWidth, 1), c->outputHeight);
}

int64_t ck_convolution_weight_scratch(const ck_convolution_t *c) {
  if (!c->interleaved) return 0;
  int64_t rows = (ck_convolution_weight_rows(c) - 1) * c->strideHeight + c->kernelHeight;
  int64_t columns = (c->outputWidth - 1) * c->strideWidth + c->kernelWidth;
  return ck_aligned(rows * columns * c->channels);
}

/// A 1 x 1 convolution without stride or padding sees no rows and columns, only cells: short rows are joined.
static ck_convolution_t with_long_rows(const ck_convolution_t *c) {
  ck_convolution_t joined = *c;
  int pointwise = ck_taps(c) == 1 && c->strideHeight == 1 && c->strideWidth == 1 && c->padTop == 0 &&
                  c->padLeft == 0 && c->outputHeight == c->height && c->outputWidth == c->width;
  if (!pointwise) return joined;
  int32_t rows = 1;
  while (rows < c->height && (c->height % rows != 0 || rows * c->width < 28)) rows++;
  joined.height = joined.outputHeight = c->height / rows;
  joined.width = joined.outputWidth = c->width * rows;
  return joined;
}

// MARK: Forward and backward-data

/// How the written map is cut into regions. It may depend on the number of threads: no sum crosses regions.
typedef struct {
  int32_t rows, rowRegions;
  int32_t blocks, blocksPerGroup, blockRegions;
  int32_t height, groups;
  int64_t count;
} Partition;

static Partition partition(int64_t batch, int32_t height, int32_t rowLimit, int32_t groups, int32_t blocksPerGroup) {
  Partition p = {.rows = rowLimit, .blocks = blocksPerGroup, .height = height, .groups = groups};
  p.blocksPerGroup = blocksPerGroup;
  int threads = ck_threads_count();
  int64_t wanted = threads > 1 ? 4 * threads : 1;
  for (;;) {
    p.rowRegions = ck_ceiling(height, p.rows);
    p.blockRegions = ck_ceiling(blocksPerGroup, p.blocks);
    p.rows = ck_ceiling(height, p.rowRegions);
    p.count = batch * groups * p.rowRegions * p.blockRegions;
    if (p.count >= wanted || batch == 0) return p;
    if (p.rows > 4) p.rows = ck_ceiling(p.rows, 2);
    else if (p.blocks > 4) p.blocks = ck_ceiling(p.blocks, 2);
    else if (p.rows > 1) p.rows = ck_ceiling(p.rows, 2);
    else if (p.blocks > 1) p.blocks = ck_ceiling(p.blocks, 2);
    else return p;
  }
}

static ConvolutionRegion region_at(const Partition *p, int64_t i) {
  ConvolutionRegion r;
  int32_t block = (int32_t)(i % p->blockRegions), row = (int32_t)(i / p->blockRegions % p->rowRegions);
  i /= (int64_t)p->blockRegions * p->rowRegions;
  r.group = (int32_t)(i % p->groups);
  r.image = i / p->groups;
  r.rowBegin = row * p->rows;
  r.rowEnd = ck_smaller(r.rowBegin + p->rows, p->height);
  r.blockBegin = block * p->blocks;
  r.blockEnd = ck_smaller(r.blockBegin + p->blocks, p->blocksPerGroup);
  return r;
}

typedef struct {
  ck_convolution_t c;
  Partition regions;
  const float *source, *w, *bias, *packed, *rectified;
  int relu;
  float *result;
} MapCall;

static void forward_item(const Lanes *lanes, int64_t i, float *scratch) {
  const MapCall *call = lanes->call;
  ConvolutionRegion region = region_at(&call->regions, i);
  CK_DISPATCH(ck_convolution_forward_region,
              (&call->c, &region, call->source, call->w, call->bias, call->relu, call->result, scratch))
}

void ck_convolution_forward(const ck_convolution_t *c, const float *x, const float *w, const float *bias, int relu,
                            float *y, float *workspace, int64_t workspaceCount) {
  int32_t tile = winograd_tile(c, CK_FORWARD);
  if (tile) {
    ck_winograd_forward(c, tile, x, w, bias, relu, y, workspace, workspaceCount);
    return;
  }
  MapCall call = {.c = with_long_rows(c), .source = x, .w = w, .bias = bias, .relu = relu, .result = y};
  ConvolutionScratch scratch = ck_convolution_forward_scratch(&call.c);
  call.regions = partition(c->batch, call.c.outputHeight, scratch.rowLimit, c->groups, ck_output_blocks(c));
  ck_run_lanes(forward_item, &call, call.regions.count, workspace, scratch.floats, workspaceCount);
}

static int64_t packed_floats(const ck_convolution_t *c) {
  return (int64_t)c->groups * ck_input_blocks(c) * ck_output_blocks(c) * ck_taps(c) * CK_BLOCK * CK_BLOCK;
}

static void pack_item(void *context, int64_t i) {
  const MapCall *call = context;
  int32_t inputs = ck_input_blocks(&call->c), outputs = ck_output_blocks(&call->c);
  int32_t input = (int32_t)(i % inputs), output = (int32_t)(i / inputs % outputs);
  int32_t group = (int32_t)(i / inputs / outputs);
  CK_DISPATCH(ck_convolution_pack_block, (&call->c, call->w, group, output, input, (float *)call->packed))
}

static void data_item(const Lanes *lanes, int64_t i, float *scratch) {
  const MapCall *call = lanes->call;
  ConvolutionRegion region = region_at(&call->regions, i);
  CK_DISPATCH(ck_convolution_data_region,
              (&call->c, &region, call->source, call->w, call->packed, call->rectified, call->result, scratch))
}

void ck_convolution_backward_data(const ck_convolution_t *c, const float *dy, const float *w, const float *rectified,
                                  float *dx, float *workspace, int64_t workspaceCount) {
  if (c->batch == 0) return;
  int32_t tile = winograd_tile(c, CK_BACKWARD_DATA);
  if (tile) {
    ck_winograd_backward_data(c, tile, dy, w, rectified, dx, workspace, workspaceCount);
    return;
  }
  MapCall call = {.c = with_long_rows(c), .source = dy, .w = w, .packed = workspace, .rectified = rectified,
                  .result = dx};
  ck_parallel((int64_t)c->groups * ck_input_blocks(c) * ck_output_blocks(c), pack_item, &call);
  ConvolutionScratch scratch = ck_convolution_data_scratch(&call.c);
  call.regions = partition(c->batch, call.c.height, scratch.rowLimit, c->groups, ck_input_blocks(c));
  int64_t packed = packed_floats(c);
  ck_run_lanes(data_item, &call, call.regions.count, workspace + packed, scratch.floats, workspaceCount - packed);
}

// MARK: Backward-weights

/// How the sum is cut: into rectangles of weights, and where these are too few into parts of the batch, each with
/// its own copy of the gradient. Fixed by the convolution alone, so that sums do not depend on the threads.
typedef struct {
  int32_t outputs, outputRegions;  // blocks of one region, regions in a group
  int32_t inputs, inputRegions;
  int64_t rows;
  int64_t parts;
  int64_t weightFloats, partFloats;  // one copy of dw; with dbias behind it
  int64_t count;
} WeightPartition;

static WeightPartition weight_partition(const ck_convolution_t *c) {
  WeightPartition p;
  int32_t outputs = ck_output_blocks(c), inputs = ck_input_blocks(c);
  p.outputs = ck_smaller(outputs, 2);
  p.outputRegions = ck_ceiling(outputs, p.outputs);
  p.inputRegions = ck_ceiling(inputs, 4);
  p.inputs = ck_ceiling(inputs, p.inputRegions);
  p.inputRegions = ck_ceiling(inputs, p.inputs);
  p.rows = c->batch * c->outputHeight;
  int64_t rectangles = (int64_t)c->groups * p.outputRegions * p.inputRegions;
  // Enough items for many threads, but none of so few cells that the final sum would cost as much.
  p.parts = (64 + rectangles - 1) / rectangles;
  int64_t most = p.rows * c->outputWidth / 512;
  if (p.parts > most) p.parts = most;
  if (p.parts < 1) p.parts = 1;
  p.weightFloats = (int64_t)c->groups * outputs * ck_weight_stride(c);
  p.partFloats = p.weightFloats + (int64_t)c->groups * outputs * CK_BLOCK;
  p.count = p.rows > 0 ? p.parts * rectangles : 0;
  return p;
}

typedef struct {
  ck_convolution_t c;
  WeightPartition regions;
  const float *x, *dy;
  int add;
  float *dw, *dbias;
  float *copies;  // NULL: one part, which sums in dw itself
} WeightCall;

static void weight_item(const Lanes *lanes, int64_t i, float *scratch) {
  const WeightCall *call = lanes->call;
  const WeightPartition *p = &call->regions;
  int32_t outputs = ck_output_blocks(&call->c), inputs = ck_input_blocks(&call->c);
  ConvolutionWeightRegion r;
  r.inputBegin = (int32_t)(i % p->inputRegions) * p->inputs;
  r.inputEnd = ck_smaller(r.inputBegin + p->inputs, inputs);
  i /= p->inputRegions;
  r.outputBegin = (int32_t)(i % p->outputRegions) * p->outputs;
  r.outputEnd = ck_smaller(r.outputBegin + p->outputs, outputs);
  i /= p->outputRegions;
  r.group = (int32_t)(i % call->c.groups);
  int64_t part = i / call->c.groups;
  r.rowBegin = part * p->rows / p->parts;
  r.rowEnd = (part + 1) * p->rows / p->parts;
  float *dw = call->dw, *dbias = call->dbias;
  if (call->copies) {
    dw = call->copies + part * p->partFloats;
    if (dbias) dbias = dw + p->weightFloats;
  }
  if (call->copies || !call->add) {
    int64_t blockFloats = ck_weight_stride(&call->c) / inputs;
    int32_t first = r.group * outputs + r.outputBegin;
    for (int32_t block = first; block < first + r.outputEnd - r.outputBegin; block++) {
      memset(dw + block * inputs * blockFloats + r.inputBegin * blockFloats, 0,
             (size_t)((r.inputEnd - r.inputBegin) * blockFloats) * sizeof(float));
      if (dbias && r.inputBegin == 0) memset(dbias + block * CK_BLOCK, 0, CK_BLOCK * sizeof(float));
    }
  }
  if (r.inputBegin > 0) dbias = NULL;  // the regions of the first inputs sum the bias
  CK_DISPATCH(ck_convolution_weight_region, (&call->c, &r, call->x, call->dy, dw, dbias, scratch))
}

static void add_copies_item(void *context, int64_t i) {
  const WeightCall *call = context;
  const WeightPartition *p = &call->regions;
  int64_t begin = i * CK_PIECE / 16, end = begin + CK_PIECE / 16;
  if (end > p->partFloats) end = p->partFloats;
  if (begin >= p->weightFloats && !call->dbias) return;
  for (int64_t part = 0; part < p->parts; part++) {
    const float *copy = call->copies + part * p->partFloats;
    int add = call->add || part > 0;
    int64_t j = begin;
    for (; j < end && j < p->weightFloats; j++) call->dw[j] = add ? call->dw[j] + copy[j] : copy[j];
    if (!call->dbias) continue;
    for (; j < end; j++) {
      float *dbias = call->dbias + j - p->weightFloats;
      *dbias = add ? *dbias + copy[j] : copy[j];
    }
  }
}

void ck_convolution_backward_weights(const ck_convolution_t *c, const float *x, const float *dy, int add, float *dw,
                                     float *dbias, float *workspace, int64_t workspaceCount) {
  int32_t tile = winograd_tile(c, CK_BACKWARD_WEIGHTS);
  if (tile) {
    ck_winograd_backward_weights(c, tile, x, dy, add, dw, dbias, workspace, workspaceCount);
    return;
  }
  WeightCall call = {.c = with_long_rows(c), .x = x, .dy = dy, .add = add, .dw = dw, .dbias = dbias};
  call.regions = weight_partition(&call.c);
  const WeightPartition *p = &call.regions;
  int64_t copies = p->parts > 1 ? p->parts * p->partFloats : 0;
  if (copies > 0) call.copies = workspace;
  if (p->count == 0 && !add) {  // no image: the sums are empty
    memset(dw, 0, (size_t)p->weightFloats * sizeof(float));
    if (dbias) memset(dbias, 0, (size_t)(p->partFloats - p->weightFloats) * sizeof(float));
  }
  int64_t scratch = ck_convolution_weight_scratch(&call.c);
  ck_run_lanes(weight_item, &call, p->count, workspace + copies, scratch, workspaceCount - copies);
  if (copies > 0) ck_parallel((p->partFloats + CK_PIECE / 16 - 1) / (CK_PIECE / 16), add_copies_item, &call);
}

// MARK: Workspace and groups

int64_t ck_convolution_workspace(const ck_convolution_t *original) {
  ck_convolution_t c = with_long_rows(original);
  int64_t lanes = ck_threads_count();
  int64_t forward = lanes * ck_convolution_forward_scratch(&c).floats;
  int64_t data = packed_floats(&c) + lanes * ck_convolution_data_scratch(&c).floats;
  WeightPartition p = weight_partition(&c);
  int64_t weights = (p.parts > 1 ? p.parts * p.partFloats : 0) + lanes * ck_convolution_weight_scratch(&c);
  int64_t most = forward > data ? forward : data;
  if (weights > most) most = weights;
  for (int pass = CK_FORWARD; pass <= CK_BACKWARD_WEIGHTS; pass++) {
    int32_t tile = winograd_tile(original, (ck_convolution_pass_t)pass);
    int64_t floats = tile ? ck_winograd_workspace(original, tile, (int32_t)lanes) : 0;
    if (floats > most) most = floats;
  }
  return most;
}

void ck_convolution_zero_outside_groups(float *w, int32_t outputs, int32_t inputs, int32_t kernelArea,
                                        int32_t groups) {
  int32_t outputBlocks = ck_ceiling(outputs, CK_BLOCK), inputBlocks = ck_ceiling(inputs, CK_BLOCK);
  int32_t outputsPerGroup = outputs / groups, inputsPerGroup = inputs / groups;
  for (int32_t output = 0; output < outputBlocks; output++)
    for (int32_t input = 0; input < inputBlocks; input++)
      for (int32_t tap = 0; tap < kernelArea; tap++, w += CK_BLOCK * CK_BLOCK)
        for (int32_t i = 0; i < CK_BLOCK; i++)
          for (int32_t o = 0; o < CK_BLOCK; o++)
            if ((output * CK_BLOCK + o) / outputsPerGroup != (input * CK_BLOCK + i) / inputsPerGroup)
              w[i * CK_BLOCK + o] = 0;
}
