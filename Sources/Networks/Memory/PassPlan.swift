import Tensors

/// When each activation of a chain of layers and each of their gradients is needed in a training step or in an
/// evaluation, and hence where they can lie.
///
/// The clock: forward of each layer, the loss, then backward of each layer from the last. Where a segment is computed
/// again, the forwards of its layers come before the backward of its last one.
final class PassPlan {
  /// The images with the largest batch, and the mode.
  let input: Shape, inputLayout: Layout, hasBackward: Bool
  /// Places of all blocks.
  let places: MemoryPlan
  /// The buffers of outputs, each with its block.
  let outputs: [(buffer: OutputBuffer, block: Int)]
  /// Per layer: block of its dx; nil where backward works in place, nobody reads dx, or its size is unknown.
  let gradients: [Int?]
  /// Per layer: the layers whose forward runs again before its backward; mostly empty.
  let recomputed: [Range<Int>]
  /// Floats of the outputs that are computed twice.
  let recomputedFloats: Int
  /// The largest workspace that a layer wants, in floats.
  let workspaceFloats: Int
  /// What the layers keep beside their outputs, in bytes.
  let keptBytes: Int

  /// Plans a pass over `layers`.
  ///
  /// - Parameters:
  ///   - input: [largest batch, C, H, W] of the images.
  ///   - segmentCount: segments of which all but the last are computed again; 1 for none.
  init(_ layers: [any Layer], input: Shape, _ inputLayout: Layout, hasBackward: Bool, segmentCount: Int = 1) {
    let chain = LayerChain(layers, input: input, inputLayout)
    let count = layers.count
    self.input = input
    self.inputLayout = inputLayout
    self.hasBackward = hasBackward
    workspaceFloats = chain.uses.reduce(0) { max($0, $1.workspaceFloats) }
    keptBytes = chain.uses.reduce(0) { $0 + $1.keptBytes }

    let segments = hasBackward ? chain.segments(segmentCount).dropLast() : []
    var recomputed = [Range<Int>](repeating: 0..<0, count: count)
    for segment in segments { recomputed[segment.upperBound - 1] = chain.layersToRecompute(segment) }
    self.recomputed = recomputed

    // The clock of the second half; forward of a layer is at its number.
    var again = [Int?](repeating: nil, count: count)
    var backward = [Int](repeating: 0, count: count)
    var clock = count + 1
    for layer in (0..<count).reversed() {
      for other in recomputed[layer] {
        again[other] = clock
        clock += 1
      }
      backward[layer] = clock
      clock += 1
    }

    var requests: [(floats: Int, lifetimes: [ClosedRange<Int>])] = []
    var outputs: [(buffer: OutputBuffer, block: Int)] = []
    var twice = 0
    for value in chain.values {
      guard case .buffer(let buffer, _) = chain.uses[value.layers.lowerBound].output else { continue }
      outputs.append((buffer, requests.count))
      let (first, last) = (value.layers.lowerBound, value.layers.upperBound)
      let consumed = last + 1
      guard hasBackward else {
        requests.append((value.floats, [first...consumed]))
        continue
      }
      var reads = chain.backwardReaders(of: value).map { backward[$0] }
      // Whoever called forward may read the logits until the step ends.
      if consumed == count { reads.append(clock) } else if let time = again[consumed] { reads.append(time) }
      if let made = again[first] {
        twice += value.floats
        requests.append((value.floats, [first...consumed, made...reads.reduce(again[last]!, max)]))
      } else {
        requests.append((value.floats, [first...reads.reduce(consumed, max)]))
      }
    }
    self.outputs = outputs
    recomputedFloats = twice

    var gradients = [Int?](repeating: nil, count: count)
    if hasBackward {
      // The layer that made the dy at hand; it lives until a layer makes another of it.
      var maker: Int?
      for layer in (0..<count).reversed() {
        let isConsumer = !chain.uses[layer].backwardWorksInPlace
        if isConsumer || layer == 0, let from = maker, let floats = chain.inputFloats[from] {
          gradients[from] = requests.count
          requests.append((floats, [backward[from]...backward[layer]]))
        }
        if isConsumer { maker = layer }
        guard layers[layer].needsInputGradient else { break }
      }
    }
    self.gradients = gradients
    places = MemoryPlan(requests)
  }

  /// Takes the memory of all outputs away.
  func leave() { for index in outputs.indices { outputs[index].buffer.lie(at: nil) } }

  /// Whether it serves these images.
  func fits(_ images: Tensor) -> Bool {
    input.batch >= images.capacity && input.with(batch: 0) == images.shape.with(batch: 0)
      && inputLayout == images.layout
  }
}

/// What a plan sees of a chain of layers.
private struct LayerChain {
  /// An output, the layer that makes it and those that work in it.
  struct Value {
    let layers: ClosedRange<Int>
    let floats: Int
  }

  let uses: [LayerMemory]
  /// Floats of each layer's input; nil after a layer of which the plan knows no layout.
  let inputFloats: [Int?]
  let values: [Value]

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
    self.inputFloats = inputFloats
    self.values = values
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
  /// own output, which is kept.
  func layersToRecompute(_ segment: Range<Int>) -> Range<Int> {
    let inner = values.filter { segment.contains($0.layers.lowerBound) }.dropLast()
    let last = inner.last { !backwardReaders(of: $0).isEmpty }
    return segment.lowerBound..<(last.map { $0.layers.upperBound + 1 } ?? segment.lowerBound)
  }
}
