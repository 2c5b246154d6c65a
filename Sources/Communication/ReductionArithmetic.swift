import Glibc

/// The element types of reductions.
protocol ReducibleElement: BinaryFloatingPoint {
  static func exponential(_ x: Self) -> Self
  /// log(1 + x)
  static func logarithm(onePlus x: Self) -> Self
  /// accumulator[i] += operand[i]. Gradients are sums, and debug builds run generic code ten times slower.
  static func add(
    into accumulator: UnsafeMutablePointer<Self>, _ operand: UnsafePointer<Self>, count: Int)
}

extension Float: ReducibleElement {
  static func exponential(_ x: Float) -> Float { expf(x) }
  static func logarithm(onePlus x: Float) -> Float { log1pf(x) }
  static func add(
    into accumulator: UnsafeMutablePointer<Float>, _ operand: UnsafePointer<Float>, count: Int
  ) {
    for i in 0..<count { accumulator[i] += operand[i] }
  }
}

extension Double: ReducibleElement {
  static func exponential(_ x: Double) -> Double { exp(x) }
  static func logarithm(onePlus x: Double) -> Double { log1p(x) }
  static func add(
    into accumulator: UnsafeMutablePointer<Double>, _ operand: UnsafePointer<Double>, count: Int
  ) {
    for i in 0..<count { accumulator[i] += operand[i] }
  }
}

// Each function is symmetric to the last bit: MPI's algorithms call it with the operands in either order, and
// the result must be the same on all ranks. A NaN on any rank becomes a NaN on all of them; MPI_MIN and MPI_MAX
// keep or lose it depending on the order, and likewise the sign of zero.

@inline(__always)
func minimumOrNaN<Element: ReducibleElement>(_ a: Element, _ b: Element) -> Element {
  a < b || a.isNaN || (a == b && a.sign == .minus) ? a : b
}

@inline(__always)
func maximumOrNaN<Element: ReducibleElement>(_ a: Element, _ b: Element) -> Element {
  a > b || a.isNaN || (a == b && a.sign == .plus) ? a : b
}

/// log(exp a + exp b) without overflow: the maximum plus log(1 + exp(−|a − b|)). −∞ is its zero.
@inline(__always)
func logAddExp<Element: ReducibleElement>(_ a: Element, _ b: Element) -> Element {
  // Equal infinities first: their difference would be NaN.
  if a == b { return a.isInfinite ? a : a + Element.logarithm(onePlus: 1) }
  return (a > b ? a : b) + Element.logarithm(onePlus: Element.exponential(-abs(a - b)))
}

extension ReductionOperation {
  /// accumulator[i] = operation(accumulator[i], operand[i]) for `count` elements.
  func combine<Element: ReducibleElement>(
    into accumulator: UnsafeMutablePointer<Element>, _ operand: UnsafePointer<Element>, count: Int
  ) {
    switch self {
    case .sum: Element.add(into: accumulator, operand, count: count)
    case .minimum: for i in 0..<count { accumulator[i] = minimumOrNaN(accumulator[i], operand[i]) }
    case .maximum: for i in 0..<count { accumulator[i] = maximumOrNaN(accumulator[i], operand[i]) }
    case .logSumExp: for i in 0..<count { accumulator[i] = logAddExp(accumulator[i], operand[i]) }
    }
  }
}
