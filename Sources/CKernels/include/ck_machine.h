// MARK: machine.c – what the machine can do at most, measured: the yardstick of the kernels
#ifndef ICNN_CK_MACHINE_H
#define ICNN_CK_MACHINE_H
#include <stdint.h>

/// Floating-point operations per second (a multiply-add counts as two) of independent chains of multiply-adds in
/// registers, with the vectors of the instruction set in use, on all threads of the pool together: the best of
/// several runs of some milliseconds. Without fused multiply-add (portable) a multiplication and an addition.
double ck_multiply_add_rate(void);

/// Bytes read and written per second by a copy of count floats on all threads together, the best of several runs.
/// Both arrays should be far larger than the caches.
double ck_copy_rate(const float *from, float *to, int64_t count);

#endif
