#include "internal.h"

CK_DECLARE(ck_dense_normalize_plane,
           (int64_t cells, const float *x, const float *offset, const float *scale, const float *shift, float *y))
CK_DECLARE(ck_dense_normalize_backward_plane,
           (int64_t cells, const float *x, const float *dy, const float *offset, const float *scale,
            const float *shift, int adding, float *dx, double *sums))
CK_DECLARE(ck_dense_center_plane, (int64_t cells, const float *d, const float *x, const float *offset,
                                   const float *xScale, const float *shift, float *dx))

// One block of one image is a piece of every pass.
typedef struct {
  int64_t batch, blocks, cells;
  const ck_channel_block_t *x, *d;
  const float *dy, *offset, *scale, *shift;
  double *partials, *sums;
  float *out;
  int adding;
} Dense;

static float *plane(const ck_channel_block_t *block, int64_t image) {
  return block->first + image * block->imageStride;
}

static void normalize_piece(void *context, int64_t i) {
  const Dense *p = context;
  int64_t block = i % p->blocks, channel = block * CK_BLOCK;
  CK_DISPATCH(ck_dense_normalize_plane, (p->cells, plane(&p->x[block], i / p->blocks), p->offset + channel,
                                         p->scale + channel, p->shift + channel, p->out + i * p->cells * CK_BLOCK))
}

void ck_dense_normalize(int64_t batch, int64_t blocks, int64_t cells, const ck_channel_block_t *x, const float *offset,
                        const float *scale, const float *shift, float *y) {
  Dense p = {.blocks = blocks, .cells = cells, .x = x, .offset = offset, .scale = scale, .shift = shift, .out = y};
  ck_parallel(batch * blocks, normalize_piece, &p);
}

static void backward_piece(void *context, int64_t i) {
  const Dense *p = context;
  int64_t block = i % p->blocks, image = i / p->blocks, channel = block * CK_BLOCK;
  CK_DISPATCH(ck_dense_normalize_backward_plane,
              (p->cells, plane(&p->x[block], image), p->dy + i * p->cells * CK_BLOCK, p->offset + channel,
               p->scale + channel, p->shift + channel, p->adding, plane(&p->d[block], image),
               p->partials + i * 2 * CK_BLOCK))
}

static void sums_of_block(void *context, int64_t block) {
  const Dense *p = context;
  for (int half = 0; half < 2; half++)
    for (int c = 0; c < CK_BLOCK; c++) {
      double sum = 0;
      for (int64_t n = 0; n < p->batch; n++) sum += p->partials[((n * p->blocks + block) * 2 + half) * CK_BLOCK + c];
      p->sums[(half * p->blocks + block) * CK_BLOCK + c] = sum;
    }
}

void ck_dense_normalize_backward(int64_t batch, int64_t blocks, int64_t cells, const ck_channel_block_t *x,
                                 const float *dy, const float *offset, const float *scale, const float *shift,
                                 int adding, const ck_channel_block_t *dx, double *partials, double *sums) {
  Dense p = {.batch = batch, .blocks = blocks, .cells = cells, .x = x, .d = dx, .dy = dy, .offset = offset,
             .scale = scale, .shift = shift, .partials = partials, .sums = sums, .adding = adding};
  ck_parallel(batch * blocks, backward_piece, &p);
  ck_parallel(blocks, sums_of_block, &p);
}

static void center_piece(void *context, int64_t i) {
  const Dense *p = context;
  int64_t block = i % p->blocks, image = i / p->blocks, channel = block * CK_BLOCK;
  CK_DISPATCH(ck_dense_center_plane,
              (p->cells, plane(&p->d[block], image), plane(&p->x[block], image), p->offset + channel,
               p->scale + channel, p->shift + channel, p->out + i * p->cells * CK_BLOCK))
}

void ck_dense_center(int64_t batch, int64_t blocks, int64_t cells, const ck_channel_block_t *d,
                     const ck_channel_block_t *x, const float *offset, const float *xScale, const float *shift,
                     float *dx) {
  Dense p = {.blocks = blocks, .cells = cells, .x = x, .d = d, .offset = offset, .scale = xScale, .shift = shift,
             .out = dx};
  ck_parallel(batch * blocks, center_piece, &p);
}
