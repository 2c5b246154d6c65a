// Every public kernel by every body that this CPU has, against the reference, on 1, 2 and 5 threads, with shapes at
// which kernels break: 1×1 maps, one block of channels, odd sizes, empty batches, more threads than work. Build it
// with a sanitizer (.ci/run does) and it also finds reads and writes beyond an array, overflows, or data races.
//
//   clang -std=gnu17 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fuse-ld=lld
//     -I Sources/CKernels/include Tests/KernelsSanitized/*.c Sources/CKernels/*.c -lpthread -lm -o kernels
//   ./kernels [family …]
//
// Exit code 1 if a result differs by more than its bound. A new family: one file like pooling.c, one line in each
// of check.h and the table below.
#include "check.h"
#include <time.h>

static const Family *const families[] = {
    &familyConvolution, &familyDense,   &familyElementwise,   &familyImages,  &familyInterpretable,
    &familyLinear,      &familyMachine, &familyNormalization, &familyPooling, &familyThreads,
};
#define FAMILIES (sizeof families / sizeof *families)

static int is_wanted(const Family *family, int count, char **names) {
  for (int i = 0; i < count; i++)
    if (strcmp(names[i], family->name) == 0) return 1;
  return count == 0;
}

int main(int argumentCount, char **arguments) {
  int ran = 0;
  for (size_t i = 0; i < FAMILIES; i++) {
    if (!is_wanted(families[i], argumentCount - 1, arguments + 1)) continue;
    int64_t comparisons = comparisonCount, failures = failureCount;
    clock_t begin = clock();
    families[i]->run();
    printf("%-14s %6lld comparisons, %lld failed, %.1f s of processor time\n", families[i]->name,
           (long long)(comparisonCount - comparisons), (long long)(failureCount - failures),
           (double)(clock() - begin) / CLOCKS_PER_SEC);
    fflush(stdout);
    ran++;
  }
  ck_threads_configure(1, 0);
  if (ran == 0 || (argumentCount > 1 && ran != argumentCount - 1)) {
    fprintf(stderr, "error: no such family - known are:");
    for (size_t i = 0; i < FAMILIES; i++) fprintf(stderr, " %s", families[i]->name);
    fputc('\n', stderr);
    return 64;
  }
  return failureCount > 0;
}
