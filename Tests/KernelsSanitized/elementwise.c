// Elementwise loops, dropout, layouts, rows, the optimiser.
#include "check.h"

static const int64_t counts[] = {0, 1, 15, 16, 17, 1000, 16384, 16385, 50001};

static void check_relu(int64_t count) {
  check_begin("relu of %lld values", (long long)count);
  while (check_next()) {
    float *x = floats(count, TIES), *dy = floats(count, NOISE);
    ck_relu_forward(x, count);
    check_floats("y", x, count, 0);
    ck_relu_backward(x, dy, count);
    check_floats("dx", dy, count, 0);
    release_arrays();
  }
}

static void check_sums(int64_t count) {
  check_begin("sums of %lld values", (long long)count);
  while (check_next()) {
    const float *x = floats(count, NOISE);
    float *y = floats(count, NOISE), *rectified = floats(count, NOISE), *dy = floats(count, NOISE);
    ck_add(x, y, count);
    check_floats("sum", y, count, 0);
    ck_add_relu_forward(x, rectified, count);
    check_floats("rectified sum", rectified, count, 0);
    ck_add_relu_backward(rectified, x, dy, count);
    check_floats("masked sum of gradients", dy, count, 0);
    release_arrays();
  }
}

static void check_dropout(int64_t batch, int64_t stride) {
  check_begin("dropout of %lld x %lld values", (long long)batch, (long long)stride);
  while (check_next()) {
    uint64_t *keys = bytes(batch * (int64_t)sizeof *keys);
    for (int64_t n = 0; n < batch; n++) keys[n] = (uint64_t)n * 7919;
    float *x = floats(batch * stride, NOISE);
    ck_dropout(0xFEDCBA9876543210u, keys, batch, stride, 0x60000000u, 1.6f, x);
    check_floats("y", x, batch * stride, 0);
    release_arrays();
  }
}

static void check_layout(int64_t batch, int64_t channels, int64_t cells) {
  int64_t blocked = batch * padded(channels) * cells, flat = batch * channels * cells;
  check_begin("layouts of %lld images of %lld channels and %lld cells", (long long)batch, (long long)channels,
              (long long)cells);
  while (check_next()) {
    const float *x = maps(batch, channels, cells, NOISE);
    float *y = floats(flat, UNTOUCHED), *back = floats(blocked, UNTOUCHED);
    ck_blocked_to_flat(batch, channels, cells, x, y);
    check_floats("flat", y, flat, 0);
    ck_flat_to_blocked(batch, channels, cells, y, back);
    check_floats("blocked", back, blocked, 0);
    check_true(memcmp(x, back, (size_t)blocked * sizeof(float)) == 0, "there and back");
    release_arrays();
  }
}

static void check_rows(int64_t rows, int64_t columns) {
  check_begin("%lld rows of %lld columns", (long long)rows, (long long)columns);
  while (check_next()) {
    const float *row = floats(columns, NOISE), *x = floats(rows * columns, NOISE);
    float *y = floats(rows * columns, UNTOUCHED), *sum = floats(columns, NOISE);
    ck_rows_fill(row, rows, columns, y);
    check_floats("filled", y, rows * columns, 0);
    ck_rows_sum(x, rows, columns, 1, sum);
    check_floats("sum", sum, columns, (double)(rows * rows + 1) * UNIT_ROUNDOFF);
    release_arrays();
  }
}

/// Ranges of odd lengths; one of them, unless `broken` is negative, with an infinite gradient.
static void check_momentum(int64_t ranges, int64_t broken, int64_t ranks) {
  check_begin("momentum update of %lld ranges, %lld broken, %lld ranks", (long long)ranges, (long long)broken,
              (long long)ranks);
  while (check_next()) {
    ck_update_range_t *range = bytes(ranges * (int64_t)sizeof *range);
    int64_t total = 0;
    for (int64_t i = 0; i < ranges; i++) {
      range[i] = (ck_update_range_t){total, 1 + random_below(5000), i % 2 ? 2 : 1, i % 3 ? 1 : 0};
      total += padded(range[i].count);
    }
    float *values = floats(total, NOISE), *velocities = floats(total, NOISE);
    const float *gradients[4];
    for (int64_t r = 0; r < ranks; r++) {
      float *arena = floats(total, NOISE);
      if (broken >= 0 && r == ranks - 1) arena[range[broken].offset + range[broken].count - 1] = INFINITY;
      gradients[r] = arena;
    }
    ck_update_t update = {.ranges = range, .rangeCount = ranges, .values = values, .velocities = velocities,
                          .gradients = gradients, .gradientCount = ranks};
    int64_t first = ck_momentum_update(&update, 0.1f, 0.9f, 5e-4f);
    check_true(first == broken, "the index of the broken range");
    check_floats("velocities", velocities, total, 8 * UNIT_ROUNDOFF);
    check_floats("values", values, total, 8 * UNIT_ROUNDOFF);
    release_arrays();
  }
}

static void check_philox(void) {
  check_begin("philox");
  while (check_next()) {
    // Known answers of the generator's authors (Random123, kat_vectors: philox4x32 10).
    uint32_t out[4];
    ck_philox(0, 0, 0, out);
    check_true(out[0] == 0x6627e8d5 && out[1] == 0xe169c58d && out[2] == 0xbc57ac4c && out[3] == 0x9b00dbd8,
               "the numbers of key and counter 0");
    ck_philox(~0ull, ~0ull, ~0ull, out);
    check_true(out[0] == 0x408f276d && out[1] == 0x41c83b0e && out[2] == 0xa20bc7c6 && out[3] == 0x6d5451fd,
               "the numbers of all ones");
  }
}

static void run(void) {
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    check_relu(counts[i]);
    check_sums(counts[i]);
  }
  static const int64_t shapes[][3] = {{2, 40, 35}, {1, 16, 1}, {3, 3, 7}, {1, 17, 49}, {5, 1, 1}, {0, 32, 9}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const int64_t *s = shapes[i];
    check_layout(s[0], s[1], s[2]);
    check_rows(s[0], s[1] * s[2]);
    check_dropout(s[0], s[1] * s[2]);
  }
  check_rows(16, 4097);
  check_dropout(2, 40001);
  check_momentum(0, -1, 1);
  check_momentum(1, -1, 1);
  check_momentum(9, -1, 1);
  check_momentum(9, 4, 1);
  check_momentum(9, -1, 2);
  check_momentum(9, 4, 3);
  check_philox();
}

const Family familyElementwise = {"elementwise", run};
