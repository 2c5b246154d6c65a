#include "internal.h"

CK_DECLARE(ck_dropout_piece, (uint64_t key, uint64_t sampleKey, int64_t first, int64_t count, uint32_t dropThreshold,
                              float scale, float *x))

typedef struct {
  uint64_t key;
  const uint64_t *sampleKeys;
  int64_t stride, pieces;
  uint32_t dropThreshold;
  float scale;
  float *x;
} Dropout;

static void dropout_piece(void *context, int64_t i) {
  const Dropout *p = context;
  int64_t n = i / p->pieces, first = i % p->pieces * CK_PIECE, rest = p->stride - first;
  CK_DISPATCH(ck_dropout_piece, (p->key, p->sampleKeys[n], first, rest < CK_PIECE ? rest : CK_PIECE,
                                 p->dropThreshold, p->scale, p->x + n * p->stride + first))
}

void ck_dropout(uint64_t key, const uint64_t *sampleKeys, int64_t batch, int64_t stride, uint32_t dropThreshold,
                float scale, float *x) {
  Dropout p = {.key = key, .sampleKeys = sampleKeys, .stride = stride, .pieces = (stride + CK_PIECE - 1) / CK_PIECE,
               .dropThreshold = dropThreshold, .scale = scale, .x = x};
  ck_parallel(batch * p.pieces, dropout_piece, &p);
}
