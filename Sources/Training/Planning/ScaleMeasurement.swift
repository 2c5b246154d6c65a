import Communication
import Foundation
import Networks
import Tensors

/// What a plan is made from: the computation of a rank, and among several what they need to meet.
public struct ScaleMeasurement: Codable, Sendable {
  /// Name of the architecture.
  public var network: String
  /// With interpretable filters.
  public var interpretable: Bool
  /// Side of the input.
  public var imageSize: Int
  /// Learned values.
  public var parameters: Int
  /// Of each rank.
  public var threads: Int
  /// That computed at the same time.
  public var ranks: Int
  /// Of these on the fullest host.
  public var ranksPerNode: Int
  /// Steps that each script comes from.
  public var steps: Int
  /// In ascending order of images, as the slowest rank runs them.
  public var scripts: [StepScript]
  /// Bytes that a thread reads and writes per second.
  public var memoryBytesPerSecond: Double
  /// Nil unless several ranks measured.
  public var link: LinkFit?
  /// Factor by which a step takes longer while this rank's lane of gradients is busy with others.
  public var overlapSlowdown: Double
}

extension ScaleMeasurement {
  /// Measures shares of so many images, one after the other, on all ranks at once; all call it.
  /// - Parameter progress: told what is next.
  public static func take(
    _ configuration: TrainingConfiguration, _ architecture: Architecture, classes: Int, shares: [Int],
    steps: Int, warmupSteps: Int, _ communicator: any Communicator, progress: (String) -> Void
  ) throws -> ScaleMeasurement {
    let limits = MachineLimits.measure()
    var scripts: [StepScript] = []
    var overlapSlowdown = 1.0
    var parameters = 0
    progress("all-reduces from 64 bytes to 16 MiB")
    let link = try LinkFit.measure(communicator)
    for share in Set(shares).sorted() {
      progress("\(steps) steps on \(share) image\(share == 1 ? "" : "s")")
      let rehearsal = try StepRehearsal(configuration, architecture, classes: classes, images: share)
      parameters = rehearsal.parameterCount
      try communicator.barrier()
      let own = try rehearsal.record(steps: steps, warmupSteps: warmupSteps)
      let slowest = try communicator.allReduce([own.computeSeconds], .maximum)[0]
      scripts.append(own.slowed(by: slowest / own.computeSeconds))
      if let link, share == shares.max() {
        progress("steps while all-reduces are under way")
        overlapSlowdown = try slowdown(of: rehearsal, stepSeconds: slowest, link, communicator)
      }
    }
    return ScaleMeasurement(
      network: configuration.network, interpretable: configuration.interpretable,
      imageSize: configuration.imageSize ?? architecture.imageSize, parameters: parameters,
      threads: CPU.threadCount, ranks: communicator.size,
      ranksPerNode: try Int(communicator.allReduce([Double(communicator.localSize)], .maximum)[0]),
      steps: steps, scripts: scripts, memoryBytesPerSecond: limits.copyBytesPerSecond, link: link,
      overlapSlowdown: overlapSlowdown)
  }

  /// Time of steps during which the lane of gradients is never idle, per time of steps without it; of the slowest rank, and 1 at least.
  private static func slowdown(
    of rehearsal: StepRehearsal, stepSeconds: Double, _ link: LinkFit, _ communicator: any Communicator
  ) throws -> Double {
    guard let sample = link.samples.last else { return 1 }
    // Enough for three steps at half the speed; the ring of a lane has 256 places.
    let count = try Int(
      communicator.allReduce([min(200, (6 * stepSeconds / sample.seconds).rounded(.up))], .maximum)[0])
    let stepCount = max(1, min(3, Int(Double(count) * sample.seconds / (2 * stepSeconds))))
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: sample.bytes / 4)
    defer { values.deallocate() }
    values.initialize(repeating: 0)
    let exchange = communicator.gradientExchange(.plain, .float32)
    let alone = median(try rehearsal.time(steps: 3))
    try communicator.barrier()
    for _ in 0..<count { exchange.start(values) }
    let disturbed = median(try rehearsal.time(steps: stepCount))
    try exchange.finish()
    return try max(1, communicator.allReduce([disturbed / alone], .maximum)[0])
  }
}
