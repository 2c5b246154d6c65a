import Tensors

/// Tensors for the gradients of activations, handed out and returned during one backward pass.
///
/// A layer takes the tensor for its dx; whoever consumed a dy returns it. The first step allocates, later steps find
/// what they need: a steady step allocates nothing, and two or three tensors serve a whole chain of layers.
public final class GradientPool {
  private var free: [Tensor] = []

  /// An empty pool.
  public init() {}

  /// A tensor of that shape and layout with unspecified values.
  ///
  /// - Parameter capacity: largest batch that will be asked for at this place.
  public func take(_ shape: Shape, _ layout: Layout, capacity: Int) -> Tensor {
    let match = free.firstIndex {
      $0.layout == layout && $0.capacity >= shape.batch && $0.shape.with(batch: 0) == shape.with(batch: 0)
    }
    if let match {
      let tensor = free.remove(at: match)
      tensor.setBatch(shape.batch)
      return tensor
    }
    let tensor = Tensor(shape.with(batch: max(capacity, shape.batch)), layout)
    tensor.setBatch(shape.batch)
    return tensor
  }

  /// Takes back a tensor that nobody will read again.
  public func giveBack(_ tensor: Tensor) { free.append(tensor) }
}
