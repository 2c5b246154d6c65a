#include "check.h"

static const int threadCounts[] = {1, 2, 5};
#define THREAD_COUNTS ((int)(sizeof threadCounts / sizeof *threadCounts))

int64_t comparisonCount, failureCount;

// MARK: Arrays and random numbers

static void **held;
static int64_t heldCount, heldCapacity;
static uint64_t randomState;

static uint64_t next_random(void) {  // splitmix64
  uint64_t z = randomState += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

int64_t random_below(int64_t limit) { return (int64_t)(next_random() % (uint64_t)limit); }

static double value_of(Content content) {
  double uniform = (double)(next_random() >> 40) / (1 << 24);
  switch (content) {
    case UNTOUCHED: return NAN;
    case ZERO: return 0;
    case NOISE: return 2 * uniform - 1;
    case POSITIVE: return uniform < 1.0 / 3 ? 0 : uniform;
    case TIES: return floor(uniform * 9) / 2 - 2;
  }
  return 0;
}

void *bytes(int64_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 64, (size_t)bytes) != 0 || (!memory && bytes > 0)) {
    fprintf(stderr, "no memory for %lld bytes\n", (long long)bytes);
    exit(71);
  }
  if (bytes > 0) memset(memory, 0xFF, (size_t)bytes);
  if (heldCount == heldCapacity) {
    heldCapacity = 2 * heldCapacity + 16;
    held = realloc(held, (size_t)heldCapacity * sizeof *held);
    if (!held) exit(71);
  }
  return held[heldCount++] = memory;
}

float *floats(int64_t count, Content content) {
  float *values = bytes(count * (int64_t)sizeof(float));
  for (int64_t i = 0; i < count; i++) values[i] = (float)value_of(content);
  return values;
}

double *doubles(int64_t count, Content content) {
  double *values = bytes(count * (int64_t)sizeof(double));
  for (int64_t i = 0; i < count; i++) values[i] = value_of(content);
  return values;
}

float *maps(int64_t batch, int64_t channels, int64_t cells, Content content) {
  int64_t blocks = padded(channels) / CK_BLOCK;
  float *values = floats(batch * blocks * cells * CK_BLOCK, content);
  if (content == UNTOUCHED) return values;
  for (int64_t i = 0; i < batch * blocks * cells * CK_BLOCK; i++)
    if (i / CK_BLOCK / cells % blocks * CK_BLOCK + i % CK_BLOCK >= channels) values[i] = 0;
  return values;
}

void release_arrays(void) {
  while (heldCount > 0) free(held[--heldCount]);
}

// MARK: Runs and comparisons

typedef struct {
  char name[64];
  int64_t count;
  double *reference;
  void *bits;  // of the body's first run
  size_t bytes;
} Result;

static char title[256];
static int run;  // of the present check, -1 before the first
static Result results[16];
static int resultCount;

static ck_isa_t isa_of(int index) { return (ck_isa_t)(index / THREAD_COUNTS); }

void check_begin(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(title, sizeof title, format, arguments);
  va_end(arguments);
  for (int i = 0; i < resultCount; i++) free(results[i].reference), free(results[i].bits);
  resultCount = 0;
  run = -1;
}

int check_next(void) {
  do run++;
  while (isa_of(run) <= CK_AVX512 && !ck_isa_available(isa_of(run)));
  if (isa_of(run) > CK_AVX512) return 0;
  ck_isa_select(isa_of(run));
  if (ck_threads_count() != threadCounts[run % THREAD_COUNTS])
    ck_threads_configure(threadCounts[run % THREAD_COUNTS], 0);
  randomState = 20180618;
  return 1;
}

static void fail(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(const char *name, const char *format, ...) {
  if (failureCount++ >= 50) return;
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "error: %s, %s, %s, %d threads: ", title, name, ck_isa_name(ck_isa()), ck_threads_count());
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
}

void check_true(int condition, const char *what) {
  comparisonCount++;
  if (!condition) fail(what, "does not hold");
}

static Result *result_named(const char *name, int64_t count) {
  for (int i = 0; i < resultCount; i++)
    if (strcmp(results[i].name, name) == 0) return &results[i];
  if (resultCount == (int)(sizeof results / sizeof *results)) abort();
  Result *result = &results[resultCount++];
  *result = (Result){.count = count};
  snprintf(result->name, sizeof result->name, "%s", name);
  return result;
}

/// Remembers the first run's values and every body's first bits; compares all others.
static void compare(const char *name, const void *values, size_t elementBytes, int64_t count,
                    double (*value)(const void *, int64_t), double bound) {
  Result *result = result_named(name, count);
  size_t bytes = elementBytes * (size_t)count;
  comparisonCount++;
  if (!result->reference) {
    result->reference = malloc(sizeof(double) * (size_t)(count > 0 ? count : 1));
    for (int64_t i = 0; i < count; i++) {
      result->reference[i] = value(values, i);
      if (isnan(result->reference[i])) return fail(name, "the reference left a NaN at %lld", (long long)i);
    }
  }
  for (int64_t i = 0; i < count; i++) {
    double actual = value(values, i), expected = result->reference[i];
    if (actual == expected || fabs(actual - expected) <= bound) continue;
    fail(name, "%.9g instead of %.9g at %lld of %lld, bound %.3g", actual, expected, (long long)i,
         (long long)count, bound);
    break;
  }
  if (run % THREAD_COUNTS == 0) {
    free(result->bits);
    result->bits = malloc(bytes + 1);
    memcpy(result->bits, values, bytes);
  } else if (memcmp(result->bits, values, bytes) != 0) {
    fail(name, "other bits than on one thread");
  }
}

static double float_at(const void *values, int64_t i) { return ((const float *)values)[i]; }
static double double_at(const void *values, int64_t i) { return ((const double *)values)[i]; }
static double byte_at(const void *values, int64_t i) { return ((const uint8_t *)values)[i]; }

void check_floats(const char *name, const float *values, int64_t count, double bound) {
  compare(name, values, sizeof(float), count, float_at, bound);
}

void check_doubles(const char *name, const double *values, int64_t count, double bound) {
  compare(name, values, sizeof(double), count, double_at, bound);
}

void check_bytes(const char *name, const uint8_t *values, int64_t count) {
  compare(name, values, 1, count, byte_at, 0);
}
