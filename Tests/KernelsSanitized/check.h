// Compares every body of the kernels with the reference, for programs built with a sanitizer.
//
// A family is one file: a table of shapes and a function that checks one of them. The arrays of a check are made by
// `array`: each is an allocation of its own and of exactly the documented size, so that AddressSanitizer sees
// the first byte beyond it. The check runs the kernel once for every instruction set and number of threads and
// says what the results are; the first run is the reference on one thread.
#ifndef ICNN_CHECK_H
#define ICNN_CHECK_H
#include "ckernels.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Half the distance from 1 to the next float: the largest relative error of one operation.
#define UNIT_ROUNDOFF 5.97e-8

/// A family of kernels: runs all its checks.
typedef struct {
  const char *name;
  void (*run)(void);
} Family;

extern const Family familyConvolution, familyDense, familyElementwise, familyImages, familyInterpretable, familyLinear,
    familyMachine,
    familyNormalization, familyPooling, familyThreads;

// MARK: One check – the same computation by every body, on every number of threads

/// Names the computation in messages, forgets the results of the last one.
void check_begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// Chooses the next body and number of threads, and puts the random numbers back to the start: 0 when all are done.
///   check_begin(…); while (check_next()) { arrays; kernel; check_result(…); release_arrays(); }
int check_next(void);
/// Compares with the reference's result of that name: every |value − reference| ≤ bound. The reference's run sets
/// the values. Results of one body on different numbers of threads must have the same bits.
void check_floats(const char *name, const float *values, int64_t count, double bound);
/// The same for Doubles.
void check_doubles(const char *name, const double *values, int64_t count, double bound);
/// The same for bytes, which must be equal.
void check_bytes(const char *name, const uint8_t *values, int64_t count);
/// Fails the check unless `condition` holds.
void check_true(int condition, const char *what);
/// Comparisons made and failed so far.
extern int64_t comparisonCount, failureCount;

// MARK: Arrays and random numbers

typedef enum {
  UNTOUCHED,  // NaN, for results: a value that nobody wrote is seen
  ZERO,
  NOISE,      // uniform in -1..<1
  POSITIVE,   // a third zeros, the others in 0..<1
  TIES,       // few distinct values, of both signs
} Content;

/// 64-byte aligned, exactly `count` floats.
float *floats(int64_t count, Content content);
/// The same for Doubles.
double *doubles(int64_t count, Content content);
/// 64-byte aligned, exactly `bytes` bytes, all 0xFF.
void *bytes(int64_t bytes);
/// Blocked maps [batch][blocks][cells][16] of `channels` channels: the padding is zero.
float *maps(int64_t batch, int64_t channels, int64_t cells, Content content);
/// Releases all arrays made since check_next.
void release_arrays(void);
/// 0 ..< limit.
int64_t random_below(int64_t limit);

static inline int64_t padded(int64_t channels) { return (channels + CK_BLOCK - 1) / CK_BLOCK * CK_BLOCK; }

#endif
