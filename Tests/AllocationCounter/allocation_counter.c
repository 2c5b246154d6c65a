#define _GNU_SOURCE
#include "allocation_counter.h"
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS 0
#endif
#endif
#ifndef COUNTS
#if defined(__GLIBC__)
#define COUNTS 1
#else
#define COUNTS 0
#endif
#endif

#if COUNTS

#define TRACES 64
#define DEPTH 24

static _Thread_local int counting;
static _Thread_local int64_t allocations;
static _Thread_local void *traces[TRACES][DEPTH];
static _Thread_local int depths[TRACES];

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static void note(void) {
  if (!counting) return;
  counting = 0;
  if (allocations < TRACES) depths[allocations] = backtrace(traces[allocations], DEPTH);
  allocations++;
  counting = 1;
}

void *malloc(size_t size) {
  note();
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  note();
  return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
  note();
  return __libc_realloc(block, size);
}

void free(void *block) { __libc_free(block); }

void *memalign(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
  void *result = memalign(alignment, size);
  if (!result) return ENOMEM;
  *block = result;
  return 0;
}

int allocation_counter_available(void) { return 1; }

void allocation_counter_start(void) {
  void *frame[1];
  backtrace(frame, 1);  // loads its library the first time
  allocations = 0;
  counting = 1;
}

int64_t allocation_counter_stop(void) {
  counting = 0;
  return allocations;
}

void allocation_counter_trace(int64_t index, char *text, int64_t limit) {
  text[0] = 0;
  if (index < 0 || index >= TRACES || index >= allocations) return;
  int64_t used = 0;
  for (int i = 2; i < depths[index] && used < limit; i++) {
    Dl_info info = {0};
    dladdr(traces[index][i], &info);
    const char *file = info.dli_fname ? info.dli_fname : "?";
    used += snprintf(
        text + used, (size_t)(limit - used), "%s (%s+%#tx)\n", info.dli_sname ? info.dli_sname : "?", file,
        (char *)traces[index][i] - (char *)info.dli_fbase);
  }
}

#else

int allocation_counter_available(void) { return 0; }
void allocation_counter_start(void) {}
int64_t allocation_counter_stop(void) { return 0; }
void allocation_counter_trace(int64_t index, char *text, int64_t limit) { text[0] = 0; }

#endif
