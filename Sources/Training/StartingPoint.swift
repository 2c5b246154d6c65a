import Communication
import Datasets
import Foundation
import Networks
import Weights

/// What a run begins with, alike on all ranks: of a checkpoint, of initial weights, or of neither.
struct StartingPoint {
  /// The configuration with the widths of what is loaded; of a checkpoint, also with its size of buckets if none is given.
  let configuration: TrainingConfiguration
  /// Rank 0 only: how images become inputs, if that is known.
  let preprocessing: Preprocessing?
  /// Rank 0 only: the initial weights.
  let weights: WeightsFile?

  /// All ranks call it; rank 0 looks into the files.
  ///
  /// - Throws: on all ranks, if the weights cannot be read or are of another network.
  init(
    _ resolved: TrainingConfiguration, _ architecture: Architecture, _ checkpoint: Checkpoint?,
    _ communicator: any Communicator
  ) throws {
    let found = try onAllRanks(communicator) { () throws -> Found in
      guard communicator.rank == 0 else { return Found() }
      if let checkpoint {
        let before = checkpoint.state.configuration
        return Found(
          Shared(
            widths: resolved.widths ?? before.widths,
            bucketSize: resolved.bucketSize == .automatic ? before.bucketSize : resolved.bucketSize),
          preprocessing: checkpoint.state.preprocessing)
      }
      guard let path = resolved.initialWeights else {
        return Found(Shared(widths: resolved.widths, bucketSize: resolved.bucketSize))
      }
      return try Found(WeightsFile.open(path), resolved, architecture)
    }
    let mine = communicator.rank == 0 ? Array(try JSONEncoder().encode(found.shared)) : []
    let shared = try JSONDecoder().decode(Shared.self, from: Data(try communicator.allGather(mine)[0]))
    var configuration = resolved
    configuration.widths = shared.widths
    configuration.bucketSize = shared.bucketSize
    self.configuration = configuration
    preprocessing = found.preprocessing
    weights = found.weights
  }

  /// One line on what the initial weights brought beside themselves; nil if nothing, and on other ranks.
  var notice: String? {
    guard weights != nil else { return nil }
    let widths = configuration.widths.map { "\($0.count) layers have the widths of the initial weights" }
    let inputs =
      preprocessing == nil
      ? nil : "images become inputs as they did for the initial weights (otherwise: --preprocessing measured)"
    let parts = [widths, inputs].compactMap { $0 }
    return parts.isEmpty ? nil : parts.joined(separator: "; ")
  }

  /// Of the configuration, what all ranks are told.
  private struct Shared: Codable {
    var widths: [String: Int]?
    var bucketSize = BucketSize.automatic
  }

  private struct Found {
    var shared: Shared
    var preprocessing: Preprocessing?
    var weights: WeightsFile?

    init(_ shared: Shared = Shared(), preprocessing: Preprocessing? = nil) {
      self.shared = shared
      self.preprocessing = preprocessing
    }

    init(_ file: WeightsFile, _ configuration: TrainingConfiguration, _ architecture: Architecture) throws {
      let match = ArchitectureMatch(architecture, file)
      // Of a file of another network whatever fits by name and shape is taken, but not its widths.
      shared = Shared(
        widths: configuration.widths ?? match?.widths, bucketSize: configuration.bucketSize)
      if configuration.preprocessing != .measured {
        preprocessing = file.preprocessing(for: match)?.adapted(
          to: configuration.imageSize ?? architecture.imageSize)
      }
      weights = file
    }
  }
}
