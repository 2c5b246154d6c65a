#include "internal.h"
#include <string.h>

typedef struct {
  int64_t channels, cells, blocks;
  const float *x;
  float *y;
} Copy;

static int64_t channels_in_block(const Copy *p, int64_t block) {
  int64_t rest = p->channels - block * CK_BLOCK;
  return rest < CK_BLOCK ? rest : CK_BLOCK;
}

// A piece is one block of one image.
static void to_flat(void *context, int64_t i) {
  const Copy *p = context;
  int64_t n = i / p->blocks, block = i % p->blocks, count = channels_in_block(p, block);
  const float *x = p->x + i * p->cells * CK_BLOCK;
  float *y = p->y + (n * p->channels + block * CK_BLOCK) * p->cells;
  for (int64_t c = 0; c < count; c++)
    for (int64_t cell = 0; cell < p->cells; cell++) y[c * p->cells + cell] = x[cell * CK_BLOCK + c];
}

static void to_blocked(void *context, int64_t i) {
  const Copy *p = context;
  int64_t n = i / p->blocks, block = i % p->blocks, count = channels_in_block(p, block);
  const float *x = p->x + (n * p->channels + block * CK_BLOCK) * p->cells;
  float *y = p->y + i * p->cells * CK_BLOCK;
  if (count < CK_BLOCK) memset(y, 0, sizeof(float) * CK_BLOCK * (size_t)p->cells);
  for (int64_t c = 0; c < count; c++)
    for (int64_t cell = 0; cell < p->cells; cell++) y[cell * CK_BLOCK + c] = x[c * p->cells + cell];
}

static Copy copy_of(int64_t channels, int64_t cells, const float *x, float *y) {
  return (Copy){.channels = channels, .cells = cells, .blocks = (channels + CK_BLOCK - 1) / CK_BLOCK, .x = x, .y = y};
}

void ck_blocked_to_flat(int64_t batch, int64_t channels, int64_t cells, const float *x, float *y) {
  Copy p = copy_of(channels, cells, x, y);
  ck_parallel(batch * p.blocks, to_flat, &p);
}

void ck_flat_to_blocked(int64_t batch, int64_t channels, int64_t cells, const float *x, float *y) {
  Copy p = copy_of(channels, cells, x, y);
  ck_parallel(batch * p.blocks, to_blocked, &p);
}
