#if defined(__x86_64__)
// The vector bodies for avx2.
#define CK_SUFFIX avx2
#define CK_REGISTERS 16  // vector registers
#define CK_VECTOR_FLOATS 8
#include "vector.h"
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "convolution.inc"
#include "convolution_weights.inc"
#include "dense.inc"
#include "dropout.inc"
#include "elementwise.inc"
#include "interpretable.inc"
#include "linear.inc"
#include "machine.inc"
#include "normalization.inc"
#include "optimizer.inc"
#include "pooling.inc"
#include "reduction.inc"
#include "winograd.inc"
#pragma clang attribute pop
#endif
