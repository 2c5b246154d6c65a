// Shared by the kernels' own files; not part of the module's interface.
#ifndef ICNN_CK_INTERNAL_H
#define ICNN_CK_INTERNAL_H
#include "ckernels.h"

// A public kernel takes three lines in its family's .c file:
//   CK_DECLARE(ck_relu_forward, (float *x, int64_t count))            the four bodies
//   void ck_relu_forward(float *x, int64_t count) { CK_DISPATCH(ck_relu_forward, (x, count)) }
// its plain loops in F_reference.c as ck_relu_forward_reference, and its vector body in F.inc as CK_NAME(ck_relu_forward).
#if defined(__x86_64__)
#define CK_DECLARE(name, parameters) \
  void name##_reference parameters; \
  void name##_portable parameters; \
  void name##_avx2 parameters; \
  void name##_avx512 parameters;
#define CK_DISPATCH(name, arguments) \
  switch (ck_isa()) { \
    case CK_AVX512: name##_avx512 arguments; break; \
    case CK_AVX2: name##_avx2 arguments; break; \
    case CK_PORTABLE: name##_portable arguments; break; \
    default: name##_reference arguments; break; \
  }
#else
#define CK_DECLARE(name, parameters) \
  void name##_reference parameters; \
  void name##_portable parameters;
#define CK_DISPATCH(name, arguments) \
  if (ck_isa() == CK_REFERENCE) name##_reference arguments; \
  else name##_portable arguments;
#endif

/// The calling thread, a worker of the pool, uses the set of the thread whose loop it runs.
void ck_isa_adopt(ck_isa_t isa);

/// Elementwise loops are cut into pieces of this many floats for the thread pool: large against the cost of
/// starting a piece, small against the caches. A multiple of 16, so that no two threads share a cache line.
#define CK_PIECE 16384

#endif
