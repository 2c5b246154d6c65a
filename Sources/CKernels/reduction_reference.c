#include "internal.h"
#include <string.h>

void ck_sum_copies_reference(float *const *copies, int64_t copyCount, int64_t resultCount, int64_t offset,
                             int64_t count) {
  for (int64_t i = offset; i < offset + count; i++) {
    float sum = copies[0][i];
    for (int64_t r = 1; r < copyCount; r++) sum += copies[r][i];
    for (int64_t r = 0; r < resultCount; r++) copies[r][i] = sum;
  }
}

static uint16_t round_one(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint32_t upper = bits >> 16, lower = bits & 0xFFFF;
  if (value != value) return (uint16_t)(upper | 0x40);
  // One more in the upper half is the next larger magnitude, also from denormals to normals and on to infinity.
  if (lower > 0x8000 || (lower == 0x8000 && upper % 2 == 1)) upper++;
  return (uint16_t)upper;
}

static float expand_one(uint16_t rounded) {
  uint32_t bits = (uint32_t)rounded << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

void ck_bfloat16_round_reference(const float *values, uint16_t *rounded, int64_t count) {
  for (int64_t i = 0; i < count; i++) rounded[i] = round_one(values[i]);
}

void ck_bfloat16_expand_reference(const uint16_t *rounded, float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++) values[i] = expand_one(rounded[i]);
}

void ck_bfloat16_sum_reference(const uint16_t *operands, int64_t operandCount, int64_t stride, uint16_t *sums,
                               int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    float sum = expand_one(operands[i]);
    for (int64_t r = 1; r < operandCount; r++) sum += expand_one(operands[r * stride + i]);
    sums[i] = round_one(sum);
  }
}
