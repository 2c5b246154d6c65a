import Communication
import Foundation

/// All-reduces of several sizes, measured, and the link that explains them.
public struct LinkFit: Codable, Sendable {
  /// One size.
  public struct Sample: Codable, Sendable, Equatable {
    /// Of the values on a rank.
    public var bytes: Int
    /// Median of an all-reduce, many being under way one after the other.
    public var seconds: Double
  }

  /// Ranks that took part.
  public var ranks: Int
  /// In ascending order of sizes.
  public var samples: [Sample]
  /// Least squares of relative errors.
  public var link: LinkModel
  /// Largest relative error of the link at a sample.
  public var worstError: Double

  /// The link that explains the samples best.
  /// - Returns: nil if they say nothing: fewer than two.
  init?(_ samples: [Sample], ranks: Int) {
    guard samples.count >= 2, ranks > 1, samples.allSatisfy({ $0.seconds > 0 }) else { return nil }
    let rows = samples.map { sample in
      let load = LinkModel.Load.allReduce(bytes: sample.bytes, ranks: ranks)
      return (a: load.messages / sample.seconds, b: load.bytes / sample.seconds)
    }
    // Normal equations of Σ (a·latency + b·secondsPerByte − 1)².
    let (aa, ab, bb) = rows.reduce(into: (0.0, 0.0, 0.0)) {
      $0.0 += $1.a * $1.a
      $0.1 += $1.a * $1.b
      $0.2 += $1.b * $1.b
    }
    let (a1, b1) = rows.reduce(into: (0.0, 0.0)) {
      $0.0 += $1.a
      $0.1 += $1.b
    }
    let determinant = aa * bb - ab * ab
    var latency = determinant > 0 ? (a1 * bb - b1 * ab) / determinant : 0
    var perByte = determinant > 0 ? (b1 * aa - a1 * ab) / determinant : b1 / bb
    // Neither can be negative: the other alone then explains the most.
    if latency < 0 { (latency, perByte) = (0, b1 / bb) }
    if perByte < 0 { (latency, perByte) = (a1 / aa, 1e-15) }
    let link = LinkModel(latency: latency, bitsPerSecond: 8 / perByte)
    self.ranks = ranks
    self.samples = samples
    self.link = link
    worstError =
      samples.map {
        abs(link.seconds(.allReduce(bytes: $0.bytes, ranks: ranks)) / $0.seconds - 1)
      }.max() ?? 0
  }

  /// Measures all-reduces from 64 bytes to 16 MiB among the ranks of `communicator`, which all call it.
  static func measure(_ communicator: any Communicator) throws -> LinkFit? {
    guard communicator.size > 1 else { return nil }
    let largest = 16 << 20
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: largest / 4)
    defer { values.deallocate() }
    values.initialize(repeating: 0)
    let exchange = communicator.gradientExchange(.plain, .float32)
    var samples: [Sample] = []
    for bytes in [64, 1 << 10, 1 << 13, 1 << 16, 1 << 18, 1 << 20, 4 << 20, largest] {
      let repetitions = bytes <= 1 << 16 ? 50 : bytes <= 1 << 20 ? 5 : 2
      let buffer = UnsafeMutableBufferPointer(rebasing: values[..<(bytes / 4)])
      var seconds: [Double] = []
      for _ in 0..<(bytes <= 1 << 20 ? 5 : 3) {
        try communicator.barrier()
        let begin = Timeline.now
        for _ in 0..<repetitions { exchange.start(buffer) }
        try exchange.finish()
        seconds.append(Double(Timeline.now - begin) * 1e-9 / Double(repetitions))
      }
      samples.append(Sample(bytes: bytes, seconds: median(seconds)))
    }
    // The ranks' clocks differ; the slowest one's time is that of all.
    let slowest = try communicator.allReduce(samples.map(\.seconds), .maximum)
    return LinkFit(
      zip(samples, slowest).map { Sample(bytes: $0.bytes, seconds: $1) }, ranks: communicator.size)
  }
}
