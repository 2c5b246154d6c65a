import Tensors
import Testing

@testable import Networks

@Suite("Work of layers") struct LayerWorkTests {
  /// The work of every layer of a network for `batch` images.
  private static func work(_ network: Network, batch: Int) -> [LayerWork] {
    var input = Tensor(network.inputShape.with(batch: batch), .interleaved)
    return network.layers.map { layer in
      let shape = layer.outputShape(for: input.shape)
      let output = Tensor(shape, shape.height * shape.width > 1 ? .blocked : .flat)
      defer { input = output }
      return LayerWork(layer, input: input, output: output)
    }
  }

  @Test(
    "alexnet takes 714,188,480 multiply-adds an image, twice that backward but for the first layer's input")
  func alexNet() {
    let work = Self.work(Architecture.alexNet.build(NetworkOptions(outputs: 1000)), batch: 2)
      .filter { $0.unit == .operations }
    #expect(
      work.map(\.kind) == Array(repeating: "convolution", count: 5) + Array(repeating: "linear", count: 3))
    #expect(work.reduce(0) { $0 + $1.forward } == 2 * 2 * 714_188_480)
    let firstProducts: Int = 2 * 64 * 55 * 55 * 3 * 11 * 11
    let first = Double(2 * firstProducts)
    #expect(work[0].forward == first && work[0].backward == first)
    #expect(work.dropFirst().allSatisfy { $0.backward == 2 * $0.forward })
    #expect(work[0].algorithm != nil && work[7].algorithm == nil)
  }

  @Test("a group sees its own channels alone")
  func groups() {
    let geometry = ConvolutionGeometry(
      inputChannels: 32, outputChannels: 32, kernel: 3, padding: 1, groups: 2)
    let x = Tensor(Shape(batch: 3, channels: 32, height: 5, width: 4), .blocked)
    let work = LayerWork(Convolution("conv", geometry), input: x, output: x)
    let products = 3 * 32 * 20 * 16 * 9
    #expect(work.forward == Double(2 * products))
  }

  @Test("other layers are measured by the bytes that they move, padding included")
  func bytes() {
    let x = Tensor(Shape(batch: 2, channels: 20, height: 6, width: 6), .blocked)
    let y = Tensor(Shape(batch: 2, channels: 20, height: 3, width: 3), .blocked)
    let xBytes = Double(4 * 2 * 32 * 36)
    let yBytes = Double(4 * 2 * 32 * 9)
    let relu = LayerWork(ReLU("relu"), input: x, output: x)
    #expect(relu.kind == "relu" && relu.unit == .bytes)
    #expect(relu.forward == 2 * xBytes && relu.backward == 3 * xBytes)
    let pooling = LayerWork(
      MaxPooling("pool", PoolingWindow(kernel: 2, stride: 2)), input: x, output: y)
    #expect(pooling.forward == xBytes + 1.25 * yBytes)
  }
}
