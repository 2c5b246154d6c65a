import Tensors

/// Memory for the gradients of activations, handed out and returned during one backward pass.
///
/// A layer takes the tensor for its dx; whoever consumed a dy returns it. The network's plan has a place for most of
/// them. Others get the smallest free block that is large enough, whatever shape it had before, so that a chain of layers
/// goes to and fro between two blocks. The first steps allocate, later ones find what they need.
public final class GradientPool {
  /// Where the next tensor that is taken lies, if it fits.
  var place: PlannedPlace?
  // Tensors without memory, and blocks without a tensor.
  private var tensors: [Tensor] = []
  private var blocks: [TensorMemory] = []

  /// An empty pool.
  public init() {
    tensors.reserveCapacity(16)
    blocks.reserveCapacity(16)
  }

  /// A tensor of that shape and layout with unspecified values.
  ///
  /// - Parameter capacity: largest batch that will be asked for at this place.
  public func take(_ shape: Shape, _ layout: Layout, capacity: Int) -> Tensor {
    let capacity = max(capacity, shape.batch)
    let floats = capacity * Tensor.imageStride(shape, layout)
    let tensor = tensors.popLast() ?? Tensor(shape.with(batch: 0), layout)
    if let place, place.floats >= floats {
      self.place = nil
      tensor.lie(shape, layout, capacity: capacity, in: place.memory, at: place.offset, shared: true)
    } else {
      tensor.lie(shape, layout, capacity: capacity, in: block(floats), at: 0, shared: false)
    }
    return tensor
  }

  /// Takes back a tensor that nobody will read again.
  public func giveBack(_ tensor: Tensor) {
    if let memory = tensor.memory, !tensor.sharesMemory { blocks.append(memory) }
    tensor.leave()
    tensors.append(tensor)
  }

  private func block(_ floats: Int) -> TensorMemory {
    var best: Int?
    var largest: Int?
    for index in blocks.indices {
      if blocks[index].count >= floats && best.map({ blocks[index].count < blocks[$0].count }) ?? true {
        best = index
      }
      if largest.map({ blocks[index].count > blocks[$0].count }) ?? true { largest = index }
    }
    if let best { return blocks.remove(at: best) }
    // None is large enough: a new one takes the largest one's place.
    if let largest { blocks.remove(at: largest) }
    return TensorMemory(count: floats)
  }
}
