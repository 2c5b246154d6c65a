// The vector bodies for the compiler's baseline: SSE2 on x86-64, NEON on AArch64.
#define CK_SUFFIX portable
#define CK_REGISTERS 16  // vector registers
#define CK_VECTOR_FLOATS 4
#include "vector.h"
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
