#include "interpretable_internal.h"

// Every piece is one map or one strip of templates of one block: fixed by the shape, never by the number of
// threads, so results do not depend on it.

typedef struct {
  ck_maps_t maps;
  ck_mask_t mask;
  ck_templates_t templates;
  const float *x, *d, *along, *constant, *gradient;
  float *y, *row, *column, *maximum;
  double *scores, *sum, *deviation, *terms, *logLikelihood;
  const double *logZ;
  double *strips;
  double factor;
  int activeOnly;
} Work;

static inline int64_t cells(const Work *w) { return w->maps.height * w->maps.width; }
static inline int64_t template_count(const Work *w) { return cells(w) + 1; }
static inline int64_t map_count(const Work *w) { return w->maps.images * w->maps.blocks; }
static inline const float *map_in(const Work *w, int64_t map) { return w->x + map * cells(w) * CK_BLOCK; }
static inline float *map_out(const Work *w, int64_t map) { return w->y + map * cells(w) * CK_BLOCK; }
static inline double *map_scores(const Work *w, int64_t map) {
  return w->scores + map * template_count(w) * CK_BLOCK;
}

static inline MaskBlock mask_of(const Work *w, int64_t map) {
  return (MaskBlock){
      w->mask.row + map * CK_BLOCK, w->mask.column + map * CK_BLOCK, w->mask.slope + map % w->maps.blocks * CK_BLOCK,
      w->mask.rowStep, w->mask.columnStep, w->mask.scale};
}

// MARK: centres and masks

static void peak_piece(void *context, int64_t map) {
  const Work *w = context;
  int64_t at = map * CK_BLOCK;
  CK_DISPATCH(
      ck_peak_map, (map_in(w, map), w->maps.height, w->maps.width, w->row + at, w->column + at, w->maximum + at,
                    w->sum + at))
}

void ck_peak(const float *x, ck_maps_t maps, float *row, float *column, float *maximum, double *sum) {
  Work w = {.maps = maps, .x = x, .row = row, .column = column, .maximum = maximum, .sum = sum};
  ck_parallel(map_count(&w), peak_piece, &w);
}

static void centroid_piece(void *context, int64_t map) {
  const Work *w = context;
  int64_t at = map * CK_BLOCK;
  CK_DISPATCH(
      ck_centroid_map, (map_in(w, map), w->maps.height, w->maps.width, w->row + at, w->column + at, w->maximum + at,
                        w->sum + at, w->deviation + at))
}

void ck_centroid(
    const float *x, ck_maps_t maps, float *row, float *column, float *maximum, double *mean, double *deviation) {
  Work w = {.maps = maps, .x = x, .row = row, .column = column, .maximum = maximum, .sum = mean,
            .deviation = deviation};
  ck_parallel(map_count(&w), centroid_piece, &w);
}

static void mask_score_piece(void *context, int64_t map) {
  const Work *w = context;
  CK_DISPATCH(
      ck_mask_score_map,
      (map_in(w, map), w->maps.height, w->maps.width, mask_of(w, map), w->sum + map * CK_BLOCK))
}

void ck_mask_score(const float *x, ck_maps_t maps, ck_mask_t mask, double *score) {
  Work w = {.maps = maps, .mask = mask, .x = x, .sum = score};
  ck_parallel(map_count(&w), mask_score_piece, &w);
}

static void mask_forward_piece(void *context, int64_t map) {
  const Work *w = context;
  CK_DISPATCH(
      ck_mask_forward_map,
      (map_in(w, map), w->maps.height, w->maps.width, mask_of(w, map), map_out(w, map)))
}

void ck_mask_forward(const float *x, ck_maps_t maps, ck_mask_t mask, float *y) {
  Work w = {.maps = maps, .mask = mask, .x = x, .y = y};
  ck_parallel(map_count(&w), mask_forward_piece, &w);
}

static void mask_backward_piece(void *context, int64_t map) {
  const Work *w = context;
  const float *along = w->along ? w->along + map * CK_BLOCK : NULL;
  const float *constant = w->constant ? w->constant + map * CK_BLOCK : NULL;
  CK_DISPATCH(
      ck_mask_backward_map, (map_in(w, map), map_out(w, map), w->maps.height, w->maps.width, mask_of(w, map), along,
                             constant, w->activeOnly))
}

void ck_mask_backward(
    const float *x, float *d, ck_maps_t maps, ck_mask_t mask, const float *along, const float *constant,
    int activeOnly) {
  Work w = {.maps = maps, .mask = mask, .x = x, .y = d, .along = along, .constant = constant,
            .activeOnly = activeOnly};
  ck_parallel(map_count(&w), mask_backward_piece, &w);
}

static void gradient_squares_piece(void *context, int64_t map) {
  const Work *w = context;
  int64_t at = map * CK_BLOCK, values = at * cells(w);
  CK_DISPATCH(
      ck_mask_gradient_squares_map,
      (map_in(w, map), w->d + values, w->maps.height, w->maps.width, mask_of(w, map), w->along ? w->along + at : NULL,
       w->constant ? w->constant + at : NULL, w->gradient ? w->gradient + values : NULL, w->sum + 2 * at))
}

void ck_mask_gradient_squares(
    const float *x, const float *d, ck_maps_t maps, ck_mask_t mask, const float *along, const float *constant,
    const float *gradient, double *squares) {
  Work w = {.maps = maps, .mask = mask, .x = x, .d = d, .along = along, .constant = constant, .gradient = gradient,
            .sum = squares};
  ck_parallel(map_count(&w), gradient_squares_piece, &w);
}

// MARK: templates

static void scores_piece(void *context, int64_t map) {
  const Work *w = context;
  CK_DISPATCH(
      ck_template_scores_map,
      (map_in(w, map), w->maps.height, w->maps.width, w->templates, map_scores(w, map)))
}

void ck_template_scores(const float *x, ck_maps_t maps, ck_templates_t templates, double *scores) {
  Work w = {.maps = maps, .templates = templates, .x = x, .scores = scores};
  ck_parallel(map_count(&w), scores_piece, &w);
}

static inline int64_t strips_per_block(const Work *w) {
  return (template_count(w) + CK_TEMPLATE_STRIP - 1) / CK_TEMPLATE_STRIP;
}

static inline int64_t strip_length(const Work *w, int64_t first) {
  int64_t rest = template_count(w) - first;
  return rest < CK_TEMPLATE_STRIP ? rest : CK_TEMPLATE_STRIP;
}

static void normalizers_piece(void *context, int64_t i) {
  const Work *w = context;
  int64_t block = i / strips_per_block(w), first = i % strips_per_block(w) * CK_TEMPLATE_STRIP;
  int64_t at = (block * template_count(w) + first) * CK_BLOCK;
  CK_DISPATCH(
      ck_template_normalizers_strip,
      (w->scores + at, w->maps.images, w->maps.blocks * template_count(w) * CK_BLOCK, strip_length(w, first),
       w->strips + at))
}

void ck_template_normalizers(const double *scores, ck_maps_t maps, double *logZ) {
  Work w = {.maps = maps, .scores = (double *)scores, .strips = logZ};
  ck_parallel(maps.blocks * strips_per_block(&w), normalizers_piece, &w);
}

static void likelihoods_piece(void *context, int64_t map) {
  const Work *w = context;
  CK_DISPATCH(
      ck_template_likelihoods_map,
      (map_scores(w, map), template_count(w), w->logZ + map % w->maps.blocks * template_count(w) * CK_BLOCK,
       w->logLikelihood + map * CK_BLOCK, w->terms + map * 3 * CK_BLOCK))
}

void ck_template_likelihoods(
    double *scores, ck_maps_t maps, const double *logZ, double *logLikelihood, double *terms) {
  Work w = {.maps = maps, .scores = scores, .logZ = logZ, .logLikelihood = logLikelihood, .terms = terms};
  ck_parallel(map_count(&w), likelihoods_piece, &w);
}

static void divergences_piece(void *context, int64_t i) {
  const Work *w = context;
  int64_t block = i / strips_per_block(w), first = i % strips_per_block(w) * CK_TEMPLATE_STRIP;
  int64_t at = (block * template_count(w) + first) * CK_BLOCK;
  CK_DISPATCH(
      ck_template_divergences_strip,
      (w->scores + at, w->maps.images, w->maps.blocks * template_count(w) * CK_BLOCK, strip_length(w, first),
       w->logLikelihood + block * CK_BLOCK, w->maps.blocks * CK_BLOCK, w->strips + at))
}

void ck_template_divergences(
    const double *u, ck_maps_t maps, const double *logLikelihood, double *divergence) {
  Work w = {.maps = maps, .scores = (double *)u, .logLikelihood = (double *)logLikelihood, .strips = divergence};
  ck_parallel(maps.blocks * strips_per_block(&w), divergences_piece, &w);
}

static void gradient_piece(void *context, int64_t map) {
  const Work *w = context;
  const double *divergence = w->strips ? w->strips + map % w->maps.blocks * template_count(w) * CK_BLOCK : NULL;
  CK_DISPATCH(
      ck_template_gradient_map, (map_scores(w, map), w->maps.height, w->maps.width, w->templates,
                                 w->logLikelihood + map * CK_BLOCK, divergence, w->factor, map_out(w, map)))
}

void ck_template_gradient(
    double *u, ck_maps_t maps, ck_templates_t templates, const double *logLikelihood, const double *divergence,
    double factor, float *dx) {
  Work w = {.maps = maps, .templates = templates, .y = dx, .scores = u, .logLikelihood = (double *)logLikelihood,
            .strips = (double *)divergence, .factor = factor};
  ck_parallel(map_count(&w), gradient_piece, &w);
}

// MARK: elementwise

typedef struct {
  double *running;
  const double *batch;
  int64_t count;
  double share;
} Average;

static void log_average_piece(void *context, int64_t i) {
  const Average *a = context;
  int64_t first = i * CK_PIECE, rest = a->count - first;
  CK_DISPATCH(
      ck_log_average_piece,
      (a->running + first, a->batch + first, rest < CK_PIECE ? rest : CK_PIECE, a->share))
}

void ck_log_average(double *running, const double *batch, int64_t count, double share) {
  Average a = {running, batch, count, share};
  ck_parallel((count + CK_PIECE - 1) / CK_PIECE, log_average_piece, &a);
}

void ck_exp(const double *x, double *y, int64_t count) { CK_DISPATCH(ck_exp_piece, (x, y, count)) }
