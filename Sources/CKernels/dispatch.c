#include "ckernels.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"reference", "portable", "avx2", "avx512"};
static atomic_int preferred = -1;        // the process's
static _Thread_local int adopted = -1;  // this thread's own

int ck_isa_available(ck_isa_t isa) {
  switch (isa) {
    case CK_REFERENCE:
    case CK_PORTABLE: return 1;
#if defined(__x86_64__)
    case CK_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CK_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#endif
    default: return 0;
  }
}

const char *ck_isa_name(ck_isa_t isa) { return isa <= CK_AVX512 ? names[isa] : "unknown"; }

int ck_isa_named(const char *name) {
  for (int isa = CK_REFERENCE; isa <= CK_AVX512; isa++)
    if (strcmp(name, names[isa]) == 0) return isa;
  return -1;
}

int ck_isa_select(ck_isa_t isa) {
  if (!ck_isa_available(isa)) return -1;
  adopted = (int)isa;
  return 0;
}

void ck_isa_adopt(ck_isa_t isa) { adopted = (int)isa; }

ck_isa_t ck_isa(void) {
  if (adopted >= 0) return (ck_isa_t)adopted;
  int isa = atomic_load_explicit(&preferred, memory_order_relaxed);
  if (isa >= 0) return (ck_isa_t)isa;
  isa = CK_AVX512;
  while (!ck_isa_available((ck_isa_t)isa)) isa--;
  const char *wanted = getenv("ICNN_ISA");
  int named = wanted ? ck_isa_named(wanted) : -1;
  if (named >= 0 && ck_isa_available((ck_isa_t)named)) isa = named;
  else if (wanted && *wanted)
    fprintf(stderr, "warning: ICNN_ISA=%s is not an instruction set of this CPU; using %s\n", wanted, names[isa]);
  atomic_store_explicit(&preferred, isa, memory_order_relaxed);
  return (ck_isa_t)isa;
}
