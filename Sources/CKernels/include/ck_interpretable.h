// interpretable.c – masks, templates and the filter loss of interpretable layers (Zhang, Wu, Zhu, CVPR 2018)
//
// A "map" is one block of sixteen filters of one image, [H·W][16]; an image has `blocks` of them. Numbers per map
// are [images][blocks][16], one per image and filter. Cells are counted from 0; row and column of a centre are
// whole numbers kept as floats. Statistics are Double. Included by ckernels.h only.
#ifndef ICNN_CK_INTERPRETABLE_H
#define ICNN_CK_INTERPRETABLE_H
#include <stdint.h>

/// Extent of a blocked tensor [images][blocks][height][width][16]; images may be 0.
typedef struct {
  int64_t images, blocks, height, width;
} ck_maps_t;

/// A mask per image and filter: scale · max(1 − slope · (rowStep·|i − row| + columnStep·|j − column|), −1).
/// A slope of 0 means no mask: 1 everywhere.
typedef struct {
  const float *row, *column;  ///< centre, [images][blocks][16]
  const float *slope;         ///< per filter, [blocks][16]
  float rowStep, columnStep;
  float scale;
} ck_mask_t;

/// Doubles in a row of a cone table for maps of that width, and the index in it of column distance 0. What lies
/// before the distance −(width−1) is room for tiles that reach over the right border.
#define CK_CONE_ROW(width) (2 * (width) + 16)
#define CK_CONE_CENTRE(width) ((width) + 15)

/// The H·W + 1 templates of a map: positive ones τ·(cone(|i − μr|, j − μc) − 1) for every cell μ in row-major
/// order, the last one −τ everywhere. cone ≥ 0 has a bounded support, which is what makes scores cheap.
typedef struct {
  const double *cone;    ///< [H][CK_CONE_ROW(W)]: by row distance, then column distance
  const int32_t *reach;  ///< [H]: columns at distance < reach have cone > 0
  double tau;
} ck_templates_t;

/// Per map: the first cell in row-major order that holds the maximum, that maximum, and the sum over cells.
void ck_peak(const float *x, ck_maps_t maps, float *row, float *column, float *maximum, double *sum);

/// Per map: the centre of mass, rounded half away from zero (row and column counted from 1, sums divided by at
/// least 1e-9, at least cell 1); the maximum; the mean over cells; and the standard deviation in cells around the
/// rounded centre, √((Σ (i−row)²x + Σ (j−column)²x) / Σx).
void ck_centroid(
    const float *x, ck_maps_t maps, float *row, float *column, float *maximum, double *mean, double *deviation);

/// score = mean over cells of x·mask, the mask not clipped at 0.
void ck_mask_score(const float *x, ck_maps_t maps, ck_mask_t mask, double *score);

/// y = max(x·mask, 0).
void ck_mask_forward(const float *x, ck_maps_t maps, ck_mask_t mask, float *y);

/// d = d·max(mask, 0) + along·mask/scale + constant, in place: the gradient that arrives at y becomes that at x.
/// With activeOnly the first term is 0 where x ≤ 0. `along` and `constant`, [images][blocks][16], carry the filter
/// loss's gradient; both may be NULL.
void ck_mask_backward(
    const float *x, float *d, ck_maps_t maps, ck_mask_t mask, const float *along, const float *constant,
    int activeOnly);

/// Squares of the two gradients that meet at x, added up over the cells with x > 0, whose gradient a ReLU below passes:
/// squares[images][blocks][2][16] = Σ (d·max(mask, 0))², then Σ (along·mask/scale + constant + gradient)², which is the
/// filter loss's part. `gradient` has the maps' extent; it may be NULL, and so may `along` and `constant`.
void ck_mask_gradient_squares(
    const float *x, const float *d, ck_maps_t maps, ck_mask_t mask, const float *along, const float *constant,
    const float *gradient, double *squares);

/// scores[images][blocks][K][16]: s_T = Σ x·T for the K = H·W + 1 templates.
void ck_template_scores(const float *x, ck_maps_t maps, ck_templates_t templates, double *scores);

/// logZ[blocks][K][16] = log Σ_images exp(s_T); −inf without an image.
void ck_template_normalizers(const double *scores, ck_maps_t maps, double *logZ);

/// u = s − logZ = log p(x|T), in place; logLikelihood = log p(x) = log((1/K) Σ_T exp u_T); and three terms per map,
/// terms[images][blocks][3][16]: what this x adds to the loss −Σ_T p(T) p(x|T) log(p(x|T)/p(x)), to the entropy
/// H(T'|X) of {T⁻, T⁺} and to the spatial entropy p(T⁺, x) H(T⁺|X = x).
void ck_template_likelihoods(
    double *scores, ck_maps_t maps, const double *logZ, double *logLikelihood, double *terms);

/// divergence[blocks][K][16] = Σ_images p(x|T) log(p(x|T)/p(x)), from u and log p(x).
void ck_template_divergences(
    const double *u, ck_maps_t maps, const double *logLikelihood, double *divergence);

/// dx += factor · Σ_T T · p(x|T) · (log(p(x|T)/p(x)) − divergence_T). Overwrites u. divergence may be NULL (zero).
void ck_template_gradient(
    double *u, ck_maps_t maps, ck_templates_t templates, const double *logLikelihood, const double *divergence,
    double factor, float *dx);

/// running = log((1 − share)·exp(running) + share·exp(batch)), elementwise; 0 ≤ share ≤ 1.
void ck_log_average(double *running, const double *batch, int64_t count, double share);

/// y = exp(x), within 2 units in the last place; 0 below −746, infinite above 709.8, NaN for NaN. On one thread.
void ck_exp(const double *x, double *y, int64_t count);

#endif
