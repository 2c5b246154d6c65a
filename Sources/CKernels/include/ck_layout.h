// MARK: layout.c – copies between the blocked and the flat layout. No arithmetic, hence one body for all instruction sets.
#ifndef ICNN_CK_LAYOUT_H
#define ICNN_CK_LAYOUT_H
#include <stdint.h>

/// x [batch][C/16][cells][16] → y [batch][channels][cells]; the padding is dropped.
void ck_blocked_to_flat(int64_t batch, int64_t channels, int64_t cells, const float *x, float *y);
/// x [batch][channels][cells] → y [batch][C/16][cells][16]; the padding becomes zero.
void ck_flat_to_blocked(int64_t batch, int64_t channels, int64_t cells, const float *x, float *y);

#endif
