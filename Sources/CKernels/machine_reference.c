#include "internal.h"

void ck_multiply_add_chains_reference(int64_t steps, float *result) {
  float sum[12];
  for (int i = 0; i < 12; i++) sum[i] = (float)i;
  for (int64_t step = 0; step < steps; step++)
    for (int i = 0; i < 12; i++) sum[i] = sum[i] * 0.999f + 0.001f;
  for (int i = 1; i < 12; i++) sum[0] += sum[i];
  *result = sum[0];
}
