// Speed of the products of a linear layer for a batch of 16, and of an update that makes the weights' gradient itself, in
// GFLOP/s. W has odd rows, or passes through the last cache. See harness.h.
#include "harness.h"

typedef struct {
  ck_linear_t shape;
  float *x, *y, *dx, *weights, *gradients, *bias, *workspace;
  ck_linear_factors_t factors;
} Call;

#define BODY(name, ...) \
  static void name(void *context) { \
    Call *p = context; \
    __VA_ARGS__; \
  }
BODY(forward, ck_linear_forward(&p->shape, p->x, p->weights, p->bias, p->y, p->workspace))
BODY(backward_data, ck_linear_backward_data(&p->shape, p->y, p->weights, p->dx, p->workspace))
BODY(set, ck_linear_backward_weights(&p->shape, p->x, p->y, 0, p->gradients, p->workspace))
BODY(add, ck_linear_backward_weights(&p->shape, p->x, p->y, 1, p->gradients, p->workspace))
BODY(update, ck_linear_update_t u = {p->shape.inputs, p->shape.outputs, 0, p->shape.inputs * p->shape.outputs, p->weights,
                                     p->gradients, 1e-6f, 0.9f, 5e-4f};
     ck_linear_update(&u, &p->factors))

static void measure(int64_t inputs, int64_t outputs) {
  int64_t batch = harness.batch ? harness.batch : 16;
  Call p = {.shape = {batch, inputs, outputs}};
  p.x = new_floats(batch * inputs), p.y = new_floats(batch * outputs), p.dx = new_floats(batch * inputs);
  p.weights = new_floats(inputs * outputs), p.gradients = new_floats(inputs * outputs), p.bias = new_floats(outputs);
  p.workspace = new_floats(ck_linear_workspace(&p.shape));
  p.factors = (ck_linear_factors_t){batch, new_floats(batch * ck_linear_factor_inputs(inputs)),
                                    new_floats(batch * outputs)};
  ck_linear_keep_factors(&p.shape, p.x, p.y, 0, &p.factors);
  const struct {
    const char *name;
    void (*body)(void *);
  } passes[] = {{"forward", forward}, {"backward-data", backward_data}, {"backward-weights", set},
                {"backward-weights, adding", add}, {"update by factors", update}};
  double operations = 2 * (double)(batch * inputs * outputs);
  for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
    char name[128];
    snprintf(name, sizeof name, "linear %lld to %lld, %s", (long long)inputs, (long long)outputs, passes[i].name);
    harness_measure(name, GFLOPS, operations, passes[i].body, &p);
  }
  float *all[] = {p.x, p.y, p.dx, p.weights, p.gradients, p.bias, p.workspace, p.factors.x, p.factors.dy};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

int main(int count, char **arguments) {
  harness_begin(count, arguments);
  measure(1029, 261);
  measure(2304, 1024);
  return 0;
}
