import Tensors

/// When each activation of a chain of layers and each of their gradients is needed in a training step or in an
/// evaluation, and hence where they can lie.
///
/// The clock: forward of each layer, the loss, then backward of each layer from the last. Where a segment is computed
/// again, the forwards of its layers come before the backward of its last one. A composite takes a tick for each of its
/// steps; it writes its output, and its dx, in the last one.
final class PassPlan {
  /// The images with the largest batch, and the mode.
  let input: Shape, inputLayout: Layout, hasBackward: Bool
  /// Places of all blocks.
  let places: MemoryPlan
  /// The buffers of outputs, each with its block.
  let outputs: [(buffer: OutputBuffer, block: Int)]
  /// What composites place inside themselves, each with its block.
  let inside: [(owner: any PlannedOwner, block: Int)]
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
    let kept = Set(
      segments.compactMap { segment in
        chain.values.last { segment.contains($0.layers.lowerBound) }?.layers.lowerBound
      })

    // The clock of the second half: the first tick of each layer's second forward and of its backward.
    var again = [Int?](repeating: nil, count: count)
    var backward = [Int](repeating: 0, count: count)
    var clock = (chain.forward.last.map { $0.upperBound + 1 } ?? 0) + 1
    for layer in (0..<count).reversed() {
      for other in recomputed[layer] {
        again[other] = clock
        clock += chain.uses[other].forwardTicks
      }
      backward[layer] = clock
      clock += chain.uses[layer].backwardTicks
    }
    func made(_ layer: Int) -> Int { chain.forward[layer].upperBound }
    func madeAgain(_ layer: Int) -> Int? { again[layer].map { $0 + chain.uses[layer].forwardTicks - 1 } }
    func differentiated(_ layer: Int) -> Int { backward[layer] + chain.uses[layer].backwardTicks - 1 }
    let end = made(count - 1) + 1

    var requests: [(floats: Int, lifetimes: [ClosedRange<Int>])] = []
    var outputs: [(buffer: OutputBuffer, block: Int)] = []
    var twice = 0
    for value in chain.values {
      guard case .buffer(let buffer, _) = chain.uses[value.layers.lowerBound].output else { continue }
      outputs.append((buffer, requests.count))
      let (first, last) = (value.layers.lowerBound, value.layers.upperBound)
      let consumer = last + 1
      let consumed = consumer == count ? end : made(consumer)
      guard hasBackward else {
        requests.append((value.floats, [made(first)...consumed]))
        continue
      }
      var reads = chain.backwardReaders(of: value).map(differentiated)
      // Whoever called forward may read the logits until the step ends.
      if consumer == count {
        reads.append(clock)
      } else if let time = madeAgain(consumer) {
        reads.append(time)
      }
      if let time = madeAgain(first), !kept.contains(first) {
        twice += value.floats
        requests.append((value.floats, [made(first)...consumed, time...reads.reduce(madeAgain(last)!, max)]))
      } else {
        // A composite that is computed again for its inside writes its output again.
        if let time = madeAgain(last) { reads.append(time) }
        requests.append((value.floats, [made(first)...reads.reduce(consumed, max)]))
      }
    }
    self.outputs = outputs

    var inside: [(owner: any PlannedOwner, block: Int)] = []
    for layer in 0..<count {
      for block in chain.uses[layer].inside {
        let lifetimes = block.lifetimes(
          forward: chain.forward[layer].lowerBound, again: again[layer],
          backward: hasBackward ? backward[layer] : nil)
        guard !lifetimes.isEmpty else { continue }
        twice += (lifetimes.count - 1) * block.floats
        inside.append((block.owner, requests.count))
        requests.append((block.floats, lifetimes))
      }
    }
    self.inside = inside
    recomputedFloats = twice

    var gradients = [Int?](repeating: nil, count: count)
    if hasBackward {
      for gradient in chain.gradients() {
        gradients[gradient.maker] = requests.count
        requests.append(
          (gradient.floats, [differentiated(gradient.maker)...differentiated(gradient.consumer)]))
      }
    }
    self.gradients = gradients
    places = MemoryPlan(requests)
  }

  /// Takes the memory of all outputs away.
  func leave() {
    for index in outputs.indices { outputs[index].buffer.lie(at: nil) }
    for index in inside.indices { inside[index].owner.lie(at: nil) }
  }

  /// Whether it serves these images.
  func fits(_ images: Tensor) -> Bool {
    input.batch >= images.capacity && input.with(batch: 0) == images.shape.with(batch: 0)
      && inputLayout == images.layout
  }
}
