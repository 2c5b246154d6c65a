/// Order of a tensor's values in memory.
public enum Layout: Sendable {
  /// [N][C/16][H][W][16]: channels in blocks of 16, the last block padded with zeros. All feature maps.
  case blocked
  /// [N][H][W][C]: images as they are decoded, and nothing else.
  case interleaved
  /// [N][C·H·W], each image's values in the order channel, row, column: what linear layers read.
  case flat
}

/// A batch of feature maps, images or feature vectors in Float.
///
/// A tensor has memory for a largest batch and may hold a smaller one (`setBatch`), so that the last, shorter
/// batch of an epoch needs no new memory. The memory is its own, or a place in a block that it shares with tensors
/// that live at other times (`lie`). It is a class because layers share it: the output of one is the input of the
/// next. Not Sendable: one thread computes with it; batches cross from the loader with `sending`.
public final class Tensor {
  /// Channels in one block of the blocked layout.
  public static let blockWidth = 16

  /// [N, C, H, W] of the images it holds now.
  public private(set) var shape: Shape
  /// Order of the values in memory.
  public private(set) var layout: Layout
  /// Largest N it has memory for.
  public private(set) var capacity: Int
  /// First value.
  public private(set) var pointer: UnsafeMutablePointer<Float>
  /// The block it lies in; nil once it has left one (`leave`).
  public private(set) var memory: TensorMemory?
  /// Whether other tensors may lie in the same block.
  public private(set) var sharesMemory = false

  /// A zeroed tensor with memory of its own for up to `shape.batch` images, holding that many.
  public init(_ shape: Shape, _ layout: Layout) {
    let memory = TensorMemory(count: shape.batch * Self.imageStride(shape, layout))
    self.shape = shape
    self.layout = layout
    self.capacity = shape.batch
    self.memory = memory
    self.pointer = memory.pointer
  }

  /// A tensor with a place in `memory`; see `lie`.
  public init(_ shape: Shape, _ layout: Layout, capacity: Int, in memory: TensorMemory, at offset: Int) {
    self.shape = shape
    self.layout = layout
    self.capacity = capacity
    self.memory = memory
    self.pointer = memory.pointer
    lie(shape, layout, capacity: capacity, in: memory, at: offset, shared: true)
  }

  /// Becomes a tensor of another shape in another place, with the values that are there, padding included.
  ///
  /// - Parameters:
  ///   - capacity: largest batch, at least `shape.batch`.
  ///   - offset: of the first value in `memory`; a multiple of 16.
  ///   - shared: whether others may lie in the same block.
  public func lie(
    _ shape: Shape, _ layout: Layout, capacity: Int, in memory: TensorMemory, at offset: Int, shared: Bool
  ) {
    let stride = Self.imageStride(shape, layout)
    precondition(
      offset % 16 == 0 && shape.batch <= capacity && offset + capacity * stride <= memory.count,
      "Tensor: \(capacity) images of \(shape) do not fit at \(offset) of \(memory.count) values")
    self.shape = shape
    self.layout = layout
    self.capacity = capacity
    self.memory = memory
    self.sharesMemory = shared
    pointer = memory.pointer + offset
  }

  /// Lets go of its memory: it holds no image and has room for none until it lies somewhere again.
  public func leave() {
    setBatch(0)
    capacity = 0
    memory = nil
  }

  /// Values per image, padding included.
  public var imageStride: Int { Self.imageStride(shape, layout) }
  /// Values now in use, padding included: N · imageStride.
  public var count: Int { shape.batch * imageStride }
  /// All values now in use, padding included.
  public var values: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  /// Holds `batch` images from now on, at most `capacity`.
  public func setBatch(_ batch: Int) {
    precondition(batch <= capacity, "Tensor: batch \(batch) exceeds the capacity of \(capacity) images")
    shape.batch = batch
  }

  /// Sets every value, padding included, to zero.
  public func zero() { values.update(repeating: 0) }

  /// Offset of the value of image n, channel c, row h, column w.
  public func offset(_ n: Int, _ c: Int, _ h: Int, _ w: Int) -> Int {
    switch layout {
    case .blocked:
      let block = Self.blockWidth
      return (((n * shape.blocks + c / block) * shape.height + h) * shape.width + w) * block + c % block
    case .interleaved: return ((n * shape.height + h) * shape.width + w) * shape.channels + c
    case .flat: return ((n * shape.channels + c) * shape.height + h) * shape.width + w
    }
  }

  /// The value of image n, channel c, row h, column w; slow, for tests and tools.
  public subscript(n: Int, c: Int, h: Int, w: Int) -> Float {
    get { pointer[offset(n, c, h, w)] }
    set { pointer[offset(n, c, h, w)] = newValue }
  }

  /// All values in the order [N, C, H, W], without padding; slow, for tests and tools.
  public func toArray() -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(shape.batch * shape.features)
    forEachIndex { result.append(self[$0, $1, $2, $3]) }
    return result
  }

  /// Sets all values from the order [N, C, H, W], padding to zero; slow, for tests and tools.
  public func fill(from array: [Float]) {
    precondition(
      array.count == shape.batch * shape.features,
      "Tensor: \(array.count) values for the shape \(shape)")
    zero()
    var next = 0
    forEachIndex {
      self[$0, $1, $2, $3] = array[next]
      next += 1
    }
  }

  private func forEachIndex(_ body: (Int, Int, Int, Int) -> Void) {
    for n in 0..<shape.batch {
      for c in 0..<shape.channels {
        for h in 0..<shape.height {
          for w in 0..<shape.width { body(n, c, h, w) }
        }
      }
    }
  }

  /// Values per image of a shape in a layout, padding included.
  public static func imageStride(_ shape: Shape, _ layout: Layout) -> Int {
    layout == .blocked ? shape.blocks * blockWidth * shape.cells : shape.features
  }
}
