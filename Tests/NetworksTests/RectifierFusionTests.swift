import Tensors
import TestSupport
import Testing

@testable import Networks

@Suite struct RectifierFusionTests {
  /// Convolution, ReLU, pooling, convolution, ReLU, convolution, ReLU, average: every neighbour a ReLU may have.
  private static func network(fused: Bool) -> Network {
    let convolution = { (name: String, inputs: Int, outputs: Int, input: Layout) in
      Convolution(
        name, ConvolutionGeometry(inputChannels: inputs, outputChannels: outputs, kernel: 3, padding: 1),
        input: input)
    }
    let network = Network(
      name: "test", inputShape: Shape(batch: 1, channels: 3, height: 12, width: 12),
      layers: [
        convolution("a", 3, 32, .interleaved), ReLU("a.relu"),
        MaxPooling("pool", PoolingWindow(kernel: 3, stride: 2)), convolution("b", 32, 20, .blocked),
        ReLU("b.relu"), convolution("c", 20, 16, .blocked), ReLU("c.relu"), AveragePooling(global: "average"),
        Flatten("flatten"),
      ])
    for (index, parameter) in network.store.parameters.enumerated() {
      parameter.importValues(randomValues(parameter.count, seed: UInt64(index + 1)))
    }
    network.fuseRectifiers(fused)
    return network
  }

  private static func run(_ network: Network) throws -> [[Float]] {
    let context = StepContext()
    context.sampleKeys = [1, 2]
    let images = Tensor(Shape(batch: 2, channels: 3, height: 12, width: 12), .interleaved)
    images.fill(from: randomValues(images.count, seed: 7))
    let logits = try network.forward(images, context)
    let gradient = Tensor(logits.shape, .flat)
    gradient.fill(from: randomValues(gradient.count, seed: 8))
    try network.backward(gradient, context) { _ in }
    return [logits.toArray()] + network.store.parameters.map { $0.exportGradients() }
  }

  @Test("fused ReLUs change no bit, forward or backward", arguments: InstructionSet.available)
  func sameBits(_ set: InstructionSet) throws {
    try withKernels(set) {
      let separate = try Self.run(Self.network(fused: false))
      #expect(try Self.run(Self.network(fused: true)) == separate)
      #expect(separate.allSatisfy { $0.contains { $0 != 0 } })
    }
  }

  @Test("ReLUs are fused with convolutions before and with convolutions and maximum pooling after")
  func whichAreFused() {
    let network = Self.network(fused: true)
    let rectifiers = network.layers.compactMap { $0 as? ReLU }
    #expect(rectifiers.map(\.isForwardFused) == [true, true, true])
    #expect(rectifiers.map(\.isBackwardFused) == [true, true, false])
    network.fuseRectifiers(false)
    #expect(rectifiers.allSatisfy { !$0.isForwardFused && !$0.isBackwardFused })
    #expect(
      network.layers.compactMap { $0 as? Convolution }.allSatisfy { !$0.rectifies && !$0.inputIsRectified })
  }
}
