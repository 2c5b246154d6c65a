#include "internal.h"

CK_DECLARE(ck_sum_copies,
           (float *const *copies, int64_t copyCount, int64_t resultCount, int64_t offset, int64_t count))
CK_DECLARE(ck_bfloat16_round, (const float *values, uint16_t *rounded, int64_t count))
CK_DECLARE(ck_bfloat16_expand, (const uint16_t *rounded, float *values, int64_t count))
CK_DECLARE(ck_bfloat16_sum,
           (const uint16_t *operands, int64_t operandCount, int64_t stride, uint16_t *sums, int64_t count))

void ck_sum_copies(float *const *copies, int64_t copyCount, int64_t resultCount, int64_t offset, int64_t count) {
  CK_DISPATCH(ck_sum_copies, (copies, copyCount, resultCount, offset, count))
}

void ck_bfloat16_round(const float *values, uint16_t *rounded, int64_t count) {
  CK_DISPATCH(ck_bfloat16_round, (values, rounded, count))
}

void ck_bfloat16_expand(const uint16_t *rounded, float *values, int64_t count) {
  CK_DISPATCH(ck_bfloat16_expand, (rounded, values, count))
}

void ck_bfloat16_sum(const uint16_t *operands, int64_t operandCount, int64_t stride, uint16_t *sums, int64_t count) {
  CK_DISPATCH(ck_bfloat16_sum, (operands, operandCount, stride, sums, count))
}
