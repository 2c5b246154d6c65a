// Speed of the kernels of interpretable layers, in GB/s of maps (of scores, for the templates' statistics) that they
// read and write, on maps of 14x14 cells. See harness.h.
#include "harness.h"

#define BLOCKS 4
#define EXTENT 14
#define CELLS (EXTENT * EXTENT)
#define TEMPLATES (CELLS + 1)

typedef struct {
  ck_maps_t maps;
  ck_mask_t mask;
  ck_templates_t templates;
  float *x, *y, *row, *column, *maximum, *along, *constant;
  double *sum, *squares, *deviation, *scores, *logZ, *likelihood, *divergence, *terms, *overwritten;
  size_t scoreBytes;
} Call;

#define BODY(name, ...) \
  static void name(void *context) { \
    Call *p = context; \
    __VA_ARGS__; \
  }
BODY(peak, ck_peak(p->x, p->maps, p->row, p->column, p->maximum, p->sum))
BODY(centroid, ck_centroid(p->x, p->maps, p->row, p->column, p->maximum, p->sum, p->deviation))
BODY(mask_score, ck_mask_score(p->x, p->maps, p->mask, p->sum))
BODY(mask_forward, ck_mask_forward(p->x, p->maps, p->mask, p->y))
BODY(mask_backward, ck_mask_backward(p->x, p->y, p->maps, p->mask, p->along, p->constant, 1))
BODY(gradient_squares,
     ck_mask_gradient_squares(p->x, p->y, p->maps, p->mask, p->along, p->constant, NULL, p->squares))
BODY(scores, ck_template_scores(p->x, p->maps, p->templates, p->scores))
BODY(normalizers, ck_template_normalizers(p->scores, p->maps, p->logZ))
BODY(divergences, ck_template_divergences(p->overwritten, p->maps, p->likelihood, p->divergence))
// The kernels overwrite the scores, so these two copy them first; the copy is small against what follows.
BODY(likelihoods, memcpy(p->overwritten, p->scores, p->scoreBytes);
     ck_template_likelihoods(p->overwritten, p->maps, p->logZ, p->likelihood, p->terms))
BODY(gradient, memcpy(p->overwritten, p->scores, p->scoreBytes);
     ck_template_gradient(p->overwritten, p->maps, p->templates, p->likelihood, p->divergence, 1, p->y))

int main(int count, char **arguments) {
  harness_begin(count, arguments);
  Call p = {.maps = {harness.batch ? harness.batch : 2, BLOCKS, EXTENT, EXTENT}};
  int64_t lanes = p.maps.images * BLOCKS * CK_BLOCK, values = lanes * CELLS, scored = lanes * TEMPLATES;
  int64_t eight = (int64_t)sizeof(double);
  p.x = new_floats(values), p.y = new_floats(values), p.row = new_floats(lanes), p.column = new_floats(lanes);
  p.maximum = new_floats(lanes), p.along = new_floats(lanes), p.constant = new_floats(lanes);
  p.sum = new_bytes(lanes * eight), p.deviation = new_bytes(lanes * eight), p.scores = new_bytes(scored * eight);
  p.squares = new_bytes(2 * lanes * eight);
  p.logZ = new_bytes(BLOCKS * TEMPLATES * CK_BLOCK * eight), p.likelihood = new_bytes(lanes * eight);
  p.divergence = new_bytes(BLOCKS * TEMPLATES * CK_BLOCK * eight), p.terms = new_bytes(3 * lanes * eight);
  p.scoreBytes = (size_t)(scored * eight), p.overwritten = new_bytes(scored * eight);
  for (int64_t i = 0; i < values; i++) p.x[i] = p.x[i] < 0 ? 0 : p.x[i];
  float *slope = new_floats(BLOCKS * CK_BLOCK);
  for (int64_t i = 0; i < BLOCKS * CK_BLOCK; i++) slope[i] = 4;
  p.mask = (ck_mask_t){p.row, p.column, slope, 1.0f / EXTENT, 1.0f / EXTENT, 0.5f / CELLS};

  double *cone = new_bytes(EXTENT * CK_CONE_ROW(EXTENT) * eight);
  int32_t *reach = new_bytes(EXTENT * (int64_t)sizeof *reach);
  for (int down = 0; down < EXTENT; down++)
    for (int right = 0; right < EXTENT; right++) {
      double value = 2 - 4.0 * (down + right) / EXTENT;
      if (value <= 0) continue;
      double *centre = cone + down * CK_CONE_ROW(EXTENT) + CK_CONE_CENTRE(EXTENT);
      centre[right] = centre[-right] = value;
      reach[down] = right + 1;
    }
  p.templates = (ck_templates_t){cone, reach, 0.5 / CELLS};

  double maps = 4 * (double)values, tables = 8 * (double)scored;
  harness_measure("mask, peak", GIGABYTES, maps, peak, &p);
  harness_measure("mask, centroid", GIGABYTES, maps, centroid, &p);
  peak(&p);  // centres inside the map for what follows, whatever was asked for
  harness_measure("mask, score", GIGABYTES, maps, mask_score, &p);
  harness_measure("mask, forward", GIGABYTES, 2 * maps, mask_forward, &p);
  harness_measure("mask, backward", GIGABYTES, 3 * maps, mask_backward, &p);
  harness_measure("mask, gradient squares", GIGABYTES, 2 * maps, gradient_squares, &p);
  harness_measure("templates, scores", GIGABYTES, maps + tables, scores, &p);
  scores(&p);
  harness_measure("templates, normalizers", GIGABYTES, tables, normalizers, &p);
  normalizers(&p);
  harness_measure("templates, likelihoods", GIGABYTES, 2 * tables, likelihoods, &p);
  likelihoods(&p);
  harness_measure("templates, divergences", GIGABYTES, tables, divergences, &p);
  divergences(&p);
  memcpy(p.scores, p.overwritten, p.scoreBytes);  // the gradient starts from log p(x|T)
  harness_measure("templates, gradient", GIGABYTES, 2 * maps + 2 * tables, gradient, &p);
  return 0;
}
