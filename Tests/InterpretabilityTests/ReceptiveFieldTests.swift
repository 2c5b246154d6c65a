import Networks
import Tensors
import TestSupport
import Testing

@testable import Interpretability

@Suite("ReceptiveField") struct ReceptiveFieldTests {
  /// Kernel, stride and padding.
  private typealias Window = (kernel: Int, stride: Int, padding: Int)

  // What lies between the convolutions of the golden file: MatConvNet's networks, fully connected layers as convolutions.
  private static let networks: [String: [(pooling: Window?, convolution: Window)]] = [
    "vgg16": {
      let same: Window = (3, 1, 1)
      let pool: Window = (2, 2, 0)
      var list: [(pooling: Window?, convolution: Window)] = []
      for (stage, count) in [2, 2, 3, 3, 4].enumerated() {
        for index in 0..<count { list.append((stage > 0 && index == 0 ? pool : nil, same)) }
      }
      return list + [(pool, (7, 1, 0)), (nil, (1, 1, 0)), (nil, (1, 1, 0))]
    }(),
    "alexnet": [
      (nil, (11, 4, 0)), ((3, 2, 0), (5, 1, 2)), ((3, 2, 0), (3, 1, 1)), (nil, (3, 1, 1)), (nil, (3, 1, 1)),
      (nil, (3, 1, 1)), ((3, 2, 0), (6, 1, 0)), (nil, (1, 1, 0)), (nil, (1, 1, 0)),
    ],
  ]

  @Test("golden geometry of the released code", arguments: ["vgg16", "alexnet"])
  func golden(network: String) throws {
    let golden = try GoldenFiles.read("released_geometry")
    let centres = try golden.tensor("networks", network, "center").values
    let strides = try golden.tensor("networks", network, "stride").integers
    let sizes = try golden.tensor("networks", network, "scale").integers
    let layers = try #require(Self.networks[network])
    try #require(layers.count == centres.count)
    var field = ReceptiveField.pixels
    for (index, layer) in layers.enumerated() {
      if let pool = layer.pooling {
        field = field.followed(kernel: pool.kernel, stride: pool.stride, padding: pool.padding)
      }
      let convolution = layer.convolution
      field = field.followed(
        kernel: convolution.kernel, stride: convolution.stride, padding: convolution.padding)
      // The released code counts pixel centres from 1.
      #expect(field.horizontal.firstCentre + 0.5 == centres[index])
      #expect(field.vertical.stride == strides[index] && field.vertical.size == sizes[index])
    }
  }

  @Test("the new convolution of an interpretable VGG-16, from its layers")
  func vgg16() throws {
    let network = Self.narrow(.vgg16, interpretable: true)
    let layer = try MeasuredLayer(network)
    #expect(layer.name == "interpretable.0" && layer.height == 14 && layer.ownedCategories == nil)
    let axis = ReceptiveField.Axis(firstCentre: 8, stride: 16, size: 228)
    #expect(layer.field == ReceptiveField(vertical: axis, horizontal: axis))
    #expect(layer.field.disc(row: 1, column: 2) == ReceptiveField.Disc(x: 40, y: 24, radius: 114))
  }

  @Test("a block is measured by its output, and its field is that of its longest path")
  func resNet18() throws {
    let layer = try MeasuredLayer(Self.narrow(.resNet18, interpretable: false))
    #expect(layer.name == "layer4.1" && layer.height == 7)
    #expect(layer.index(of: .preactivation) == layer.index(of: .masked))
    let axis = ReceptiveField.Axis(firstCentre: 0.5, stride: 32, size: 435)
    #expect(layer.field == ReceptiveField(vertical: axis, horizontal: axis))
    let above = try MeasuredLayer(Self.narrow(.resNet18, interpretable: true))
    #expect(above.name == "interpretable.3" && above.field.vertical.size == 435 + 2 * 64)
  }

  /// Stride 32 from 5 halvings; each of the 16 layers of the last block adds two cells of them, and so on below.
  @Test(
    "a dense block's field is that of the path through all its layers, and each 2×2 pooling moves the centre by half a cell"
  )
  func denseNet121() throws {
    let layer = try MeasuredLayer(Self.narrow(.denseNet121, interpretable: false))
    #expect(layer.name == "features.denseblock4" && layer.height == 7)
    #expect(layer.index(of: .preactivation) == layer.index(of: .masked))
    var (size, stride) = (1, 1)
    for (kernel, step) in [(7, 2), (3, 2)] { (size, stride) = (size + (kernel - 1) * stride, stride * step) }
    for (block, count) in [6, 12, 24, 16].enumerated() {
      size += 2 * stride * count
      if block < 3 { (size, stride) = (size + stride, 2 * stride) }
    }
    #expect(layer.field.vertical == ReceptiveField.Axis(firstCentre: 14.5, stride: 32, size: size))
    #expect(layer.field.vertical == layer.field.horizontal)
    let above = try MeasuredLayer(Self.narrow(.denseNet121, interpretable: true))
    #expect(above.name == "interpretable.3")
    #expect(above.field.vertical.size == size + 128)
  }

  private static func narrow(_ architecture: Architecture, interpretable: Bool) -> Network {
    var options = NetworkOptions(outputs: 2, interpretable: interpretable ? InterpretableOptions() : nil)
    options.widthDivisor = 64
    return architecture.build(options)
  }

  struct Chain: Sendable, CustomTestStringConvertible {
    var kernels: [(height: Int, width: Int)], strides: [(height: Int, width: Int)],
      padding: [(top: Int, left: Int)]
    var testDescription: String { "\(kernels) \(strides) \(padding)" }
  }

  /// Follows the windows of a unit down to pixels, one index at a time.
  private func pixels(_ kernels: [Int], _ strides: [Int], _ paddings: [Int], unit: Int) -> ClosedRange<Int> {
    var seen: Set = [unit]
    for layer in kernels.indices.reversed() {
      seen = Set(
        seen.flatMap { unit in (0..<kernels[layer]).map { unit * strides[layer] - paddings[layer] + $0 } })
    }
    return seen.min()!...seen.max()!
  }

  @Test(
    "centre, stride and size are those of the pixels that the windows reach",
    arguments: [
      Chain(kernels: [(3, 5)], strides: [(1, 2)], padding: [(0, 2)]),
      Chain(
        kernels: [(11, 7), (3, 3), (5, 3)], strides: [(4, 3), (2, 2), (1, 1)],
        padding: [(2, 0), (0, 1), (2, 1)]),
      Chain(
        kernels: [(1, 1), (2, 3), (2, 2), (3, 1)], strides: [(1, 1), (2, 1), (2, 3), (1, 1)],
        padding: [(0, 0), (0, 1), (1, 0), (1, 0)]),
    ])
  func oracle(chain: Chain) {
    var field = ReceptiveField.pixels
    for index in chain.kernels.indices {
      field = field.followed(
        kernel: chain.kernels[index], stride: chain.strides[index], padding: chain.padding[index])
    }
    for unit in 0..<4 {
      for (axis, range) in [
        (
          field.vertical,
          pixels(
            chain.kernels.map(\.height), chain.strides.map(\.height), chain.padding.map(\.top), unit: unit)
        ),
        (
          field.horizontal,
          pixels(
            chain.kernels.map(\.width), chain.strides.map(\.width), chain.padding.map(\.left), unit: unit)
        ),
      ] {
        // Pixel p covers p ..< p + 1.
        #expect(axis.centre(unit) == Double(range.lowerBound + range.upperBound + 1) / 2)
        #expect(axis.size == range.count)
      }
    }
  }

  @Test("global pooling sees the whole map; nothing has a place behind it")
  func beyond() throws {
    let network = Self.narrow(.compact, interpretable: false)
    let pool = try #require(network.layers.firstIndex { $0 is AveragePooling })
    let top = try MeasuredLayer(network)
    let field = try ReceptiveField.of(layer: pool, in: network)
    #expect(field.vertical.size > top.field.vertical.size && abs(field.vertical.firstCentre - 48) < 5)
    #expect(throws: InterpretabilityError.self) {
      try ReceptiveField.of(layer: network.layers.count - 1, in: network)
    }
  }

  @Test("layers are found by name, also by that of their mask; others are refused with the names there are")
  func names() throws {
    let network = Self.narrow(.compact, interpretable: true)
    let lower = try MeasuredLayer(network, named: "interpretable.mask0")
    #expect(lower.name == "features.18")
    #expect(network.layers[lower.index(of: .masked)].name == "interpretable.mask0")
    #expect(network.layers[lower.index(of: .preactivation)] is BatchNormalization)
    #expect(try MeasuredLayer(network).name == "interpretable.0")
    let ordinary = try MeasuredLayer(Self.narrow(.compact, interpretable: false))
    #expect(ordinary.name == "features.18" && ordinary.index(of: .masked) == ordinary.index(of: .rectified))
    let error = #expect(throws: InterpretabilityError.self) {
      try MeasuredLayer(network, named: "classifier.1")
    }
    #expect(error?.exitCode == 64 && "\(error!)".contains("features.18"))
  }
}
