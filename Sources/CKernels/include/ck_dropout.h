// MARK: dropout.c – inverted dropout, its mask a pure function of named numbers
#ifndef ICNN_CK_DROPOUT_H
#define ICNN_CK_DROPOUT_H
#include <stdint.h>

/// x [batch][stride], in place: x[n][e] = u < dropThreshold ? 0 : x[n][e]·scale, where u is 32 uniform bits: word
/// (e / 16) % 4 of Philox with the key and the counter (sampleKeys[n], 16·(e / 64) + e % 16). The same call on dy is
/// the backward. Needs no alignment.
void ck_dropout(uint64_t key, const uint64_t *sampleKeys, int64_t batch, int64_t stride, uint32_t dropThreshold,
                float scale, float *x);

#endif
