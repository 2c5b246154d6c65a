// What the C benchmarks share: options, memory, interleaved timing of all bodies of a kernel, output.
//
//   clang -std=gnu17 -O3 -fno-math-errno -fno-trapping-math -I Sources/CKernels/include
//     Benchmarks/NAME.c Sources/CKernels/*.c -lpthread -lm -o NAME
//   ./NAME [--lines] [--runs N] [--batch N] [--layers] [part of a kernel's name]
//
// Every kernel runs by every body that the CPU has, in turn, so that what else the machine does hits all alike; the
// time is process CPU time, the best of N runs. ICNN_ISA names one body alone; without it the reference runs too and
// ratios to it are printed. One thread unless ICNN_THREADS says more. --layers measures the layers of published
// networks where a program has them, without the reference, which would take minutes. --lines prints one JSON object
// a kernel and body, for kernels.py.
#ifndef ICNN_HARNESS_H
#define ICNN_HARNESS_H
#include "ckernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef enum { GFLOPS, GIGABYTES } Unit;

static struct {
  int asLines, runs, batch, layers;
  const char *part;
  ck_isa_t bodies[4];
  int bodyCount;
} harness = {.runs = 5, .part = ""};

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *new_bytes(int64_t bytes) {
  void *memory = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
  if (!memory) {
    fprintf(stderr, "error: no memory for %lld bytes\n", (long long)bytes);
    exit(71);
  }
  memset(memory, 0, (size_t)bytes);
  return memory;
}

/// Numbers in -0.5 ..< 0.5 without a pattern that a kernel could use.
static float *new_floats(int64_t count) {
  float *values = new_bytes(count * (int64_t)sizeof(float));
  for (int64_t i = 0; i < count; i++) values[i] = (float)((uint64_t)i * 2654435761u % 65536) / 65536 - 0.5f;
  return values;
}

static void usage(const char *program) {
  fprintf(stderr, "usage: %s [--lines] [--layers] [--runs >=1] [--batch >=1] [part of a kernel's name]\n", program);
  exit(64);
}

/// Reads the options, starts the threads and prints the head of the table.
static void harness_begin(int count, char **arguments) {
  for (int i = 1; i < count; i++) {
    const char *option = arguments[i];
    int *number = strcmp(option, "--runs") == 0 ? &harness.runs : strcmp(option, "--batch") == 0 ? &harness.batch : NULL;
    if (number) {
      if (++i == count || (*number = atoi(arguments[i])) < 1) usage(arguments[0]);
    } else if (strcmp(option, "--lines") == 0) harness.asLines = 1;
    else if (strcmp(option, "--layers") == 0) harness.layers = 1;
    else if (option[0] == '-' || *harness.part) usage(arguments[0]);
    else harness.part = option;
  }
  const char *threads = getenv("ICNN_THREADS");
  ck_threads_configure(threads ? atoi(threads) : 1, 1);
  ck_isa_t wanted = ck_isa();
  for (int isa = harness.layers ? CK_PORTABLE : CK_REFERENCE; isa <= CK_AVX512; isa++)
    if (ck_isa_available((ck_isa_t)isa) && (!getenv("ICNN_ISA") || isa == (int)wanted))
      harness.bodies[harness.bodyCount++] = (ck_isa_t)isa;
  if (harness.asLines) return;
  printf("%d thread(s); peak of multiply-adds:", ck_threads_count());
  for (int i = 0; i < harness.bodyCount; i++) {
    ck_isa_select(harness.bodies[i]);
    printf(" %s %.0f", ck_isa_name(harness.bodies[i]), ck_multiply_add_rate() / 1e9);
  }
  printf(" GFLOP/s\n\n| kernel | unit |");
  for (int i = 0; i < harness.bodyCount; i++) printf(" %s |", ck_isa_name(harness.bodies[i]));
  printf("\n|---|---|");
  for (int i = 0; i < harness.bodyCount; i++) printf("---:|");
  printf("\n");
}

/// Times body(context), which computes `count` operations or moves `count` bytes, by all bodies, and prints the
/// result: rates and, behind them, ratios to the reference.
static void harness_measure(const char *kernel, Unit unit, double count, void (*body)(void *), void *context) {
  if (!strstr(kernel, harness.part)) return;
  double best[4];
  int repetitions[4];
  for (int i = 0; i < harness.bodyCount; i++) {
    ck_isa_select(harness.bodies[i]);
    body(context);  // caches, page faults
    double begin = cpu_seconds();
    body(context);
    best[i] = cpu_seconds() - begin;
    // A sample of two milliseconds: long against the clock, short against what interrupts it.
    repetitions[i] = best[i] > 2e-3 ? 1 : (int)(2e-3 / (best[i] + 1e-7)) + 1;
  }
  for (int run = 0; run < harness.runs; run++) {
    for (int i = 0; i < harness.bodyCount; i++) {
      ck_isa_select(harness.bodies[i]);
      double begin = cpu_seconds();
      for (int repetition = 0; repetition < repetitions[i]; repetition++) body(context);
      double seconds = (cpu_seconds() - begin) / repetitions[i];
      if (seconds < best[i]) best[i] = seconds;
    }
  }
  if (!harness.asLines) printf("| %s | %s |", kernel, unit == GFLOPS ? "GFLOP/s" : "GB/s");
  for (int i = 0; i < harness.bodyCount; i++) {
    double rate = count / best[i] / 1e9, ratio = best[0] / best[i];
    int hasRatio = harness.bodies[0] == CK_REFERENCE && i > 0;
    if (harness.asLines)
      printf("{\"kernel\": \"%s\", \"isa\": \"%s\", \"%s\": %.4g, \"ratio\": %.4g}\n", kernel,
             ck_isa_name(harness.bodies[i]), unit == GFLOPS ? "gflops" : "gb_per_second", rate, ratio);
    else if (hasRatio) printf(" %.1f (%.1fx) |", rate, ratio);
    else printf(" %.1f |", rate);
  }
  if (!harness.asLines) printf("\n");
  fflush(stdout);
}

#endif
