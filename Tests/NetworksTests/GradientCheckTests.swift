import Networks
import Tensors
import TestSupport
import Testing

@Suite struct GradientCheckTests {
  /// y = w · |x|, one w; dx and dw are right up to a given factor.
  private final class ScaledMagnitude: Layer {
    let name = "magnitude"
    let weight = Parameter("magnitude.weight", shape: [1])
    var parameters: [Parameter] { [weight] }
    var needsInputGradient = true
    let inputFactor: Float, weightFactor: Float
    private var x: Tensor?

    init(inputFactor: Float, weightFactor: Float) {
      self.inputFactor = inputFactor
      self.weightFactor = weightFactor
    }

    func outputShape(for input: Shape) -> Shape { input }

    func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
      let y = Tensor(x.shape, x.layout)
      for i in 0..<x.count { y.values[i] = weight.values[0] * abs(x.values[i]) }
      self.x = x
      return y
    }

    func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? {
      guard let x else { return nil }
      let dx = Tensor(x.shape, x.layout)
      for i in 0..<x.count {
        let sign: Float = x.values[i] < 0 ? -1 : 1
        dx.values[i] = inputFactor * weight.values[0] * sign * dy.values[i]
        weight.gradients[0] += weightFactor * abs(x.values[i]) * dy.values[i]
      }
      return dx
    }
  }

  private func report(
    inputFactor: Float = 1, weightFactor: Float = 1, kink: Bool = false, skipsKinks: Bool = false
  ) throws -> GradientCheck.Report {
    let layer = ScaledMagnitude(inputFactor: inputFactor, weightFactor: weightFactor)
    let store = ParameterStore(layer.parameters)
    layer.weight.values[0] = 2
    let x = randomTensor(Shape(batch: 2, channels: 3, height: 2, width: 2), .blocked, seed: 1, 0.5, 1)
    x[1, 2, 0, 1] = kink ? 0.001 : -0.5
    var check = GradientCheck()
    check.skipsKinks = skipsKinks
    return try withExtendedLifetime(store) { try check.run(layer, x, StepContext()) }
  }

  @Test("right gradients pass, and all of them are compared")
  func right() throws {
    let report = try report()
    #expect(report.passes)
    #expect(report.checked == 24 + 1)
  }

  @Test("a wrong gradient of the input or of a parameter is named")
  func wrong() throws {
    let input = try report(inputFactor: 1.05)
    #expect(!input.passes)
    #expect(input.mismatches.contains { $0.hasPrefix("dx[") })
    let weight = try report(weightFactor: 0.9)
    #expect(weight.mismatches.count == 1)
    #expect(weight.mismatches.first?.hasPrefix("d magnitude.weight[0]") == true)
    #expect(try !report(inputFactor: .nan).passes)
  }

  @Test("kinks are left out when asked, and counted")
  func kinks() throws {
    #expect(try !report(kink: true).passes)
    let skipping = try report(kink: true, skipsKinks: true)
    #expect(skipping.passes)
    #expect(skipping.skipped == 1)
  }
}
