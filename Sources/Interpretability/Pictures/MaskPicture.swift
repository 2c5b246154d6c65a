import Datasets

/// What a mask does to a map (the paper's figure 4): the map after the ReLU, the template chosen for it, the masked map.
public enum MaskPicture {
  /// Three maps side by side in one scale; the template goes from −1 (dark) to 1.
  ///
  /// - Parameters:
  ///   - map, masked: of one filter on one image, [side, side] row by row.
  ///   - beta: of the templates; nil leaves the template out, where it is not the paper's.
  public static func draw(map: [Float], masked: [Float], side: Int, beta: Double?, cellSide: Int) -> RGBImage
  {
    let highest = map.max() ?? 0
    let draw = { (values: [Float], highest: Float) in
      RGBImage.map(values, height: side, width: side, cellSide: cellSide, highest: highest)
    }
    let template = beta.map { draw(self.template(for: map, side: side, beta: $0), 1) }
    return RGBImage.row([draw(map, highest)] + (template.map { [$0] } ?? []) + [draw(masked, highest)])
  }

  /// The template of the first largest cell μ, scaled to 0...1: (T_μ/τ + 1) / 2 with T_μ = τ·max(1 − β·‖·−μ‖₁/n, −1).
  static func template(for map: [Float], side: Int, beta: Double) -> [Float] {
    let peak = map.indices.reduce(0) { map[$1] > map[$0] ? $1 : $0 }
    return map.indices.map { cell in
      let distance = abs(cell / side - peak / side) + abs(cell % side - peak % side)
      return Float((max(1 - beta * Double(distance) / Double(side), -1) + 1) / 2)
    }
  }
}
