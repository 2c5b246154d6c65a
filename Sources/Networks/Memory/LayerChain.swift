import Tensors

/// What a plan sees of a chain of layers.
struct LayerChain {
  /// An output, the layer that makes it and those that work in it.
  struct Value {
    let layers: ClosedRange<Int>
    let floats: Int
  }

  let uses: [LayerMemory]
  /// Floats of each layer's input; nil after a layer of which the plan knows no layout.
  let inputFloats: [Int?]
  let values: [Value]
  private let needsInputGradient: [Bool]
  /// Ticks of the forwards of the layers, one after the other from 0, and of their backwards from the last layer.
  let forward: [ClosedRange<Int>], backward: [ClosedRange<Int>]

  init(_ layers: [any Layer], input: Shape, _ inputLayout: Layout) {
    var uses: [LayerMemory] = []
    var inputFloats: [Int?] = []
    var values: [Value] = []
    var shape = input
    var layout: Layout? = inputLayout
    for (index, layer) in layers.enumerated() {
      inputFloats.append(layout.map { shape.batch * Tensor.imageStride(shape, $0) })
      let use = layer.memory(for: shape)
      uses.append(use)
      shape = layer.outputShape(for: shape)
      switch use.output {
      case .input:
        if let value = values.popLast() {
          values.append(Value(layers: value.layers.lowerBound...index, floats: value.floats))
        }
        continue
      case .unplanned: layout = nil
      case .buffer(_, let own): layout = own
      }
      let floats = layout.map { shape.batch * Tensor.imageStride(shape, $0) } ?? 0
      values.append(Value(layers: index...index, floats: floats))
    }
    self.uses = uses
    needsInputGradient = layers.map(\.needsInputGradient)
    forward = Self.ticks(uses.map(\.forwardTicks))
    backward = Self.ticks(uses.reversed().map(\.backwardTicks)).reversed()
    self.inputFloats = inputFloats
    self.values = values
  }

  private static func ticks(_ counts: [Int]) -> [ClosedRange<Int>] {
    var start = 0
    return counts.map {
      start += $0
      return start - $0...start - 1
    }
  }

  /// Layers whose backward reads the value.
  func backwardReaders(of value: Value) -> [Int] {
    let maker = value.layers.lowerBound
    var readers = value.layers.filter { layer in
      uses[layer].backwardReadsOutput || (layer != maker && uses[layer].backwardReadsInput)
    }
    let consumer = value.layers.upperBound + 1
    if consumer < uses.count && uses[consumer].backwardReadsInput { readers.append(consumer) }
    return readers
  }

  /// The gradients that backward makes, from the last layer's: the layer that makes one as its dx, and the last one
  /// that reads it, which is the layer that makes another of it.
  func gradients() -> [(maker: Int, consumer: Int, floats: Int)] {
    var result: [(maker: Int, consumer: Int, floats: Int)] = []
    var maker: Int?
    for layer in uses.indices.reversed() {
      let isConsumer = !uses[layer].backwardWorksInPlace
      if isConsumer || layer == 0, let from = maker, let floats = inputFloats[from] {
        result.append((from, layer, floats))
      }
      if isConsumer { maker = layer }
      guard needsInputGradient[layer] else { return result }
    }
    return result
  }

  /// At most `count` runs of layers with about equally large outputs, each beginning with a layer that has an output of
  /// its own, so that its input survives.
  func segments(_ count: Int) -> [Range<Int>] {
    let total = values.reduce(0) { $0 + $1.floats }
    var starts: [Int] = []
    var before = 0
    for value in values {
      if starts.count < count && before * count >= total * starts.count {
        starts.append(value.layers.lowerBound)
      }
      before += value.floats
    }
    return zip(starts, starts.dropFirst() + [uses.count]).map { $0..<$1 }
  }

  /// The layers of a segment that must run again: up to the last one whose output backward reads, but for the segment's
  /// own output, which is kept, unless its maker is a composite whose inside backward reads.
  func layersToRecompute(_ segment: Range<Int>) -> Range<Int> {
    let all = values.filter { segment.contains($0.layers.lowerBound) }
    if let own = all.last, !uses[own.layers.lowerBound].inside.isEmpty {
      return segment.lowerBound..<own.layers.upperBound + 1
    }
    let last = all.dropLast().last { !backwardReaders(of: $0).isEmpty }
    return segment.lowerBound..<(last.map { $0.layers.upperBound + 1 } ?? segment.lowerBound)
  }
}
