// What is measured has no reference; it runs, stays inside its arrays and copies.
#include "check.h"

static void run(void) {
  const int64_t count = 50001;
  check_begin("limits of the machine");
  while (check_next()) {
    const float *from = floats(count, NOISE);
    float *to = floats(count, UNTOUCHED);
    check_true(ck_copy_rate(from, to, count) > 0, "the rate of copies is positive");
    check_floats("copy", to, count, 0);
    check_true(ck_multiply_add_rate() > 0, "the rate of multiply-adds is positive");
    release_arrays();
  }
}

const Family familyMachine = {"machine", run};
