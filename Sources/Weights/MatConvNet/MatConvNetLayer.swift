import MATFiles
import Networks
import Tensors

/// One layer of a MatConvNet file, as much of it as is compared with ours. Fields are found by name: their order differs
/// from type to type, and with MatConvNet's age.
struct MatConvNetLayer {
  /// What a layer does.
  enum Operation {
    /// Filters [kh, kw, I, O] and biases [O]; stride, and zeros at the top, bottom, left and right.
    case convolution(filters: MATNumbers, biases: MATNumbers, stride: [Int], padding: [Int])
    case rectifier
    case pooling(kernel: [Int], stride: [Int])
    /// alpha multiplies the plain sum.
    case responseNormalization(ResponseNormalization)
    /// Of no effect on logits in evaluation.
    case none
  }

  let name: String
  let operation: Operation

  /// Reads a layer; throws `MATFileError.unexpected` for what no network here does.
  init(_ layer: MATNode) throws(MATFileError) {
    let type = try layer.field("type").text()
    name = try layer.optionalField("name")?.text() ?? ""
    switch type {
    case "conv": operation = try Self.convolution(layer)
    case "relu":
      if let leak = try layer.optionalField("leak"), !leak.isEmpty, try leak.number() != 0 {
        throw leak.unexpected("a ReLU without leak")
      }
      operation = .rectifier
    case "pool":
      let method = try layer.field("method")
      guard try method.text() == "max" else { throw method.unexpected("max") }
      operation = .pooling(
        kernel: try Self.integers(layer.field("pool"), counts: [1, 2]),
        stride: try Self.integers(layer.field("stride"), counts: [1, 2]))
    case "lrn", "normalize":
      // [N kappa alpha beta]
      let param = try layer.field("param")
      let values = try param.numbers().floats
      guard values.count == 4, values.allSatisfy(\.isFinite), (1...33).contains(values[0]), values[1] > 0
      else {
        throw param.unexpected("four numbers")
      }
      operation = .responseNormalization(
        ResponseNormalization(radius: Int(values[0]) / 2, kappa: values[1], alpha: values[2], beta: values[3])
      )
    case "softmax", "softmaxloss", "dropout": operation = .none
    default: throw try layer.field("type").unexpected("conv, relu, pool, lrn, softmax or dropout")
    }
  }

  private static func convolution(_ layer: MATNode) throws(MATFileError) -> Operation {
    if let dilate = try layer.optionalField("dilate"),
      try integers(dilate, counts: [1, 2]).contains(where: { $0 != 1 })
    {
      throw dilate.unexpected("no dilation")
    }
    let filters: MATNode
    let biases: MATNode
    if let weights = try layer.optionalField("weights") {
      let pair = try weights.elements()
      guard pair.count == 2 else { throw weights.unexpected("filters and biases") }
      (filters, biases) = (pair[0], pair[1])
    } else {
      // Before 2015.
      (filters, biases) = (try layer.field("filters"), try layer.field("biases"))
    }
    let values = try filters.numbers()
    let outputs = values.extents.count == 4 ? values.extents[3] : 1
    guard (2...4).contains(values.extents.count), values.count > 0 else {
      throw filters.unexpected("filters [kh, kw, I, O]")
    }
    guard try biases.numbers().count == outputs else { throw biases.unexpected("\(outputs) biases") }
    return .convolution(
      filters: values, biases: try biases.numbers(),
      stride: try layer.optionalField("stride").map { (n) throws(MATFileError) in
        try integers(n, counts: [1, 2])
      } ?? [1],
      padding: try layer.optionalField("pad").map { (n) throws(MATFileError) in
        try integers(n, counts: [1, 2, 4])
      } ?? [0])
  }

  private static func integers(_ node: MATNode, counts: [Int]) throws(MATFileError) -> [Int] {
    let values = try node.numbers().doubles
    guard counts.contains(values.count), values.allSatisfy({ $0 >= 0 && $0 <= 4096 && $0 == $0.rounded() })
    else {
      throw node.unexpected("\(counts.map(String.init).joined(separator: " or ")) small whole numbers")
    }
    return values.map { Int($0) }
  }

  /// Whether one of our layers does the same but for its numbers of channels.
  func matches(_ layer: any Layer) -> Bool {
    switch (operation, layer) {
    case (.convolution(let filters, _, let stride, let padding), let ours as Convolution):
      let geometry = ours.geometry
      let pad = geometry.padding
      return filters.extents[0] == geometry.kernelHeight && filters.extents[1] == geometry.kernelWidth
        && Self.both(stride) == [geometry.strideHeight, geometry.strideWidth]
        && Self.sides(padding) == [pad.top, pad.bottom, pad.left, pad.right]
    case (.convolution(_, _, let stride, let padding), is Linear):
      return Self.both(stride) == [1, 1] && Self.sides(padding) == [0, 0, 0, 0]
    case (.rectifier, is ReLU): return true
    case (.pooling(let kernel, let stride), let ours as MaxPooling):
      return Self.both(kernel) == [ours.window.kernelHeight, ours.window.kernelWidth]
        && Self.both(stride) == [ours.window.strideHeight, ours.window.strideWidth]
    case (.responseNormalization(let theirs), let ours as LocalResponseNormalization):
      let mine = ours.normalization
      return theirs.radius == mine.radius && Self.isNear(theirs.kappa, mine.kappa)
        && Self.isNear(theirs.alpha, mine.alpha) && Self.isNear(theirs.beta, mine.beta)
    default: return false
    }
  }

  /// A single number stands for both directions.
  private static func both(_ values: [Int]) -> [Int] { values.count == 1 ? [values[0], values[0]] : values }

  /// Top, bottom, left, right; a single number for all.
  private static func sides(_ values: [Int]) -> [Int] {
    switch values.count {
    case 1: [Int](repeating: values[0], count: 4)
    case 2: [values[0], values[0], values[1], values[1]]
    default: values
    }
  }

  private static func isNear(_ a: Float, _ b: Float) -> Bool { abs(a - b) <= 1e-4 * abs(b) }
}
