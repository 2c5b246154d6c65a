// What every vector body (F.inc) may use: sixteen floats as one value, whatever the registers of the instruction
// set. isa_*.c define CK_SUFFIX and include the bodies.
#include "internal.h"
#define CK_CONCATENATE_(a, b) a##_##b
#define CK_CONCATENATE(a, b) CK_CONCATENATE_(a, b)
#define CK_NAME(name) CK_CONCATENATE(name, CK_SUFFIX)

typedef float v16 __attribute__((ext_vector_type(16), aligned(64)));
/// The same in memory that may be unaligned.
typedef float v16u __attribute__((ext_vector_type(16), aligned(4)));
typedef int32_t i16 __attribute__((ext_vector_type(16), aligned(64)));
