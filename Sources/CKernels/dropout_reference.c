#include "internal.h"

void ck_dropout_piece_reference(uint64_t key, uint64_t sampleKey, int64_t first, int64_t count,
                                uint32_t dropThreshold, float scale, float *x) {
  for (int64_t i = 0; i < count; i++) {
    uint64_t e = (uint64_t)(first + i);
    uint32_t words[4];
    ck_philox(key, sampleKey, e / 64 * 16 + e % 16, words);
    x[i] = words[e / 16 % 4] < dropThreshold ? 0 : x[i] * scale;
  }
}
