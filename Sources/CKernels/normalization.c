#include "internal.h"

CK_DECLARE(ck_lrn_cells, (const ck_lrn_t *p, int64_t first, int64_t count, const float *x, float *y))
CK_DECLARE(ck_lrn_cells_backward,
           (const ck_lrn_t *p, int64_t first, int64_t count, const float *x, const float *dy, float *dx))
CK_DECLARE(ck_channel_moments_plane,
           (int64_t cells, const float *a, const float *b, const float *offset, double *sums))
CK_DECLARE(ck_channel_affine_plane, (int64_t cells, const float *x, const float *offset, const float *scale,
                                     const float *shift, int relu, float *y))
CK_DECLARE(ck_channel_affine2_plane,
           (int64_t cells, const float *dy, const float *x, const float *offset, const float *dyScale,
            const float *xScale, const float *shift, float *dx))

// A piece of the response normalisation is this many cells of one image, all channels.
#define LRN_CELLS 64

typedef struct {
  const ck_lrn_t *lrn;
  int64_t pieces;
  const float *x, *dy;
  float *out;
} Response;

static void lrn_piece(void *context, int64_t i) {
  const Response *p = context;
  int64_t image = i / p->pieces * p->lrn->blocks * p->lrn->cells * CK_BLOCK, first = i % p->pieces * LRN_CELLS;
  int64_t rest = p->lrn->cells - first, count = rest < LRN_CELLS ? rest : LRN_CELLS;
  if (p->dy) {
    CK_DISPATCH(ck_lrn_cells_backward, (p->lrn, first, count, p->x + image, p->dy + image, p->out + image))
  } else {
    CK_DISPATCH(ck_lrn_cells, (p->lrn, first, count, p->x + image, p->out + image))
  }
}

static void lrn(const ck_lrn_t *l, const float *x, const float *dy, float *out) {
  Response p = {.lrn = l, .pieces = (l->cells + LRN_CELLS - 1) / LRN_CELLS, .x = x, .dy = dy, .out = out};
  ck_parallel(l->batch * p.pieces, lrn_piece, &p);
}

void ck_lrn_forward(const ck_lrn_t *l, const float *x, float *y) { lrn(l, x, 0, y); }

void ck_lrn_backward(const ck_lrn_t *l, const float *x, const float *dy, float *dx) { lrn(l, x, dy, dx); }

// One block of one image is a piece of the passes of batch normalisation.
typedef struct {
  int64_t batch, blocks, cells;
  const float *a, *b, *offset, *scale, *scale2, *shift;
  double *partials, *sums;
  float *out;
  int relu;
} Channels;

static void moments_plane(void *context, int64_t i) {
  const Channels *p = context;
  int64_t plane = i * p->cells * CK_BLOCK, channel = i % p->blocks * CK_BLOCK;
  CK_DISPATCH(ck_channel_moments_plane,
              (p->cells, p->a + plane, p->b + plane, p->offset + channel, p->partials + i * 2 * CK_BLOCK))
}

static void moments_block(void *context, int64_t block) {
  const Channels *p = context;
  for (int half = 0; half < 2; half++)
    for (int c = 0; c < CK_BLOCK; c++) {
      double sum = 0;
      for (int64_t n = 0; n < p->batch; n++) sum += p->partials[((n * p->blocks + block) * 2 + half) * CK_BLOCK + c];
      p->sums[(half * p->blocks + block) * CK_BLOCK + c] = sum;
    }
}

void ck_channel_moments(int64_t batch, int64_t blocks, int64_t cells, const float *a, const float *b,
                        const float *offset, double *partials, double *sums) {
  Channels p = {.batch = batch, .blocks = blocks, .cells = cells, .a = a, .b = b, .offset = offset,
                .partials = partials, .sums = sums};
  ck_parallel(batch * blocks, moments_plane, &p);
  ck_parallel(blocks, moments_block, &p);
}

static void affine_plane(void *context, int64_t i) {
  const Channels *p = context;
  int64_t plane = i * p->cells * CK_BLOCK, channel = i % p->blocks * CK_BLOCK;
  CK_DISPATCH(ck_channel_affine_plane, (p->cells, p->a + plane, p->offset + channel, p->scale + channel,
                                        p->shift + channel, p->relu, p->out + plane))
}

void ck_channel_affine(int64_t batch, int64_t blocks, int64_t cells, const float *x, const float *offset,
                       const float *scale, const float *shift, int relu, float *y) {
  Channels p = {.blocks = blocks, .cells = cells, .a = x, .offset = offset, .scale = scale, .shift = shift, .out = y,
                .relu = relu};
  ck_parallel(batch * blocks, affine_plane, &p);
}

static void affine2_plane(void *context, int64_t i) {
  const Channels *p = context;
  int64_t plane = i * p->cells * CK_BLOCK, channel = i % p->blocks * CK_BLOCK;
  CK_DISPATCH(ck_channel_affine2_plane,
              (p->cells, p->a + plane, p->b + plane, p->offset + channel, p->scale + channel, p->scale2 + channel,
               p->shift + channel, p->out + plane))
}

void ck_channel_affine2(int64_t batch, int64_t blocks, int64_t cells, const float *dy, const float *x,
                        const float *offset, const float *dyScale, const float *xScale, const float *shift,
                        float *dx) {
  Channels p = {.blocks = blocks, .cells = cells, .a = dy, .b = x, .offset = offset, .scale = dyScale,
                .scale2 = xScale, .shift = shift, .out = dx};
  ck_parallel(batch * blocks, affine2_plane, &p);
}
