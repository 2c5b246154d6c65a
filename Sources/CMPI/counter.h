// Counters in memory that the processes of a node share. Waiting sleeps in the kernel: where every rank has one core, a
// thread that polls takes it from the threads that compute.
#pragma once
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/// Sets the counter and wakes who waits for it. What this thread wrote before is seen by whoever sees the value.
static inline void cmpi_counter_publish(uint32_t *counter, uint32_t value) {
  __atomic_store_n(counter, value, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, counter, FUTEX_WAKE, INT_MAX, (void *)0, (void *)0, 0);
}

/// Whether the counter has reached the value. Counters wrap: they are never 2^31 apart.
static inline int cmpi_counter_reached(const uint32_t *counter, uint32_t value) {
  return (int32_t)(__atomic_load_n(counter, __ATOMIC_ACQUIRE) - value) >= 0;
}

/// Sleeps until the counter has reached the value. A process that waits for one that died is ended by the launcher.
static inline void cmpi_counter_await(const uint32_t *counter, uint32_t value) {
  // Looks again now and then, should a kernel not pass wake-ups on between processes.
  const struct timespec patience = {.tv_nsec = 100 * 1000 * 1000};
  for (;;) {
    uint32_t seen = __atomic_load_n(counter, __ATOMIC_ACQUIRE);
    if ((int32_t)(seen - value) >= 0) return;
    syscall(SYS_futex, counter, FUTEX_WAIT, seen, &patience, (void *)0, 0);
  }
}
