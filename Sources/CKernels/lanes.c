#include "convolution.h"

static void run_lane(void *context, int64_t lane) {
  Lanes *lanes = context;
  for (;;) {
    int64_t i = atomic_fetch_add_explicit(&lanes->next, 1, memory_order_relaxed);
    if (i >= lanes->count) return;
    lanes->item(lanes, i, lanes->scratch + lane * lanes->scratchFloats);
  }
}

void ck_run_lanes(void (*item)(const Lanes *, int64_t, float *), const void *call, int64_t count, float *scratch,
                  int64_t scratchFloats, int64_t available) {
  if (available < scratchFloats) __builtin_trap();  // the caller did not ask ck_convolution_workspace
  Lanes lanes = {.item = item, .call = call, .count = count, .scratch = scratch, .scratchFloats = scratchFloats};
  int64_t laneCount = ck_threads_count();
  if (laneCount > count) laneCount = count;
  if (scratchFloats > 0 && laneCount > available / scratchFloats) laneCount = available / scratchFloats;
  ck_parallel(laneCount > 1 || count == 0 ? laneCount : 1, run_lane, &lanes);
}
