#pragma once
#include <stdint.h>

/// Counts the calls of malloc and its kin on the calling thread from now on. They are counted by functions that take the
/// C library's place in the test program.
void allocation_counter_start(void);
/// Ends counting and returns the number of allocations since the start.
int64_t allocation_counter_stop(void);
/// False where nothing can be counted: under a sanitizer, or with another C library than glibc.
int allocation_counter_available(void);
/// Writes the callers of the n-th of the first 64 counted allocations to `text`, one a line, innermost first: symbol, or
/// file and offset for `addr2line`.
void allocation_counter_trace(int64_t index, char *text, int64_t limit);
