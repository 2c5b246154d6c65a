#include "interpretable_internal.h"
#include <math.h>
#include <stdlib.h>

// Plain loops in Double, as the formulas read; the oracle of interpretable.inc.

static double mask_value(MaskBlock m, int64_t lane, int64_t i, int64_t j) {
  double distance = m.rowStep * fabs(i - (double)m.row[lane]) + m.columnStep * fabs(j - (double)m.column[lane]);
  return fmax(1 - m.slope[lane] * distance, -1);
}

static double template_value(ck_templates_t t, int64_t height, int64_t width, int64_t k, int64_t i, int64_t j) {
  if (k == height * width) return -t.tau;
  int64_t rowDistance = llabs(i - k / width), columnDistance = j - k % width;
  return t.tau * (t.cone[rowDistance * CK_CONE_ROW(width) + CK_CONE_CENTRE(width) + columnDistance] - 1);
}

void ck_peak_map_reference(
    const float *x, int64_t height, int64_t width, float *row, float *column, float *maximum, double *sum) {
  for (int64_t lane = 0; lane < CK_BLOCK; lane++) {
    int64_t best = 0;
    sum[lane] = 0;
    for (int64_t cell = 0; cell < height * width; cell++) {
      float value = x[cell * CK_BLOCK + lane];
      sum[lane] += value;
      if (value > x[best * CK_BLOCK + lane]) best = cell;
    }
    row[lane] = best / width;
    column[lane] = best % width;
    maximum[lane] = x[best * CK_BLOCK + lane];
  }
}

void ck_centroid_map_reference(
    const float *x, int64_t height, int64_t width, float *row, float *column, float *maximum, double *mean,
    double *deviation) {
  for (int64_t lane = 0; lane < CK_BLOCK; lane++) {
    double sum = 0, rowSum = 0, columnSum = 0, spread = 0;
    maximum[lane] = x[lane];
    for (int64_t i = 0; i < height; i++)
      for (int64_t j = 0; j < width; j++) {
        double value = x[(i * width + j) * CK_BLOCK + lane];
        sum += value;
        rowSum += (i + 1) * value;
        columnSum += (j + 1) * value;
        maximum[lane] = fmax(maximum[lane], value);
      }
    double mass = fmax(sum, 1e-9);
    double r = fmax(round(rowSum / mass), 1) - 1, c = fmax(round(columnSum / mass), 1) - 1;
    for (int64_t i = 0; i < height; i++)
      for (int64_t j = 0; j < width; j++)
        spread += ((i - r) * (i - r) + (j - c) * (j - c)) * x[(i * width + j) * CK_BLOCK + lane];
    row[lane] = r;
    column[lane] = c;
    mean[lane] = sum / (height * width);
    deviation[lane] = sqrt(spread / mass);
  }
}

void ck_mask_score_map_reference(const float *x, int64_t height, int64_t width, MaskBlock mask, double *score) {
  for (int64_t lane = 0; lane < CK_BLOCK; lane++) {
    score[lane] = 0;
    for (int64_t i = 0; i < height; i++)
      for (int64_t j = 0; j < width; j++)
        score[lane] += x[(i * width + j) * CK_BLOCK + lane] * mask_value(mask, lane, i, j);
    score[lane] /= height * width;
  }
}

void ck_mask_forward_map_reference(const float *x, int64_t height, int64_t width, MaskBlock mask, float *y) {
  for (int64_t lane = 0; lane < CK_BLOCK; lane++)
    for (int64_t i = 0; i < height; i++)
      for (int64_t j = 0; j < width; j++) {
        int64_t at = (i * width + j) * CK_BLOCK + lane;
        double masked = x[at] * mask_value(mask, lane, i, j) * mask.scale;
        y[at] = masked < 0 ? 0 : masked;
      }
}

void ck_mask_backward_map_reference(
    const float *x, float *d, int64_t height, int64_t width, MaskBlock mask, const float *along,
    const float *constant, int activeOnly) {
  for (int64_t lane = 0; lane < CK_BLOCK; lane++)
    for (int64_t i = 0; i < height; i++)
      for (int64_t j = 0; j < width; j++) {
        int64_t at = (i * width + j) * CK_BLOCK + lane;
        double value = mask_value(mask, lane, i, j);
        double through = activeOnly && x[at] <= 0 ? 0 : d[at] * fmax(value, 0) * mask.scale;
        d[at] = through + (along ? along[lane] * value : 0) + (constant ? constant[lane] : 0);
      }
}

void ck_mask_gradient_squares_map_reference(
    const float *x, const float *d, int64_t height, int64_t width, MaskBlock mask, const float *along,
    const float *constant, const float *gradient, double *squares) {
  for (int64_t lane = 0; lane < CK_BLOCK; lane++) {
    double task = 0, filter = 0;
    for (int64_t i = 0; i < height; i++)
      for (int64_t j = 0; j < width; j++) {
        int64_t at = (i * width + j) * CK_BLOCK + lane;
        if (!(x[at] > 0)) continue;
        double value = mask_value(mask, lane, i, j), through = d[at] * fmax(value, 0) * mask.scale;
        double extra = (along ? along[lane] * value : 0) + (constant ? constant[lane] : 0) + (gradient ? gradient[at] : 0);
        task += through * through;
        filter += extra * extra;
      }
    squares[lane] = task;
    squares[CK_BLOCK + lane] = filter;
  }
}

void ck_template_scores_map_reference(
    const float *x, int64_t height, int64_t width, ck_templates_t templates, double *scores) {
  for (int64_t k = 0; k <= height * width; k++)
    for (int64_t lane = 0; lane < CK_BLOCK; lane++) {
      double score = 0;
      for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j++)
          score += x[(i * width + j) * CK_BLOCK + lane] * template_value(templates, height, width, k, i, j);
      scores[k * CK_BLOCK + lane] = score;
    }
}

void ck_template_normalizers_strip_reference(
    const double *scores, int64_t images, int64_t imageStride, int64_t count, double *logZ) {
  for (int64_t at = 0; at < count * CK_BLOCK; at++) {
    double largest = -INFINITY, sum = 0;
    for (int64_t n = 0; n < images; n++) largest = fmax(largest, scores[n * imageStride + at]);
    for (int64_t n = 0; n < images; n++) sum += exp(scores[n * imageStride + at] - largest);
    logZ[at] = images == 0 ? -INFINITY : largest + log(sum);
  }
}

static double times_log(double p) { return p > 0 ? p * log(p) : p * 0; }

void ck_template_likelihoods_map_reference(
    double *scores, int64_t count, const double *logZ, double *logLikelihood, double *terms) {
  for (int64_t lane = 0; lane < CK_BLOCK; lane++) {
    double largest = -INFINITY, sum = 0;
    for (int64_t k = 0; k < count; k++) {
      double *u = &scores[k * CK_BLOCK + lane];
      *u -= logZ[k * CK_BLOCK + lane];
      largest = fmax(largest, *u);
    }
    for (int64_t k = 0; k < count; k++) sum += exp(scores[k * CK_BLOCK + lane] - largest);
    double logP = largest + log(sum) - log(count);
    double gain = 0, positive = 0, positiveTimesLog = 0;
    for (int64_t k = 0; k < count; k++) {
      double logRatio = scores[k * CK_BLOCK + lane] - logP;
      double posterior = exp(logRatio) / count;
      gain += posterior * logRatio;
      if (k < count - 1) positive += posterior, positiveTimesLog += times_log(posterior);
    }
    double negative = exp(scores[(count - 1) * CK_BLOCK + lane] - logP) / count;
    double p = exp(logP);
    logLikelihood[lane] = logP;
    terms[lane] = -p * gain;
    terms[CK_BLOCK + lane] = -p * (times_log(positive) + times_log(negative));
    terms[2 * CK_BLOCK + lane] = p * (times_log(positive) - positiveTimesLog);
  }
}

void ck_template_divergences_strip_reference(
    const double *u, int64_t images, int64_t imageStride, int64_t count, const double *logLikelihood,
    int64_t likelihoodStride, double *divergence) {
  for (int64_t at = 0; at < count * CK_BLOCK; at++) {
    divergence[at] = 0;
    for (int64_t n = 0; n < images; n++) {
      double value = u[n * imageStride + at];
      divergence[at] += exp(value) * (value - logLikelihood[n * likelihoodStride + at % CK_BLOCK]);
    }
  }
}

void ck_template_gradient_map_reference(
    double *u, int64_t height, int64_t width, ck_templates_t templates, const double *logLikelihood,
    const double *divergence, double factor, float *dx) {
  int64_t count = height * width + 1;
  for (int64_t lane = 0; lane < CK_BLOCK; lane++) {
    for (int64_t k = 0; k < count; k++) {
      int64_t at = k * CK_BLOCK + lane;
      u[at] = exp(u[at]) * (u[at] - logLikelihood[lane] - (divergence ? divergence[at] : 0));
    }
    for (int64_t i = 0; i < height; i++)
      for (int64_t j = 0; j < width; j++) {
        double sum = 0;
        for (int64_t k = 0; k < count; k++)
          sum += u[k * CK_BLOCK + lane] * template_value(templates, height, width, k, i, j);
        dx[(i * width + j) * CK_BLOCK + lane] += factor * sum;
      }
  }
}

void ck_log_average_piece_reference(double *running, const double *batch, int64_t count, double share) {
  for (int64_t i = 0; i < count; i++) {
    double largest = fmax(running[i], batch[i]);
    double sum = (1 - share) * exp(running[i] - largest) + share * exp(batch[i] - largest);
    running[i] = largest + log(sum);
  }
}

void ck_exp_piece_reference(const double *x, double *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] = exp(x[i]);
}
