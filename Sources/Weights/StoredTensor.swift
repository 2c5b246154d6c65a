import Foundation

/// A tensor of a file: a view of its bytes, read when its values are asked for.
public struct StoredTensor {
  /// Name in the file, without wrappers' prefixes.
  public var name: String
  /// What one element is.
  public let type: ElementType
  /// Extents; empty for a single number.
  public let shape: [Int]
  /// The product of the extents, never more than the elements of its storage.
  public let count: Int
  private let strides: [Int]
  private let first: Int
  private let storage: any TensorStorage
  private let path: String

  /// A row-major tensor that fills `storage`, which must be as long.
  init(_ name: String, _ type: ElementType, shape: [Int], _ storage: any TensorStorage, path: String) {
    self.name = name
    self.type = type
    self.shape = shape
    self.storage = storage
    self.path = path
    first = 0
    count = checkedProduct(shape) ?? -1
    strides = Self.contiguousStrides(shape)
    precondition(storage.byteCount == count * type.byteCount, "\(name): \(storage.byteCount) bytes, \(shape)")
  }

  /// A view whose element [i, j, …] is element `offset + i·strides[0] + j·strides[1] + …` of `storage`; nil if one of
  /// these lies outside, or if there are more than the storage has.
  init?(
    _ name: String, _ type: ElementType, shape: [Int], strides: [Int], offset: Int,
    _ storage: any TensorStorage, path: String
  ) {
    guard shape.count == strides.count, shape.count <= 16, offset >= 0,
      (shape + strides).allSatisfy({ $0 >= 0 })
    else { return nil }
    let available = storage.byteCount / type.byteCount
    guard let count = checkedProduct(shape), count <= available else { return nil }
    if count > 0 {
      var last = offset
      for (extent, stride) in zip(shape, strides) {
        let (distance, overflow) = (extent - 1).multipliedReportingOverflow(by: stride)
        let (sum, carry) = last.addingReportingOverflow(distance)
        guard !overflow, !carry else { return nil }
        last = sum
      }
      guard last < available else { return nil }
    }
    self.name = name
    self.type = type
    self.shape = shape
    self.strides = strides
    self.count = count
    first = offset
    self.storage = storage
    self.path = path
  }

  /// The same values as a matrix [shape[0], all others], nil if they do not lie one after the other.
  func flattened() -> StoredTensor? {
    guard isContiguous, let rows = shape.first, rows > 0 else { return nil }
    return StoredTensor(
      name, type, shape: [rows, count / rows], strides: [count / rows, 1], offset: first, storage, path: path)
  }

  /// The values as Float, row-major.
  ///
  /// - Throws: `WeightsError` if the file cannot be read.
  public func floats() throws(WeightsError) -> [Float] {
    let bytes = try contiguousBytes()
    return bytes.withUnsafeBytes { (buffer: UnsafeRawBufferPointer) in type.floats(buffer, count: count) }
  }

  /// The values as Double, row-major.
  ///
  /// - Throws: `WeightsError` if the file cannot be read.
  public func doubles() throws(WeightsError) -> [Double] {
    let bytes = try contiguousBytes()
    return bytes.withUnsafeBytes { (buffer: UnsafeRawBufferPointer) in type.doubles(buffer, count: count) }
  }

  /// The values in their own type, row-major, little-endian.
  ///
  /// - Throws: `WeightsError` if the file cannot be read.
  public func contiguousBytes() throws(WeightsError) -> Data {
    guard count > 0 else { return Data() }
    let size = type.byteCount
    let last = zip(shape, strides).reduce(first) { $0 + ($1.0 - 1) * $1.1 }
    let span = try storage.bytes(first * size..<(last + 1) * size)
    guard span.count == (last + 1 - first) * size else {
      throw .damaged(path: path, reason: "'\(name)' ends before its \(count) values")
    }
    if isContiguous { return span }
    var result = Data(count: count * size)
    result.withUnsafeMutableBytes { (target: UnsafeMutableRawBufferPointer) in
      span.withUnsafeBytes { (source: UnsafeRawBufferPointer) in
        var index = [Int](repeating: 0, count: shape.count)
        var element = 0
        for position in 0..<count {
          for byte in 0..<size { target[position * size + byte] = source[element * size + byte] }
          var axis = shape.count - 1
          while axis >= 0 {
            index[axis] += 1
            element += strides[axis]
            if index[axis] < shape[axis] { break }
            element -= index[axis] * strides[axis]
            index[axis] = 0
            axis -= 1
          }
        }
      }
    }
    return result
  }

  private var isContiguous: Bool {
    // The stride of an axis with one place says nothing.
    zip(shape, zip(strides, Self.contiguousStrides(shape))).allSatisfy { $0 == 1 || $1.0 == $1.1 }
  }

  private static func contiguousStrides(_ shape: [Int]) -> [Int] {
    var stride = 1
    let reversed = shape.reversed().map { extent in
      defer { stride &*= max(extent, 1) }
      return stride
    }
    return reversed.reversed()
  }
}

/// The product, or nil if it is no Int. Zero if a factor is zero, however large the others.
func checkedProduct(_ factors: [Int]) -> Int? {
  if factors.contains(0) { return 0 }
  var product = 1
  for factor in factors {
    let (next, overflow) = product.multipliedReportingOverflow(by: factor)
    guard !overflow else { return nil }
    product = next
  }
  return product
}
