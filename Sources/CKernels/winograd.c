// Winograd's convolutions: how the tiles of a batch are cut into chunks and shared by the threads.
#include "winograd.h"
#include <string.h>

// There is no reference body: the reference of a convolution is the direct one.
#if defined(__x86_64__)
#define DECLARE(name, parameters) void name##_portable parameters; void name##_avx2 parameters; void name##_avx512 parameters;
#define DISPATCH(name, arguments) \
  switch (ck_isa()) { \
    case CK_AVX512: name##_avx512 arguments; break; \
    case CK_AVX2: name##_avx2 arguments; break; \
    default: name##_portable arguments; break; \
  }
#else
#define DECLARE(name, parameters) void name##_portable parameters;
#define DISPATCH(name, arguments) name##_portable arguments;
#endif

DECLARE(ck_winograd_source,
        (const WinogradPlan *plan, const float *source, const WinogradTiles *tiles, float *transformed))
DECLARE(ck_winograd_result,
        (const WinogradPlan *plan, const float *products, const WinogradTiles *tiles, const float *bias, int relu,
         const float *rectified, float *result))
DECLARE(ck_winograd_gradient,
        (const WinogradPlan *plan, const float *dy, const WinogradTiles *tiles, float *transformed))
DECLARE(ck_winograd_multiply,
        (const WinogradPlan *plan, const float *source, const float *weights, int32_t count, float *products))
DECLARE(ck_winograd_accumulate,
        (const WinogradPlan *plan, const float *source, const float *gradient, int32_t begin, int32_t end,
         int32_t count, int first, float *sums))
DECLARE(ck_winograd_bias,
        (const WinogradPlan *plan, const float *gradient, int32_t count, int first, float *dbias))
DECLARE(ck_winograd_weights, (const WinogradPlan *plan, const float *w, float *transformed))
DECLARE(ck_winograd_turned_weights, (const WinogradPlan *plan, const float *w, float *transformed))
DECLARE(ck_winograd_weight_gradient,
        (const WinogradPlan *plan, const float *sums, int32_t parts, int64_t partFloats, int add, float *dw))

// MARK: Plans

// Floats of transformed source and result of one chunk: what stays in a second-level cache beside the weights.
#define CHUNK_FLOATS 262144
// Fewest tiles of a chunk, so that the transformed weights are not read, or their gradients not read and written, too
// often for it.
#define LEAST_TILES 168
#define LEAST_TILES_OF_GRADIENT 84
// Floats of a gradient of transformed weights up to which the batch is cut into parts, each with its own copy.
#define PART_FLOATS 655360
#define PARTS 8

int ck_winograd_fits(const ck_convolution_t *c, int32_t tile) {
  int32_t r = c->kernelHeight;
  int known = (tile == 4 && r == 3) || (tile == 6 && (r == 3 || r == 5));
  return known && c->kernelWidth == r && c->strideHeight == 1 && c->strideWidth == 1 && c->groups == 1 &&
         !c->interleaved && c->padTop < r && c->padLeft < r;
}

/// Floats between two elements of a chunk or of the weights: no multiple of 4096 bytes, or the elements of a tile would
/// fall into few lines of the caches.
static int64_t element_stride(int64_t floats) { return floats % 1024 == 0 ? floats + CK_BLOCK : floats; }

static WinogradPlan new_plan(const ck_convolution_t *c, int32_t tile, int turned) {
  WinogradPlan p = {.tile = tile, .kernel = c->kernelHeight, .step = tile - c->kernelHeight + 1,
                    .elements = tile * tile};
  int32_t inputs = ck_input_blocks(c), outputs = ck_output_blocks(c);
  p.height = turned ? c->outputHeight : c->height, p.width = turned ? c->outputWidth : c->width;
  p.resultHeight = turned ? c->height : c->outputHeight, p.resultWidth = turned ? c->width : c->outputWidth;
  p.padTop = turned ? p.kernel - 1 - c->padTop : c->padTop;
  p.padLeft = turned ? p.kernel - 1 - c->padLeft : c->padLeft;
  p.sourceBlocks = turned ? outputs : inputs, p.resultBlocks = turned ? inputs : outputs;
  p.tileRows = ck_ceiling(p.resultHeight, p.step), p.tileColumns = ck_ceiling(p.resultWidth, p.step);
  p.tiles = c->batch * p.tileRows * p.tileColumns;
  p.weightStride = element_stride((int64_t)inputs * outputs * CK_BLOCK * CK_BLOCK);
  return p;
}

static int64_t weight_floats(const WinogradPlan *p) { return p->elements * p->weightStride; }

static void set_chunk(WinogradPlan *p, int64_t least, int64_t most) {
  int64_t perTile = (int64_t)p->elements * (p->sourceBlocks + p->resultBlocks) * CK_BLOCK;
  int64_t chunk = CHUNK_FLOATS / perTile;
  if (chunk < least) chunk = least;
  if (chunk > most) chunk = most;
  if (chunk < 1) chunk = 1;
  int64_t count = (p->tiles + chunk - 1) / chunk;
  if (count > 0) chunk = (p->tiles + count - 1) / count;
  p->chunk = (int32_t)chunk;
  p->sourceStride = element_stride((int64_t)p->sourceBlocks * p->chunk * CK_BLOCK);
  p->resultStride = element_stride((int64_t)p->resultBlocks * p->chunk * CK_BLOCK);
}

/// Chunks of forward and backward-data: no sum crosses tiles, so they may depend on the number of threads.
static WinogradPlan map_plan(const ck_convolution_t *c, int32_t tile, int turned) {
  WinogradPlan p = new_plan(c, tile, turned);
  set_chunk(&p, weight_floats(&p) > CHUNK_FLOATS ? LEAST_TILES : 1, (p.tiles + ck_threads_count() - 1) / ck_threads_count());
  return p;
}

static int64_t source_floats(const WinogradPlan *p) { return p->elements * p->sourceStride; }
static int64_t result_floats(const WinogradPlan *p) { return p->elements * p->resultStride; }
static int64_t chunk_count(const WinogradPlan *p) { return (p->tiles + p->chunk - 1) / p->chunk; }

static WinogradTiles chunk_tiles(const WinogradPlan *p, int64_t chunk) {
  WinogradTiles tiles = {.first = chunk * p->chunk, .count = p->chunk};
  if (tiles.count > p->tiles - tiles.first) tiles.count = (int32_t)(p->tiles - tiles.first);
  return tiles;
}

// MARK: Forward and backward-data

typedef struct {
  WinogradPlan plan;
  int turned;
  const float *source, *w, *bias, *rectified;
  int relu;
  float *weights, *result;
} MapCall;

static void weights_item(void *context, int64_t i) {
  const MapCall *call = context;
  const WinogradPlan *p = &call->plan;
  int32_t source = (int32_t)(i % p->sourceBlocks), result = (int32_t)(i / p->sourceBlocks);
  int64_t block = (int64_t)p->kernel * p->kernel * CK_BLOCK * CK_BLOCK;
  float *weights = call->weights + i * CK_BLOCK * CK_BLOCK;
  if (call->turned) {
    DISPATCH(ck_winograd_turned_weights,
             (p, call->w + ((int64_t)source * p->resultBlocks + result) * block, weights))
  } else {
    DISPATCH(ck_winograd_weights, (p, call->w + i * block, weights))
  }
}

static void map_item(const Lanes *lanes, int64_t i, float *scratch) {
  const MapCall *call = lanes->call;
  const WinogradPlan *p = &call->plan;
  WinogradTiles tiles = chunk_tiles(p, i);
  float *source = scratch, *products = scratch + source_floats(p);
  DISPATCH(ck_winograd_source, (p, call->source, &tiles, source))
  for (int32_t e = 0; e < p->elements; e++)
    DISPATCH(ck_winograd_multiply,
             (p, source + e * p->sourceStride, call->weights + e * p->weightStride, tiles.count,
              products + e * p->resultStride))
  DISPATCH(ck_winograd_result, (p, products, &tiles, call->bias, call->relu, call->rectified, call->result))
}

static void map_call(MapCall *call, float *workspace, int64_t workspaceCount) {
  const WinogradPlan *p = &call->plan;
  if (p->tiles == 0) return;
  // A workspace that was asked for more threads holds smaller chunks.
  while (p->chunk > 1 && weight_floats(p) + source_floats(p) + result_floats(p) > workspaceCount)
    set_chunk(&call->plan, 1, p->chunk - 1);
  call->weights = workspace;
  ck_parallel((int64_t)p->sourceBlocks * p->resultBlocks, weights_item, call);
  int64_t weights = weight_floats(p);
  ck_run_lanes(map_item, call, chunk_count(p), workspace + weights, source_floats(p) + result_floats(p),
               workspaceCount - weights);
}

void ck_winograd_forward(const ck_convolution_t *c, int32_t tile, const float *x, const float *w, const float *bias,
                         int relu, float *y, float *workspace, int64_t workspaceCount) {
  MapCall call = {.plan = map_plan(c, tile, 0), .source = x, .w = w, .bias = bias, .relu = relu, .result = y};
  map_call(&call, workspace, workspaceCount);
}

void ck_winograd_backward_data(const ck_convolution_t *c, int32_t tile, const float *dy, const float *w,
                               const float *rectified, float *dx, float *workspace, int64_t workspaceCount) {
  MapCall call = {
      .plan = map_plan(c, tile, 1), .turned = 1, .source = dy, .w = w, .rectified = rectified, .result = dx};
  map_call(&call, workspace, workspaceCount);
}

// MARK: Backward-weights

/// The batch is cut into parts and these into chunks, by the convolution alone, so that sums do not depend on the
/// threads. Parts, where the gradient of the transformed weights is small enough to have copies of it, are work for
/// one thread each: what it transforms stays in its cache. A single part is worked on by all threads, chunk by chunk.
typedef struct {
  WinogradPlan plan;
  int32_t parts;
  int64_t partFloats;  // one copy of the gradient of the transformed weights, and of dbias
} WeightPlan;

static WeightPlan weight_plan(const ck_convolution_t *c, int32_t tile) {
  WeightPlan w = {.plan = new_plan(c, tile, 0), .parts = 1};
  int64_t floats = weight_floats(&w.plan);
  if (floats <= PART_FLOATS) {
    w.parts = PARTS;
    int64_t most = w.plan.tiles / LEAST_TILES_OF_GRADIENT;
    if (w.parts > most) w.parts = (int32_t)most;
    if (w.parts < 1) w.parts = 1;
  }
  w.partFloats = floats + w.plan.resultBlocks * CK_BLOCK;
  set_chunk(&w.plan, LEAST_TILES_OF_GRADIENT, (w.plan.tiles + w.parts - 1) / w.parts);
  return w;
}

typedef struct {
  WeightPlan weights;
  const float *x, *dy;
  int add;
  float *dw, *dbias;
  float *copies;
} WeightCall;

typedef struct {
  const WeightCall *call;
  WinogradTiles tiles;
  int first;
  float *source, *gradient, *sums;
} WeightChunk;

#define TILES_PER_PIECE 16
#define BLOCKS_PER_PIECE 8

static void transform_item(void *context, int64_t i) {
  const WeightChunk *chunk = context;
  const WinogradPlan *p = &chunk->call->weights.plan;
  WinogradTiles piece = {.place = (int32_t)i * TILES_PER_PIECE};
  piece.first = chunk->tiles.first + piece.place;
  piece.count = ck_smaller(TILES_PER_PIECE, chunk->tiles.count - piece.place);
  DISPATCH(ck_winograd_source, (p, chunk->call->x, &piece, chunk->source))
  DISPATCH(ck_winograd_gradient, (p, chunk->call->dy, &piece, chunk->gradient))
}

static void accumulate_item(void *context, int64_t i) {
  const WeightChunk *chunk = context;
  const WinogradPlan *p = &chunk->call->weights.plan;
  int32_t element = (int32_t)(i % p->elements), begin = (int32_t)(i / p->elements) * BLOCKS_PER_PIECE;
  int32_t end = ck_smaller(begin + BLOCKS_PER_PIECE, p->resultBlocks);
  const float *gradient = chunk->gradient + element * p->resultStride;
  DISPATCH(ck_winograd_accumulate,
           (p, chunk->source + element * p->sourceStride, gradient, begin, end, chunk->tiles.count, chunk->first,
            chunk->sums + element * p->weightStride))
  if (element == p->tile + 1 && begin == 0 && chunk->call->dbias)
    DISPATCH(ck_winograd_bias, (p, gradient, chunk->tiles.count, chunk->first, chunk->sums + weight_floats(p)))
}

static void part_item(const Lanes *lanes, int64_t part, float *scratch) {
  const WeightCall *call = lanes->call;
  const WinogradPlan *p = &call->weights.plan;
  int64_t begin = part * chunk_count(p) / call->weights.parts, end = (part + 1) * chunk_count(p) / call->weights.parts;
  WeightChunk chunk = {.call = call, .first = 1, .source = scratch, .gradient = scratch + source_floats(p),
                       .sums = call->copies + part * call->weights.partFloats};
  for (int64_t i = begin; i < end; i++, chunk.first = 0) {
    chunk.tiles = chunk_tiles(p, i);
    ck_parallel(ck_ceiling(chunk.tiles.count, TILES_PER_PIECE), transform_item, &chunk);
    ck_parallel((int64_t)p->elements * ck_ceiling(p->resultBlocks, BLOCKS_PER_PIECE), accumulate_item, &chunk);
  }
  if (begin == end) memset(chunk.sums, 0, (size_t)call->weights.partFloats * sizeof(float));
}

static void weight_gradient_item(void *context, int64_t i) {
  const WeightCall *call = context;
  const WeightPlan *w = &call->weights;
  int64_t block = (int64_t)w->plan.kernel * w->plan.kernel * CK_BLOCK * CK_BLOCK;
  DISPATCH(ck_winograd_weight_gradient,
           (&w->plan, call->copies + i * CK_BLOCK * CK_BLOCK, w->parts, w->partFloats, call->add,
            call->dw + i * block))
}

void ck_winograd_backward_weights(const ck_convolution_t *c, int32_t tile, const float *x, const float *dy, int add,
                                  float *dw, float *dbias, float *workspace, int64_t workspaceCount) {
  WeightCall call = {
      .weights = weight_plan(c, tile), .x = x, .dy = dy, .add = add, .dw = dw, .dbias = dbias, .copies = workspace};
  const WeightPlan *w = &call.weights;
  int64_t copies = w->parts * w->partFloats;
  ck_run_lanes(part_item, &call, w->parts, workspace + copies, source_floats(&w->plan) + result_floats(&w->plan),
               workspaceCount - copies);
  ck_parallel((int64_t)w->plan.sourceBlocks * w->plan.resultBlocks, weight_gradient_item, &call);
  if (!dbias) return;
  for (int32_t o = 0; o < w->plan.resultBlocks * CK_BLOCK; o++) {
    float sum = add ? dbias[o] : 0;
    for (int32_t part = 0; part < w->parts; part++)
      sum += call.copies[part * w->partFloats + weight_floats(&w->plan) + o];
    dbias[o] = sum;
  }
}

// MARK: Workspace

int64_t ck_winograd_workspace(const ck_convolution_t *c, int32_t tile, int32_t threads) {
  int64_t most = 0;
  for (int turned = 0; turned < 2; turned++) {
    WinogradPlan p = map_plan(c, tile, turned);
    int64_t floats = weight_floats(&p) + threads * (source_floats(&p) + result_floats(&p));
    if (floats > most) most = floats;
  }
  WeightPlan w = weight_plan(c, tile);
  int64_t lanes = threads < w.parts ? threads : w.parts;
  int64_t floats = w.parts * w.partFloats + lanes * (source_floats(&w.plan) + result_floats(&w.plan));
  return floats > most ? floats : most;
}
