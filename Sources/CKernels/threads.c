#define _GNU_SOURCE
#include "internal.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

// Workers spin for a while for the next loop (a training step is thousands of short loops), then sleep.
#define SPIN_ITERATIONS 20000

static pthread_mutex_t callerMutex = PTHREAD_MUTEX_INITIALIZER;  // held by the loop that owns the pool
static pthread_mutex_t sleepMutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sleepCondition = PTHREAD_COND_INITIALIZER;
static pthread_t *workers;
static int workerCount;  // threads beside the caller
static _Thread_local int insideLoop;

static struct {
  void (*body)(void *, int64_t);
  void *context;
  int64_t count;
  ck_isa_t isa;
} job;
static _Alignas(64) atomic_llong nextIndex;
static _Alignas(64) atomic_int active;      // workers that have not finished the present job
static _Alignas(64) atomic_uint generation;  // number of the present job
static atomic_int stopping;

static inline void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void run_items(void) {
  insideLoop = 1;
  for (;;) {
    int64_t i = atomic_fetch_add_explicit(&nextIndex, 1, memory_order_relaxed);
    if (i >= job.count) break;
    job.body(job.context, i);
  }
  insideLoop = 0;
}

static void *worker_main(void *argument) {
  unsigned seen = (unsigned)(uintptr_t)argument;
  for (;;) {
    unsigned now = atomic_load_explicit(&generation, memory_order_acquire);
    for (int spin = 0; now == seen && spin < SPIN_ITERATIONS; spin++) {
      pause_cpu();
      now = atomic_load_explicit(&generation, memory_order_acquire);
    }
    if (now == seen) {
      pthread_mutex_lock(&sleepMutex);
      while ((now = atomic_load_explicit(&generation, memory_order_acquire)) == seen)
        pthread_cond_wait(&sleepCondition, &sleepMutex);
      pthread_mutex_unlock(&sleepMutex);
    }
    seen = now;
    if (atomic_load_explicit(&stopping, memory_order_acquire)) return NULL;
    ck_isa_adopt(job.isa);
    run_items();
    atomic_fetch_sub_explicit(&active, 1, memory_order_release);
  }
}

static void announce(void) {
  pthread_mutex_lock(&sleepMutex);
  atomic_fetch_add_explicit(&generation, 1, memory_order_release);
  pthread_cond_broadcast(&sleepCondition);
  pthread_mutex_unlock(&sleepMutex);
}

static void pin_thread(pthread_t thread, int index) {
#if defined(__linux__)
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  int total = CPU_COUNT(&allowed);
  if (total < 1) return;
  for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    if (seen++ != index % total) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_setaffinity_np(thread, sizeof one, &one);
    return;
  }
#else
  (void)thread, (void)index;
#endif
}

void ck_threads_configure(int threadCount, int pin) {
  pthread_mutex_lock(&callerMutex);
  if (workerCount > 0) {
    atomic_store(&stopping, 1);
    announce();
    for (int i = 0; i < workerCount; i++) pthread_join(workers[i], NULL);
    free(workers);
    workers = NULL;
    atomic_store(&stopping, 0);
  }
  workerCount = threadCount > 1 ? threadCount - 1 : 0;
  if (workerCount > 0) workers = calloc((size_t)workerCount, sizeof *workers);
  unsigned now = atomic_load(&generation);
  int created = 0;
  for (int i = 0; i < workerCount && workers; i++) {
    if (pthread_create(&workers[created], NULL, worker_main, (void *)(uintptr_t)now) != 0) break;
    if (pin) pin_thread(workers[created], i + 1);
    created++;
  }
  workerCount = created;
  pthread_mutex_unlock(&callerMutex);
}

int ck_threads_count(void) { return workerCount + 1; }

void ck_parallel(int64_t count, void (*body)(void *context, int64_t i), void *context) {
  if (count <= 0) return;
  if (count == 1 || insideLoop || workerCount == 0 || pthread_mutex_trylock(&callerMutex) != 0) {
    for (int64_t i = 0; i < count; i++) body(context, i);
    return;
  }
  job.body = body, job.context = context, job.count = count, job.isa = ck_isa();
  atomic_store_explicit(&nextIndex, 0, memory_order_relaxed);
  atomic_store_explicit(&active, workerCount, memory_order_relaxed);
  announce();
  run_items();
  for (int spin = 0; atomic_load_explicit(&active, memory_order_acquire) > 0; spin++) {
    if (spin < SPIN_ITERATIONS) pause_cpu();
    else sched_yield();
  }
  pthread_mutex_unlock(&callerMutex);
}
