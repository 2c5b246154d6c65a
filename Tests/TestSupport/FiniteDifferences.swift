import Networks
import Tensors

/// Central differences against the backward of a layer, for the scalar Σ weight·y with random weights.
///
/// Works for any layer, also in-place ones; the layer must be smooth within ± `step` of every value.
public struct FiniteDifferences {
  /// Largest |difference − gradient| over the largest |gradient|, for the input.
  public private(set) var inputError = 0.0
  /// The same for each parameter, by name.
  public private(set) var parameterErrors: [String: Double] = [:]
  /// Whether the padding of y and dx is zero.
  public private(set) var paddingStaysZero = true

  /// Runs the layer once and then twice for each of at most `samples` values of the input and of each parameter.
  /// - Parameter values: the input, [N, C, H, W].
  public init(
    _ layer: any Layer, _ shape: Shape, _ layout: Layout, values: [Float], context: StepContext,
    step: Float = 1e-2, samples: Int = 40
  ) throws {
    let store = ParameterStore(layer.parameters)
    var source = RandomSource(seed: 99, purpose: .test)
    for parameter in store.parameters {
      parameter.importValues((0..<parameter.count).map { _ in source.uniform(0.5, 1.5) })
    }
    let outputShape = layer.outputShape(for: shape)
    let weights = (0..<outputShape.batch * outputShape.features).map { _ in source.uniform(-1, 1) }

    func forward(_ values: [Float]) throws -> Tensor {
      let x = Tensor(shape, layout)
      x.fill(from: values)
      return try layer.forward(x, context)
    }
    func objective(_ values: [Float]) throws -> Double {
      try zip(forward(values).toArray(), weights).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    let y = try forward(values)
    paddingStaysZero = paddingIsZero(y)
    let dy = Tensor(y.shape, y.layout)
    dy.fill(from: weights)
    let dx = try layer.backward(dy, context)
    let parameterGradients = store.parameters.map { $0.exportGradients() }
    if let dx {
      paddingStaysZero = paddingStaysZero && paddingIsZero(dx)
      let gradients = dx.toArray()
      inputError = try Self.error(gradients, samples) { index in
        var moved = values
        moved[index] = values[index] + step
        let above = try objective(moved)
        moved[index] = values[index] - step
        return (above - (try objective(moved))) / (2 * Double(step))
      }
    }
    for (parameter, gradients) in zip(store.parameters, parameterGradients) {
      let original = parameter.exportValues()
      parameterErrors[parameter.name] = try Self.error(gradients, samples) { index in
        var moved = original
        moved[index] = original[index] + step
        parameter.importValues(moved)
        let above = try objective(values)
        moved[index] = original[index] - step
        parameter.importValues(moved)
        let below = try objective(values)
        parameter.importValues(original)
        return (above - below) / (2 * Double(step))
      }
    }
  }

  private static func error(
    _ gradients: [Float], _ samples: Int, _ difference: (Int) throws -> Double
  ) rethrows -> Double {
    let largest = max(gradients.reduce(0) { max($0, abs(Double($1))) }, 1e-6)
    let stride = max(gradients.count / samples, 1)
    var error = 0.0
    for index in Swift.stride(from: 0, to: gradients.count, by: stride) {
      error = max(error, abs(try difference(index) - Double(gradients[index])) / largest)
    }
    return error
  }
}
