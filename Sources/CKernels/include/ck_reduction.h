// MARK: reduction.c – sums of the ranks' gradients, and their bfloat16 form for the wire
#ifndef ICNN_CK_REDUCTION_H
#define ICNN_CK_REDUCTION_H
#include <stdint.h>

// These run on the caller alone, which is a communication thread: the thread pool belongs to what computes meanwhile.
// Any count, any alignment.

/// For every i in offset..<offset+count: s = copies[0][i] + copies[1][i] + …, added in that order; then
/// copies[r][i] = s for the first `resultCount` copies. The copies must not overlap.
void ck_sum_copies(float *const *copies, int64_t copyCount, int64_t resultCount, int64_t offset, int64_t count);

/// The upper halves of floats, rounded to nearest, ties to even. Beyond the largest bfloat16 (3.39e38) that is infinity;
/// a NaN stays a NaN, made quiet; denormals are kept.
void ck_bfloat16_round(const float *values, uint16_t *rounded, int64_t count);
/// The floats that bfloat16 numbers stand for; exact.
void ck_bfloat16_expand(const uint16_t *rounded, float *values, int64_t count);
/// sums[i] = operands[i] + operands[stride + i] + … of `operandCount` operands, added in float in that order and
/// rounded once, at the end.
void ck_bfloat16_sum(const uint16_t *operands, int64_t operandCount, int64_t stride, uint16_t *sums, int64_t count);

#endif
