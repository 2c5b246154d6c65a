import Networks
import Tensors

/// Compares a layer's backward with central differences of its forward.
///
/// The loss is L = Σ dy · y with a fixed random dy, so that dL/dx and dL/dparameter are what `backward(dy)` gives. A
/// derivative d is accepted if |analytic − numeric| ≤ tolerance · (largest |numeric| of its array) + 1e-6.
public struct GradientCheck {
  /// Half the distance of the two points of a difference. For layers linear in x and in their parameters a large
  /// step costs nothing and drowns the rounding of Float.
  public var step: Float = 1e-2
  /// Accepted difference, relative to the largest derivative of the same array.
  public var tolerance = 1e-2
  /// Values checked per array; evenly spread if there are more.
  public var maximumSamples = 60
  /// Leaves out values at which forward and backward differences disagree by more than the tolerance: a kink
  /// (maximum, ReLU) lies within the step.
  public var skipsKinks = false

  /// What was found.
  public struct Report {
    /// One line per wrong derivative.
    public var mismatches: [String] = []
    /// Derivatives compared.
    public var checked = 0
    /// Derivatives left out at kinks.
    public var skipped = 0
    /// True if something was compared, nothing differs, and no more than a quarter was left out.
    public var passes: Bool { mismatches.isEmpty && checked > 0 && skipped * 3 <= checked }
  }

  /// A check with the defaults above.
  public init() {}

  /// Checks dx (unless the layer needs none) and the gradients of all parameters.
  ///
  /// The parameters must have a store. `x` is restored after every forward, for layers that work in place; the
  /// gradient arena is left with the sums of one backward on top of what it held.
  public func run(_ layer: any Layer, _ x: Tensor, _ context: StepContext, seed: UInt64 = 1) throws -> Report
  {
    var report = Report()
    let pristine = Array(x.values)
    let restore = { for i in 0..<pristine.count { x.values[i] = pristine[i] } }

    let y = try layer.forward(x, context)
    let dy = Tensor(y.shape, y.layout)
    var random = RandomSource(seed: seed, purpose: .test, 77)
    dy.fill(from: (0..<y.shape.batch * y.shape.features).map { _ in random.uniform(-1, 1) })
    let outputGradient = Array(dy.values)

    let before = layer.parameters.map { Array(stored($0, $0.gradients)) }
    let dx = try layer.backward(dy, context)
    let inputGradient = dx.map { Array($0.values) }
    var parameterGradients: [[Float]] = []
    for (index, parameter) in layer.parameters.enumerated() {
      let after = Array(stored(parameter, parameter.gradients))
      parameterGradients.append(zip(after, before[index]).map { $0 - $1 })
    }

    let loss = { () throws -> Double in
      let y = try layer.forward(x, context)
      var sum = 0.0
      for i in 0..<outputGradient.count { sum += Double(outputGradient[i]) * Double(y.values[i]) }
      restore()
      return sum
    }

    restore()
    if let inputGradient {
      let shape = x.shape
      let indices = sample(shape.batch * shape.features).map { index -> Int in
        let cell = index % shape.cells
        return x.offset(
          index / shape.features, index % shape.features / shape.cells, cell / shape.width, cell % shape.width
        )
      }
      try compare("dx", indices, inputGradient, &report) { index, delta in
        x.values[index] = pristine[index] + delta
        return try loss()
      }
    }
    for (index, parameter) in layer.parameters.enumerated() {
      let values = stored(parameter, parameter.values)
      let original = Array(values)
      let indices = storedIndices(of: parameter)
      try compare("d \(parameter.name)", indices, parameterGradients[index], &report) { index, delta in
        values[index] = original[index] + delta
        defer { values[index] = original[index] }
        return try loss()
      }
    }
    return report
  }

  private func compare(
    _ name: String, _ indices: [Int], _ analytic: [Float], _ report: inout Report,
    loss: (_ index: Int, _ delta: Float) throws -> Double
  ) throws {
    var numeric: [(index: Int, value: Double)] = []
    var kinks: [(index: Int, jump: Double)] = []
    for index in indices {
      let upper = try loss(index, step)
      let lower = try loss(index, -step)
      numeric.append((index, (upper - lower) / (2 * Double(step))))
      if skipsKinks {
        let middle = try loss(index, 0)
        kinks.append((index, abs(upper + lower - 2 * middle) / Double(step)))
      }
    }
    let scale = numeric.reduce(0) { max($0, abs($1.value)) }
    let allowed = tolerance * scale + 1e-6
    for (position, (index, value)) in numeric.enumerated() {
      if skipsKinks && kinks[position].jump > allowed {
        report.skipped += 1
        continue
      }
      report.checked += 1
      let difference = abs(Double(analytic[index]) - value)
      if !(difference <= allowed) {
        report.mismatches.append("\(name)[\(index)]: backward \(analytic[index]), difference \(value)")
      }
    }
  }

  /// Evenly spread indices below `count`, at most `maximumSamples`.
  private func sample(_ count: Int) -> [Int] {
    guard count > maximumSamples else { return Array(0..<count) }
    return (0..<maximumSamples).map { $0 * count / maximumSamples }
  }

  private func stored(_ parameter: Parameter, _ pointer: UnsafeMutablePointer<Float>)
    -> UnsafeMutableBufferPointer<Float>
  { UnsafeMutableBufferPointer(start: pointer, count: parameter.storedCount) }

  /// Places in the arena of a sample of the learned values: the padding is no parameter.
  private func storedIndices(of parameter: Parameter) -> [Int] {
    let count = parameter.count
    var canonical = [Float](repeating: 0, count: count)
    for (number, index) in sample(count).enumerated() { canonical[index] = Float(number + 1) }
    var places = [Float](repeating: 0, count: parameter.storedCount)
    parameter.stored(from: &canonical, into: &places)
    return places.indices.filter { places[$0] != 0 }
  }
}
