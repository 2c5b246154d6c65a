import Datasets
import Foundation

/// What a checkpoint says of itself in `state.json`, beside the arrays.
public struct CheckpointState: Codable, Equatable, Sendable {
  /// Version of the directory's layout; a reader refuses what is newer than it knows.
  public static let currentFormatVersion = 3

  /// Version of the directory's layout.
  public var formatVersion = Self.currentFormatVersion
  /// Version of the program that wrote it.
  public var programVersion: String
  /// The run's whole configuration, resolved.
  public var configuration: TrainingConfiguration
  /// Optimiser steps done.
  public var step: Int
  /// Epoch in which the next step lies, from 1.
  public var epoch: Int
  /// Steps of that epoch already done.
  public var stepInEpoch: Int
  /// Names of the classes, in the order of the logits.
  public var classNames: [String]
  /// Number of logits L.
  public var outputs: Int
  /// Learned values, without padding.
  public var parameterCount: Int
  /// How images become inputs; the mean itself lies beside the weights as `preprocessing.mean`.
  public var preprocessing: Preprocessing
  /// Fingerprint of the data set, hexadecimal.
  public var dataFingerprint: String
  /// Accuracy of the last validation before this checkpoint.
  public var validationAccuracy: Double?

  /// A state of an earlier version as the present one would have it; nil if there is nothing to change. Version 1 knew
  /// the filter loss in its literal form only, versions 1 and 2 no reproducible runs.
  static func upgraded(_ object: [String: Any], from version: Int) -> [String: Any]? {
    guard version < 3, var configuration = object["configuration"] as? [String: Any] else { return nil }
    let defaults = TrainingConfiguration()
    if version < 2 {
      configuration["filter-loss"] = TrainingConfiguration.FilterLossForm.literal.rawValue
      configuration["score-scale"] = defaults.scoreScale
    }
    configuration["reproducible"] = false
    configuration["shards"] = defaults.shards
    var result = object
    result["configuration"] = configuration
    return result
  }

  /// All fields.
  public init(
    programVersion: String, configuration: TrainingConfiguration, step: Int, epoch: Int, stepInEpoch: Int,
    classNames: [String], outputs: Int, parameterCount: Int, preprocessing: Preprocessing,
    dataFingerprint: String, validationAccuracy: Double?
  ) {
    self.programVersion = programVersion
    self.configuration = configuration
    self.step = step
    self.epoch = epoch
    self.stepInEpoch = stepInEpoch
    self.classNames = classNames
    self.outputs = outputs
    self.parameterCount = parameterCount
    self.preprocessing = preprocessing
    self.dataFingerprint = dataFingerprint
    self.validationAccuracy = validationAccuracy
  }

  /// Refuses what no training writes, so that nobody builds a network or an image of it.
  ///
  /// - Throws: `CheckpointError.damaged`.
  func requireSense(path: String) throws(CheckpointError) {
    func require(_ holds: Bool, _ what: String) throws(CheckpointError) {
      if !holds { throw .damaged(path: path, reason: what) }
    }
    do throws(ConfigurationError) { try configuration.validate(ranks: 1) } catch {
      throw .damaged(path: path, reason: "\(error)")
    }
    try require(step >= 0 && epoch >= 1 && stepInEpoch >= 0, "its position is step \(step) of epoch \(epoch)")
    let labels = classNames.count
    try require(
      (2...65_536).contains(labels) && (outputs == labels || (outputs == 1 && labels == 2)),
      "it has \(outputs) outputs for \(labels) classes")
    let size = preprocessing.imageSize
    try require(
      (1...4096).contains(size) && size == configuration.imageSize ?? size,
      "its images have \(size) pixels, those of its configuration \(configuration.imageSize ?? 0)")
    let count = preprocessing.meanKind == .pixel ? size * size * 3 : 3
    try require(
      preprocessing.mean.count == count && preprocessing.scale.count == 3
        && (preprocessing.mean + preprocessing.scale).allSatisfy(\.isFinite),
      "its preprocessing has \(preprocessing.mean.count) means and \(preprocessing.scale.count) factors")
  }
}
