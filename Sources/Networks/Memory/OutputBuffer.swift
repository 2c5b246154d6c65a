import Tensors

/// Where a layer's output lies: the place that a plan gave it, or memory of its own for the largest batch seen so far.
/// Either is reused from step to step.
public final class OutputBuffer: PlannedOwner {
  private var tensor: Tensor?
  private var place: PlannedPlace?

  /// A buffer without memory yet.
  public init() {}

  /// The tensor, holding `shape.batch` images of unspecified values. Memory is allocated only where no place for as many
  /// images is planned and none of this shape is there yet.
  public func prepare(_ shape: Shape, _ layout: Layout, capacity: Int) -> Tensor {
    let capacity = max(capacity, shape.batch)
    if let tensor, tensor.layout == layout, tensor.capacity >= capacity,
      tensor.shape.with(batch: 0) == shape.with(batch: 0)
    {
      tensor.setBatch(shape.batch)
      return tensor
    }
    let fresh = tensor ?? Tensor(shape.with(batch: 0), layout)
    tensor = fresh
    if let place, place.floats >= capacity * Tensor.imageStride(shape, layout) {
      fresh.lie(shape, layout, capacity: capacity, in: place.memory, at: place.offset, shared: true)
    } else {
      fresh.leave()
      let memory = TensorMemory(count: capacity * Tensor.imageStride(shape, layout))
      fresh.lie(shape, layout, capacity: capacity, in: memory, at: 0, shared: false)
    }
    return fresh
  }

  /// From the next `prepare` on the output lies at `place`, or in memory of its own if it is nil. Lets go of the present
  /// memory.
  func lie(at place: PlannedPlace?) {
    tensor?.leave()
    self.place = place
  }
}

/// What a plan gives a place to.
protocol PlannedOwner: AnyObject {
  /// From now on it lies there; nil: in memory of its own.
  func lie(at place: PlannedPlace?)
}

/// Where a gradient inside a composite lies.
final class GradientPlace: PlannedOwner {
  /// Nil: in the gradient pool.
  private(set) var place: PlannedPlace?
  func lie(at place: PlannedPlace?) { self.place = place }
}

/// A place in a block that a plan laid out.
struct PlannedPlace {
  /// The block.
  let memory: TensorMemory
  /// Where it begins, and how many floats it has.
  let offset: Int, floats: Int
}
