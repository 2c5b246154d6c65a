// What the CPU runs. One header, every signature; names are ck_<operation>_<direction>.
//
// Layouts. "Blocked" tensors are [N][C/16][H][W][16] floats: channels in blocks of sixteen, the last block padded
// with zeros that every kernel keeps zero. "Interleaved" tensors are [N][H][W][C]. All pointers that a kernel
// reads or writes in blocks of sixteen are aligned to 64 bytes.
//
// Every kernel exists as plain loops (reference.c, the oracle) and as a vector body (kernels.inc) that is
// compiled once per instruction set; dispatch.c chooses once, ICNN_ISA overrides.
#ifndef ICNN_CKERNELS_H
#define ICNN_CKERNELS_H
#include <stddef.h>
#include <stdint.h>

#define CK_BLOCK 16

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

#endif
