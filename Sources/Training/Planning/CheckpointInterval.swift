import Foundation

/// How often to write checkpoints on machines that fail now and then.
///
/// J. W. Young, "A first order approximation to the optimum checkpoint interval", CACM 17 (1974); J. T. Daly, "A higher order estimate of the optimum
/// checkpoint interval for restart dumps", FGCS 22 (2006).
public struct CheckpointInterval: Codable, Sendable, Equatable {
  /// Seconds of training between two checkpoints, after Young: √(2 δ M).
  public var youngSeconds: Double
  /// The same after Daly (equation 37): √(2 δ M) (1 + ⅓ √(δ / 2M) + ⅑ δ / 2M) − δ; M where δ ≥ 2M.
  public var dalySeconds: Double
  /// Time that checkpoints, lost work and restarts take, per time of training, with Daly's interval (equation 20).
  public var overhead: Double
  /// Mean seconds between failures of the whole job.
  public var jobMeanTimeBetweenFailures: Double

  /// - Parameters:
  ///   - nodeMeanTimeBetweenFailures: of one node; nodes fail independently, and one ends the job.
  ///   - checkpointSeconds: δ, all ranks waiting meanwhile.
  ///   - restartSeconds: from a failure until training goes on.
  public init(
    nodeMeanTimeBetweenFailures: Double, nodes: Int, checkpointSeconds delta: Double, restartSeconds: Double
  ) {
    let mean = nodeMeanTimeBetweenFailures / Double(nodes)
    let young = (2 * delta * mean).squareRoot()
    let ratio = delta / (2 * mean)
    let daly = ratio < 1 ? young * (1 + ratio.squareRoot() / 3 + ratio / 9) - delta : mean
    jobMeanTimeBetweenFailures = mean
    youngSeconds = young
    dalySeconds = daly
    overhead = mean * exp(restartSeconds / mean) * expm1((daly + delta) / mean) / daly - 1
  }
}
