import CKernels
import Glibc
import Tensors

/// The part templates of an H×W map: one for every place of the part, and one for its absence.
///
/// On a square map of n×n cells (paper, section 3):
///   T_μ[i, j] = τ·max(1 − β(|i − μr| + |j − μc|)/n, −1) for the n² places μ, T⁻ = −τ everywhere, τ = 0.5/n².
/// p(T_μ) = α/n² with α = n²/(1 + n²) and p(T⁻) = 1 − α: all priors are 1/(n² + 1).
///
/// On other maps distances are relative to each side, β(|i − μr|/H + |j − μc|/W), and n² becomes H·W. A 1×1 map has
/// two templates, +τ and −τ.
final class TemplateBank {
  /// Rows and columns of the map.
  let height: Int, width: Int
  /// Peak of the positive templates.
  let tau: Double
  let beta: Double
  /// K = H·W + 1 templates; the last one is T⁻.
  let count: Int
  /// T/τ + 1 ≥ 0 by row and column distance; its bounded support makes scores cheap.
  private let cone: AlignedBuffer<Double>
  private let reach: AlignedBuffer<Int32>

  init(height: Int, width: Int, beta: Double) {
    precondition(beta >= 0, "TemplateBank: beta \(beta) is negative")
    self.height = height
    self.width = width
    self.beta = beta
    count = height * width + 1
    tau = 0.5 / Double(height * width)
    let row = 2 * width + 16
    cone = AlignedBuffer(count: height * row)
    reach = AlignedBuffer(count: height)
    for down in 0..<height {
      for right in 0..<width {
        let distance = Double(down) / Double(height) + Double(right) / Double(width)
        let value = max(1 - beta * distance, -1) + 1
        cone.pointer[down * row + width + 15 + right] = value
        cone.pointer[down * row + width + 15 - right] = value
        if value > 0 { reach.pointer[down] = Int32(right + 1) }
      }
    }
  }

  /// The templates as the kernels take them, with that peak; valid as long as the bank. Scores with a peak of s·τ are those
  /// of the maps s·x.
  func kernelTemplates(peak: Double) -> ck_templates_t {
    ck_templates_t(cone: cone.pointer, reach: reach.pointer, tau: peak)
  }

  /// H(T) = log K, the entropy of the prior.
  var priorEntropy: Double { log(Double(count)) }

  /// T_k/τ at row i, column j; k = H·W is T⁻. For tests and tools.
  func relativeValue(_ k: Int, _ i: Int, _ j: Int) -> Double {
    guard k < count - 1 else { return -1 }
    let down = abs(i - k / width)
    return cone.pointer[down * (2 * width + 16) + width + 15 + j - k % width] - 1
  }
}
