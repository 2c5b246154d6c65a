/// How values are spread: buckets of equal width between the smallest and the largest.
struct Histogram: Equatable {
  /// Extremes of the finite values.
  private(set) var minimum = Double.infinity, maximum = -Double.infinity
  /// How many values are finite, their sum and sum of squares.
  private(set) var count = 0, sum = 0.0, sumOfSquares = 0.0
  /// Values in each bucket; bucket i holds [limits[i−1], limits[i]), the first begins at the minimum, the last
  /// includes the maximum.
  private(set) var counts: [Int] = []

  /// Right ends of the buckets; the last is the maximum.
  var limits: [Double] {
    (1...counts.count).map {
      $0 == counts.count ? maximum : minimum + (maximum - minimum) * Double($0) / Double(counts.count)
    }
  }

  /// Counts the finite ones of `values`; nil if there is none.
  init?(_ values: UnsafeBufferPointer<Float>, bucketCount: Int = 64) {
    precondition(bucketCount > 0, "Histogram: \(bucketCount) buckets")
    for value in values where value.isFinite {
      let value = Double(value)
      minimum = min(minimum, value)
      maximum = max(maximum, value)
      count += 1
      sum += value
      sumOfSquares += value * value
    }
    guard count > 0 else { return nil }
    guard maximum > minimum else {
      counts = [count]
      return
    }
    counts = [Int](repeating: 0, count: bucketCount)
    let scale = Double(bucketCount) / (maximum - minimum)
    for value in values where value.isFinite {
      counts[min(Int((Double(value) - minimum) * scale), bucketCount - 1)] += 1
    }
  }
}
