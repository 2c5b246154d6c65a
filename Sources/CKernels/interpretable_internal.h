// The bodies of the interpretable family: each works on one map, or on one strip of templates.
#ifndef ICNN_CK_INTERPRETABLE_INTERNAL_H
#define ICNN_CK_INTERPRETABLE_INTERNAL_H
#include "internal.h"

/// Centre and slope of the sixteen filters of one map, and the steps and scale of ck_mask_t.
typedef struct {
  const float *row, *column, *slope;
  float rowStep, columnStep, scale;
} MaskBlock;

/// Templates that one piece of ck_template_normalizers and ck_template_divergences works on.
#define CK_TEMPLATE_STRIP 16

CK_DECLARE(
    ck_peak_map, (const float *x, int64_t height, int64_t width, float *row, float *column, float *maximum, double *sum))
CK_DECLARE(
    ck_centroid_map,
    (const float *x, int64_t height, int64_t width, float *row, float *column, float *maximum, double *mean,
     double *deviation))
CK_DECLARE(ck_mask_score_map, (const float *x, int64_t height, int64_t width, MaskBlock mask, double *score))
CK_DECLARE(ck_mask_forward_map, (const float *x, int64_t height, int64_t width, MaskBlock mask, float *y))
CK_DECLARE(
    ck_mask_backward_map,
    (const float *x, float *d, int64_t height, int64_t width, MaskBlock mask, const float *along,
     const float *constant, int activeOnly))
CK_DECLARE(
    ck_mask_gradient_squares_map,
    (const float *x, const float *d, int64_t height, int64_t width, MaskBlock mask, const float *along,
     const float *constant, const float *gradient, double *squares))
CK_DECLARE(
    ck_template_scores_map,
    (const float *x, int64_t height, int64_t width, ck_templates_t templates, double *scores))
CK_DECLARE(
    ck_template_normalizers_strip,
    (const double *scores, int64_t images, int64_t imageStride, int64_t count, double *logZ))
CK_DECLARE(
    ck_template_likelihoods_map,
    (double *scores, int64_t count, const double *logZ, double *logLikelihood, double *terms))
CK_DECLARE(
    ck_template_divergences_strip,
    (const double *u, int64_t images, int64_t imageStride, int64_t count, const double *logLikelihood,
     int64_t likelihoodStride, double *divergence))
CK_DECLARE(
    ck_template_gradient_map,
    (double *u, int64_t height, int64_t width, ck_templates_t templates, const double *logLikelihood,
     const double *divergence, double factor, float *dx))
CK_DECLARE(ck_log_average_piece, (double *running, const double *batch, int64_t count, double share))
CK_DECLARE(ck_exp_piece, (const double *x, double *y, int64_t count))

#endif
