/// One fixed order of additions: the first half of the numbers, the second half, and the sum of the two, all the way
/// down. Halves are cut at a power of two, so that a run of 2ᵏ numbers that begins at a multiple of 2ᵏ is a branch of its
/// own: whoever holds it can add it up alone, and nobody sees from the bits who did.
enum ReductionTree {
  /// Numbers that all branches hold in the caches at a time.
  private static let blockLength = 2048

  /// buffers[0][i] = the reduction of buffers[0...][i]. The other buffers are used up.
  static func reduce<Element: ReducibleElement>(
    _ buffers: [UnsafeMutablePointer<Element>], count: Int, _ operation: ReductionOperation
  ) {
    for start in stride(from: 0, to: count, by: blockLength) {
      let length = min(blockLength, count - start)
      // Branches of 1, 2, 4, … numbers.
      var width = 1
      while width < buffers.count {
        for left in stride(from: 0, to: buffers.count - width, by: 2 * width) {
          operation.combine(into: buffers[left] + start, buffers[left + width] + start, count: length)
        }
        width *= 2
      }
    }
  }
}
