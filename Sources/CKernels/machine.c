#define _GNU_SOURCE
#include "internal.h"
#include <string.h>
#include <time.h>

CK_DECLARE(ck_multiply_add_chains, (int64_t steps, float *result))

// Chains of one step; their latency is hidden, and with factor and term they fit into 16 registers.
#define CHAINS 12
// A run is about a millisecond: on a machine that does other work too, some of many short ones are left alone.
#define STEPS 400000
#define CHAIN_RUNS 60
#define COPY_RUNS 8

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int64_t vector_floats(void) {
  switch (ck_isa()) {
    case CK_AVX512: return 16;
    case CK_AVX2: return 8;
    case CK_PORTABLE: return 4;
    default: return 1;
  }
}

static void chains_item(void *context, int64_t i) {
  float *results = context;
  CK_DISPATCH(ck_multiply_add_chains, (STEPS, results + i * CK_BLOCK))
}

double ck_multiply_add_rate(void) {
  int threads = ck_threads_count();
  _Alignas(64) float results[threads * CK_BLOCK];
  double operations = 2.0 * CHAINS * STEPS * (double)vector_floats() * threads, best = 0;
  for (int run = 0; run < CHAIN_RUNS; run++) {
    double begin = seconds();
    ck_parallel(threads, chains_item, results);
    double rate = operations / (seconds() - begin);
    if (rate > best) best = rate;
  }
  return best;
}

typedef struct {
  const float *from;
  float *to;
  int64_t count;
} Copy;

static void copy_piece(void *context, int64_t i) {
  const Copy *p = context;
  int64_t rest = p->count - i * CK_PIECE;
  memcpy(p->to + i * CK_PIECE, p->from + i * CK_PIECE, (size_t)(rest < CK_PIECE ? rest : CK_PIECE) * sizeof(float));
}

double ck_copy_rate(const float *from, float *to, int64_t count) {
  Copy copy = {from, to, count};
  double best = 0;
  for (int run = 0; run < COPY_RUNS; run++) {
    double begin = seconds();
    ck_parallel((count + CK_PIECE - 1) / CK_PIECE, copy_piece, &copy);
    double rate = 2.0 * sizeof(float) * (double)count / (seconds() - begin);
    if (rate > best) best = rate;
  }
  return best;
}
