/// What an interpretable layer does to maps in evaluation, for programs that compute it without this one:
///
///     y[i, j] = max(x[i, j] · max(1 − slope · (rowStep · |i − row| + columnStep · |j − column|), −1) · scale, 0)
///
/// around a centre (row, column) of each map.
package struct MaskForm {
  /// Where the centre of a map lies.
  package enum Centre: Sendable {
    /// The largest cell, the first in row-major order on ties: the paper's.
    case peak
    /// The centre of mass, its row and column counted from 1 and rounded half up: the released code's. The mass is at
    /// least 10⁻⁹, row and column at least 1, so that a silent map has its centre in the first cell.
    case centreOfMass
  }

  /// The rule for the centres.
  package let centre: Centre
  /// Weight of a row's and a column's distance.
  package let rowStep: Float, columnStep: Float
  /// How fast each filter's mask falls, [C]; 0: no mask.
  package let slopes: [Float]
  /// Factor on the masked maps.
  package let scale: Float
}
