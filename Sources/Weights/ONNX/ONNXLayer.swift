import Networks
import Tensors

/// A layer that can say in ONNX operators what it does in evaluation.
///
/// A composite adds its parts with `ONNXGraph.add(_:_:input:)` and then what it does to their outputs.
protocol ONNXLayer: Layer {
  /// Adds the operators to a graph.
  ///
  /// - Parameters:
  ///   - x: name of the layer's input.
  ///   - input: its shape for one image, [1, C, H, W].
  /// - Returns: the name of the output.
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) throws(ONNXGraph.UnknownLayer) -> String
}

extension Convolution: ONNXLayer {
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String {
    let inputs = [x] + parameters.map { graph.add(ONNXTensor($0)) }
    let padding = geometry.padding
    return graph.add(
      "Conv", name, inputs,
      [
        ("kernel_shape", .ints([geometry.kernelHeight, geometry.kernelWidth])),
        ("strides", .ints([geometry.strideHeight, geometry.strideWidth])),
        ("pads", .ints([padding.top, padding.left, padding.bottom, padding.right])),
        ("group", .int(geometry.groups)),
      ])
  }
}

extension Linear: ONNXLayer {
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String {
    graph.add("Gemm", name, [x] + parameters.map { graph.add(ONNXTensor($0)) }, [("transB", .int(1))])
  }
}

extension BatchNormalization: ONNXLayer {
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String {
    let inputs =
      parameters.map { graph.add(ONNXTensor($0)) } + states.map { graph.add(ONNXTensor($0)) }
    return graph.add("BatchNormalization", name, [x] + inputs, [("epsilon", .float(epsilon))])
  }
}

extension ReLU: ONNXLayer {
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String { graph.add("Relu", name, [x]) }
}

extension Dropout: ONNXLayer {
  // In evaluation y = x.
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String { x }
}

extension Flatten: ONNXLayer {
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String {
    graph.add("Flatten", name, [x], [("axis", .int(1))])
  }
}

extension LocalResponseNormalization: ONNXLayer {
  // ONNX's alpha multiplies the mean over the window, ours the sum.
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String {
    let size = 2 * normalization.radius + 1
    return graph.add(
      "LRN", name, [x],
      [
        ("size", .int(size)), ("alpha", .float(Double(normalization.alpha * Float(size)))),
        ("beta", .float(Double(normalization.beta))), ("bias", .float(Double(normalization.kappa))),
      ])
  }
}

extension MaxPooling: ONNXLayer {
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String {
    graph.add("MaxPool", name, [x], window.attributes(for: input))
  }
}

extension AveragePooling: ONNXLayer {
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String {
    guard let window else { return graph.add("GlobalAveragePool", name, [x]) }
    let countsPadding = divisor == .paddedCells
    precondition(
      !countsPadding || !window.ceilMode, "\(name): ONNX would count the cells that ceil mode adds as padding"
    )
    return graph.add(
      "AveragePool", name, [x],
      window.attributes(for: input, others: [("count_include_pad", .int(countsPadding ? 1 : 0))]))
  }
}

extension PoolingWindow {
  /// The windows with the padding below and to the right that makes as many of them as there are: runtimes disagree about
  /// ONNX's ceil_mode where a last window would lie in the padding alone.
  fileprivate func attributes(
    for input: Shape, others: [(String, ONNXGraph.Attribute)] = []
  ) -> [(String, ONNXGraph.Attribute)] {
    let output = outputShape(for: input)
    func end(_ outputs: Int, _ stride: Int, _ kernel: Int, _ inputs: Int, _ before: Int) -> Int {
      max((outputs - 1) * stride + kernel - inputs - before, 0)
    }
    let bottom = end(output.height, strideHeight, kernelHeight, input.height, padTop)
    let right = end(output.width, strideWidth, kernelWidth, input.width, padLeft)
    return [
      ("kernel_shape", .ints([kernelHeight, kernelWidth])), ("strides", .ints([strideHeight, strideWidth])),
      ("pads", .ints([padTop, padLeft, bottom, right])),
    ] + others
  }
}

extension Residual: ONNXLayer {
  func add(
    to graph: inout ONNXGraph, _ x: String, input: Shape
  ) throws(ONNXGraph.UnknownLayer) -> String {
    let beside = try graph.add(shortcut, x, input: input)
    let difference = try graph.add(body, x, input: input)
    return graph.add("Relu", name, [graph.add("Add", "\(name).sum", [difference, beside])])
  }
}

/// Every normalisation sees the concatenation of all maps so far.
extension DenseBlock: ONNXLayer {
  func add(
    to graph: inout ONNXGraph, _ x: String, input: Shape
  ) throws(ONNXGraph.UnknownLayer) -> String {
    var slices: [String] = []
    var (value, shape) = (x, input)
    for part in parts {
      if let normalization = part as? DenseNormalization {
        slices.append(value)
        value = normalization.add(to: &graph, slices)
        shape = Shape(
          batch: shape.batch, channels: normalization.channels, height: shape.height, width: shape.width)
      } else {
        value = try graph.add([part], value, input: shape)
        shape = part.outputShape(for: shape)
      }
    }
    return value
  }
}

extension DenseNormalization {
  /// y of the concatenated slices.
  fileprivate func add(to graph: inout ONNXGraph, _ slices: [String]) -> String {
    let maps = graph.add("Concat", "\(name).concat", slices, [("axis", .int(1))])
    let inputs =
      parameters.map { graph.add(ONNXTensor($0)) } + states.map { graph.add(ONNXTensor($0)) }
    let normalized = graph.add(
      "BatchNormalization", name, [maps] + inputs, [("epsilon", .float(epsilon))])
    return graph.add("Relu", "\(name).relu", [normalized])
  }
}
