import Datasets

/// An explanation drawn on its image: the loudest filters as numbered rings, orange for the class, blue against it, beside
/// a heat map of all evidence for the class.
public enum ExplanationPicture {
  private static let supporting: RGBImage.Color = (255, 140, 40)
  private static let opposing: RGBImage.Color = (70, 150, 255)

  /// - Parameters:
  ///   - image: the network's window, [side, side].
  ///   - evidence: what to draw, numbered from 1 in this order.
  ///   - frame: of the window; `width` and `height` are the whole image's, in pixels.
  ///   - shortestSide: the window is enlarged by a whole number to at least so many pixels.
  public static func draw(
    _ image: RGBImage, _ result: Explainer.Result, _ layer: MeasuredLayer, evidence: [Explanation.Evidence],
    _ frame: InputFrame, width: Int, height: Int, shortestSide: Int = 360
  ) -> RGBImage {
    let scale = max(1, (shortestSide + image.width - 1) / image.width)
    var rings = image.enlarged(by: scale)
    var heat = rings
    let loudest = evidence.map(\.share).max() ?? 1
    for (index, one) in evidence.enumerated().reversed() {
      let color = one.contribution > 0 ? supporting : opposing
      let x = frame.toInput(one.x, extent: width) * Double(scale)
      let y = frame.toInput(one.y, extent: height) * Double(scale)
      let radius =
        Double(layer.field.horizontal.stride * scale) * (0.7 + 0.8 * one.share / max(loudest, 1e-12))
      rings.ring(x: x, y: y, radius: radius, thickness: 3, color)
      rings.number(index + 1, x: Int(x + radius * 0.7), y: Int(y - radius * 0.7) - 14, dotSide: 2, color)
    }
    let map = HeatMap(evidence: result.cells, height: layer.height, width: layer.width, side: image.width)
    heat.overlay(HeatMap.enlarge(map.values, side: map.side, by: scale), strength: 0.55)
    return RGBImage.row([rings, heat], gap: 8)
  }
}

extension RGBImage {
  /// Every pixel a square of `factor` pixels.
  func enlarged(by factor: Int) -> RGBImage {
    var result = RGBImage(width: width * factor, height: height * factor)
    for row in 0..<result.height {
      for column in 0..<result.width { result[row, column] = self[row / factor, column / factor] }
    }
    return result
  }
}

extension HeatMap {
  /// Every value a square of `factor` pixels.
  static func enlarge(_ values: [Float], side: Int, by factor: Int) -> [Float] {
    let large = side * factor
    return (0..<large * large).map { values[$0 / large / factor * side + $0 % large / factor] }
  }
}
