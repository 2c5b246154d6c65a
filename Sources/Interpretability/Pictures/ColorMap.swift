/// From a number in 0...1 to a colour whose lightness grows evenly: "viridis" (van der Walt & Smith, 2015), which reads alike
/// in print and for the colour-blind.
enum ColorMap {
  private static let anchors: [(Float, Float, Float)] = [
    (0x44, 0x01, 0x54), (0x47, 0x2d, 0x7b), (0x3b, 0x52, 0x8b), (0x2c, 0x72, 0x8e), (0x21, 0x91, 0x8c),
    (0x28, 0xae, 0x80), (0x5e, 0xc9, 0x62), (0xad, 0xdc, 0x30), (0xfd, 0xe7, 0x25),
  ]

  /// Red, green, blue in 0...255; numbers outside are clamped, NaN is the darkest.
  static func color(_ value: Float) -> (red: UInt8, green: UInt8, blue: UInt8) {
    let place = (value > 0 ? min(value, 1) : 0) * Float(anchors.count - 1)
    let index = min(Int(place), anchors.count - 2)
    let share = place - Float(index)
    let (a, b) = (anchors[index], anchors[index + 1])
    let mix = { (from: Float, to: Float) in UInt8((from + (to - from) * share).rounded()) }
    return (mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
  }
}
