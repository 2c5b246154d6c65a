import Datasets
import Networks
import Tensors
import Testing

@testable import Training

/// A rectifier whose backward forgets where x was negative.
private final class WrongReLU: Layer {
  let name = "wrong"
  var needsInputGradient = true
  func outputShape(for input: Shape) -> Shape { input }
  func forward(_ x: Tensor, _ context: StepContext) -> Tensor {
    for index in 0..<x.count { x.pointer[index] = max(x.pointer[index], 0) }
    return x
  }
  func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? { dy }
}

@Suite("Debug mode") struct LayerInspectorTests {
  private static func network(_ activation: any Layer) -> Network {
    let geometry = ConvolutionGeometry(inputChannels: 3, outputChannels: 4, kernel: 3, padding: 1)
    let convolution = Convolution("conv", geometry, input: .interleaved)
    convolution.parameters[0].initializer = .heNormal
    let network = Network(
      name: "small", inputShape: Shape(batch: 1, channels: 3, height: 6, width: 6),
      layers: [convolution, activation, Flatten("flatten"), Linear("fc", inputs: 4 * 36, outputs: 3)])
    network.store.initialize(seed: 1)
    return network
  }

  private static func batch() -> Batch {
    Batch.noise(globalBatchSize: 4, rank: 0, rankCount: 1, imageSize: 6, outputs: 3, seed: 1)
  }

  @Test("finite differences tell a right backward from a wrong one")
  func verification() throws {
    let worst = try [ReLU("relu") as any Layer, WrongReLU()].map { activation in
      let rows = try GradientVerification(Self.network(activation), SoftmaxCrossEntropy(), StepContext())
        .run(Self.batch()) { _ in }
      #expect(rows.count == 4)
      return rows.map(\.relativeError).max() ?? 0
    }
    #expect(worst[0] < GradientVerification.tolerance)
    #expect(worst[1] > GradientVerification.tolerance)
  }

  @Test("every layer is described, and one that is not finite ends the pass")
  func inspection() throws {
    let network = Self.network(ReLU("relu"))
    let inspector = LayerInspector()
    network.observer = inspector
    let context = StepContext()
    context.begin(Self.batch(), .training)
    inspector.begin()
    let loss = SoftmaxCrossEntropy()
    let result = loss.evaluate(try network.forward(Self.batch().images, context), context)
    try network.backward(try #require(result.gradient), context) { _ in }
    #expect(inspector.rows.map(\.layer) == ["conv", "relu", "flatten", "fc"])
    #expect(inspector.rows[1].output.minimum == 0 && inspector.rows[1].output.zeroShare > 0.2)
    #expect(inspector.rows[3].gradientScale > 0)
    #expect(inspector.table.split(separator: "\n").count == 5)

    network.store.parameters[0].values[0] = .nan
    inspector.begin()
    let error = #expect(throws: ExitError.self) { try network.forward(Self.batch().images, context) }
    #expect(error?.description.contains("layer conv") == true)
  }
}
