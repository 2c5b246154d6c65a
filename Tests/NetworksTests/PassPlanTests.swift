import Tensors
import Testing

@testable import Networks

@Suite("PassPlan") struct PassPlanTests {
  /// conv (x1) – ReLU – pool (x2) – conv (x3) – ReLU – flatten (x4) – linear (logits), on maps of 16 channels.
  private static func layers() -> [any Layer] {
    func convolution(_ name: String, _ inputs: Int, _ layout: Layout) -> Convolution {
      Convolution(
        name, ConvolutionGeometry(inputChannels: inputs, outputChannels: 16, kernel: 3, padding: 1),
        input: layout)
    }
    let layers: [any Layer] = [
      convolution("1", 3, .interleaved), ReLU("2"), MaxPooling("3", PoolingWindow(kernel: 2, stride: 2)),
      convolution("4", 16, .blocked), ReLU("5"), Flatten("6"), Linear("7", inputs: 16 * 16, outputs: 16),
    ]
    layers[0].needsInputGradient = false
    return layers
  }

  private static let images = Shape(batch: 2, channels: 3, height: 8, width: 8)
  private static let (map, pooled, vector) = (2 * 16 * 64, 2 * 16 * 16, 2 * 16)

  @Test("training keeps what backward reads and shares the rest")
  func training() throws {
    let plan = PassPlan(Self.layers(), input: Self.images, .interleaved, hasBackward: true)
    #expect(plan.outputs.count == 5)
    // x1, x2, x3, x4 and the logits; dx of the linear layer, the flatten, the convolution and the pooling.
    let blocks = plan.outputs.map { plan.places.blocks[$0.block] }
    #expect(blocks.map(\.floats) == [Self.map, Self.pooled, Self.pooled, Self.pooled, Self.vector])
    // Forwards are 0...6, the loss 7, backwards 8 (linear) ... 14 (first convolution).
    #expect(blocks.map(\.lifetimes) == [[0...13], [2...11], [3...10], [5...8], [6...15]])
    #expect(plan.gradients.map { $0 != nil } == [false, false, true, true, false, true, true])
    let gradients = plan.gradients.compactMap { $0 }.map { plan.places.blocks[$0] }
    #expect(gradients.map(\.floats) == [Self.map, Self.pooled, Self.pooled, Self.pooled])
    #expect(gradients.map(\.lifetimes) == [[12...14], [11...12], [9...11], [8...9]])
    #expect(plan.keptBytes == Self.pooled && plan.recomputed.allSatisfy { $0.isEmpty })
    // Two maps, and beside the first conv's output and its gradient nothing but one pooled dy: at the busiest moment
    // x1, its dx, and dy of the pooling.
    #expect(plan.places.count == 2 * Self.map + Self.pooled + Self.vector)
  }

  @Test("evaluation keeps an output until the next one is made")
  func evaluation() {
    let plan = PassPlan(Self.layers(), input: Self.images, .interleaved, hasBackward: false, segmentCount: 3)
    let blocks = plan.outputs.map { plan.places.blocks[$0.block] }
    #expect(blocks.map(\.lifetimes) == [[0...2], [2...3], [3...5], [5...6], [6...7]])
    #expect(plan.gradients.allSatisfy { $0 == nil } && plan.recomputed.allSatisfy { $0.isEmpty })
    #expect(plan.places.count == Self.map + Self.pooled)
  }

  @Test("the outputs within a segment make room and are computed again, its last output stays")
  func recomputation() {
    // conv (x1) – ReLU – conv (x2) – ReLU before the rest: the first two maps make the first of two segments.
    let pointwise = ConvolutionGeometry(inputChannels: 16, outputChannels: 16, kernel: 1)
    var layers = Self.layers()
    layers.insert(contentsOf: [Convolution("m", pointwise), ReLU("n")] as [any Layer], at: 2)
    let plan = PassPlan(layers, input: Self.images, .interleaved, hasBackward: true, segmentCount: 2)
    #expect(plan.recomputed == [0..<0, 0..<0, 0..<0, 0..<2] + Array(repeating: 0..<0, count: 5))
    #expect(plan.recomputedFloats == Self.map)
    // Loss at 9, backward of the pooling at 14, then two forwards, then backward of layers 3, 2, 1, 0.
    let blocks = plan.outputs.map { plan.places.blocks[$0.block] }
    #expect(blocks[0].lifetimes == [0...2, 15...19] && blocks[1].lifetimes == [2...17])
    let whole = PassPlan(layers, input: Self.images, .interleaved, hasBackward: true, segmentCount: 1)
    #expect(whole.recomputedFloats == 0 && whole.recomputed.allSatisfy { $0.isEmpty })
  }

  @Test("a layer of which nothing is known is left alone, and so is the gradient that reaches it")
  func unknownLayer() {
    final class Unknown: Layer {
      let name = "unknown"
      var needsInputGradient = true
      func outputShape(for input: Shape) -> Shape { input }
      func forward(_ x: Tensor, _ context: StepContext) -> Tensor { x }
      func backward(_ dy: Tensor, _ context: StepContext) -> Tensor? { dy }
    }
    var layers = Self.layers()
    layers[4] = Unknown()
    let plan = PassPlan(layers, input: Self.images, .interleaved, hasBackward: true)
    #expect(plan.outputs.count == 5 && plan.gradients[5] == nil && plan.gradients[4] != nil)
    // Its input lives until its backward, at 10.
    #expect(plan.places.blocks[plan.outputs[2].block].lifetimes == [3...10])
  }
}
