// The thread pool: every index once, loops inside loops, two callers, pools that come and go. For ThreadSanitizer.
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>

typedef struct {
  int64_t *visits;
  int64_t inner;
} Loop;

static void visit(void *context, int64_t i) { ((Loop *)context)->visits[i]++; }

static void visit_inside(void *context, int64_t i) {
  const Loop *loop = context;
  Loop inner = {.visits = loop->visits + i * loop->inner};
  ck_parallel(loop->inner, visit, &inner);
}

static int all_equal(const int64_t *visits, int64_t count, int64_t expected) {
  for (int64_t i = 0; i < count; i++)
    if (visits[i] != expected) return 0;
  return 1;
}

static void check_loops(int threads, int64_t count, int64_t rounds) {
  ck_threads_configure(threads, 0);
  int64_t *visits = calloc((size_t)(count > 0 ? count : 1), sizeof *visits);
  Loop loop = {.visits = visits};
  for (int64_t round = 0; round < rounds; round++) ck_parallel(count, visit, &loop);
  check_true(all_equal(visits, count, rounds), "every index was visited once a loop");
  free(visits);
}

static void check_nesting(int threads) {
  ck_threads_configure(threads, 1);
  int64_t *visits = calloc(20 * 30, sizeof *visits);
  Loop loop = {.visits = visits, .inner = 30};
  ck_parallel(20, visit_inside, &loop);
  check_true(all_equal(visits, 20 * 30, 1), "loops inside a loop visit every index once");
  free(visits);
}

static void *caller(void *context) {
  for (int round = 0; round < 40; round++) ck_parallel(100, visit, context);
  return NULL;
}

static void check_callers(int threads) {
  ck_threads_configure(threads, 0);
  pthread_t other;
  int64_t *first = calloc(100, sizeof *first), *second = calloc(100, sizeof *second);
  Loop firstLoop = {.visits = first}, secondLoop = {.visits = second};
  if (pthread_create(&other, NULL, caller, &secondLoop) != 0) abort();
  caller(&firstLoop);
  pthread_join(other, NULL);
  check_true(all_equal(first, 100, 40) && all_equal(second, 100, 40), "two callers at once keep apart");
  free(first), free(second);
}

static void run(void) {
  check_begin("thread pool");
  static const int threadCounts[] = {1, 2, 3, 8};
  for (size_t i = 0; i < sizeof threadCounts / sizeof *threadCounts; i++) {
    int threads = threadCounts[i];
    check_loops(threads, 0, 10);
    check_loops(threads, 1, 10);
    check_loops(threads, 3, 60);
    check_loops(threads, 1000, 10);
    check_nesting(threads);
    check_callers(threads);
  }
}

const Family familyThreads = {"threads", run};
