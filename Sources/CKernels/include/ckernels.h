// What the CPU runs. One header, every signature; names are ck_<operation>_<direction>.
//
// Layouts. "Blocked" tensors are [N][C/16][H][W][16] floats: channels in blocks of sixteen, the last block padded
// with zeros that every kernel keeps zero. "Interleaved" tensors are [N][H][W][C]. All pointers that a kernel
// reads or writes in blocks of sixteen are aligned to 64 bytes.
//
// Every kernel of a family F (elementwise, convolution, …) exists as plain loops (F_reference.c, the oracle) and as
// a vector body (F.inc) that isa_portable.c, isa_avx2.c and isa_avx512.c compile once per instruction set; F.c
// holds the public function, which dispatches. See internal.h for the three macros that this takes.
#ifndef ICNN_CKERNELS_H
#define ICNN_CKERNELS_H
#include <stddef.h>
#include <stdint.h>

#define CK_BLOCK 16

// MARK: dispatch.c – which body runs

/// Instruction sets, from the slowest. The reference is plain loops; portable is the vector body compiled for the
/// compiler's baseline.
typedef enum { CK_REFERENCE = 0, CK_PORTABLE = 1, CK_AVX2 = 2, CK_AVX512 = 3 } ck_isa_t;

/// The set in use. At the first call the best one of this CPU is chosen, unless the environment variable ICNN_ISA
/// (reference, portable, avx2, avx512) names another that the CPU has.
ck_isa_t ck_isa(void);
/// Non-zero if this CPU can run the set.
int ck_isa_available(ck_isa_t isa);
/// Uses another set from now on in the calling thread and in the loops it starts (tests compare them, side by side).
/// Returns 0, or -1 if the CPU does not have it.
int ck_isa_select(ck_isa_t isa);
/// "reference", "portable", "avx2" or "avx512".
const char *ck_isa_name(ck_isa_t isa);
/// The set of that name, or -1.
int ck_isa_named(const char *name);

// MARK: threads.c – the one thread pool of the process

/// Sets the number of threads (at least 1) that ck_parallel uses. Call it while no loop runs.
/// When pin is non-zero each worker is bound to one of the CPUs the process may use.
void ck_threads_configure(int threadCount, int pin);
int ck_threads_count(void);
/// Calls body(context, i) for every i in 0..<count, on all threads; returns when all are done. Which thread runs
/// which i is not fixed, so a body must write only what belongs to its i. A loop started inside another, or while
/// another thread's loop runs, is run by its caller alone.
void ck_parallel(int64_t count, void (*body)(void *context, int64_t i), void *context);

// MARK: random.c – Philox4x32-10 (Salmon et al., SC 2011), a counter-based generator

/// Four uniform 32-bit numbers for a key and a 128-bit counter.
void ck_philox(uint64_t key, uint64_t counterHigh, uint64_t counterLow, uint32_t out[4]);

// MARK: elementwise.c – one loop over memory; count is any number of floats

/// y[i] = max(x[i], 0), in place. NaN stays NaN, so that a numerical breakdown is seen and not hidden.
void ck_relu_forward(float *x, int64_t count);
/// dy[i] = y[i] > 0 ? dy[i] : 0, in place; y is the output of the forward.
void ck_relu_backward(const float *y, float *dy, int64_t count);
/// y[i] += x[i].
void ck_add(const float *x, float *y, int64_t count);
/// y[i] = max(y[i] + x[i], 0), in place. NaN stays NaN.
void ck_add_relu_forward(const float *x, float *y, int64_t count);
/// dy[i] = y[i] > 0 ? dy[i] + dx[i] : 0, in place: the sum of two gradients that reach the output y of a ReLU.
void ck_add_relu_backward(const float *y, const float *dx, float *dy, int64_t count);

#include "ck_convolution.h"
#include "ck_dense.h"
#include "ck_dropout.h"
#include "ck_interpretable.h"
#include "ck_layout.h"
#include "ck_linear.h"
#include "ck_machine.h"
#include "ck_normalization.h"
#include "ck_optimizer.h"
#include "ck_pooling.h"
#include "ck_reduction.h"
#include "ck_interpretable.h"
#include "ck_convolution.h"

#endif
