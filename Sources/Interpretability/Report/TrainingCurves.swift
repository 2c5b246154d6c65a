import Foundation

/// How a network learned: the numbers of a run's `metrics.jsonl` over its steps.
public struct TrainingCurves: Codable, Sendable, Equatable {
  /// One number over the steps.
  public struct Curve: Codable, Sendable, Equatable {
    /// At optimiser steps, ascending.
    public var steps: [Int] = []
    /// Finite values at these steps.
    public var values: [Double] = []

    /// An empty curve.
    public init() {}

    mutating func append(_ value: Double?, at step: Int) {
      guard let value, value.isFinite else { return }
      steps.append(step)
      values.append(value)
    }

    mutating func forget(after step: Int) {
      guard let first = steps.firstIndex(where: { $0 > step }) else { return }
      steps.removeSubrange(first...)
      values.removeSubrange(first...)
    }

    /// The points that are finite.
    var finite: Curve {
      var result = Curve()
      for (step, value) in zip(steps, values) { result.append(value, at: step) }
      return result
    }

    /// At most `limit` points: means of neighbouring ones.
    func thinned(to limit: Int) -> Curve {
      guard steps.count > limit, limit > 0 else { return self }
      var result = Curve()
      for index in 0..<limit {
        let range = index * steps.count / limit..<(index + 1) * steps.count / limit
        result.steps.append(steps[range].reduce(0, +) / range.count)
        result.values.append(values[range].reduce(0, +) / Double(range.count))
      }
      return result
    }
  }

  /// Of training steps: both losses together, the filter loss alone, accuracy, learning rate.
  public var loss = Curve(), filterLoss = Curve(), accuracy = Curve(), learningRate = Curve()
  /// Of validations.
  public var validationLoss = Curve(), validationAccuracy = Curve()
  /// Lines of the log that are no JSON objects: left by a disk that was full or a machine that went down.
  public var unreadableLines = 0

  /// Nothing.
  public init() {}

  /// Reads a run's log. What a resumed run did again counts as the later process did it.
  ///
  /// - Throws: `ReportError.unreadableLog` if the file cannot be read.
  public init(metricsFile path: String) throws(ReportError) {
    let data: Data
    do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
      throw .unreadableLog(path: path, reason: (error as NSError).localizedDescription)
    }
    let decoder = JSONDecoder()
    for line in data.split(separator: UInt8(ascii: "\n")) {
      guard let event = try? decoder.decode(Event.self, from: Data(line)) else {
        unreadableLines += 1
        continue
      }
      take(event)
    }
  }

  private struct Event: Decodable {
    let event: String
    let step: Int?
    let loss, accuracy: Double?
    let filterLoss, learningRate: Double?

    enum CodingKeys: String, CodingKey {
      case event, step, loss, accuracy
      case filterLoss = "filter_loss"
      case learningRate = "learning_rate"
    }
  }

  private mutating func take(_ event: Event) {
    guard let step = event.step else { return }
    switch event.event {
    case "start": forget(after: step)
    case "step":
      loss.append(event.loss, at: step)
      filterLoss.append(event.filterLoss, at: step)
      accuracy.append(event.accuracy, at: step)
      learningRate.append(event.learningRate, at: step)
    case "validation":
      validationLoss.append(event.loss, at: step)
      validationAccuracy.append(event.accuracy, at: step)
    default: break
    }
  }

  private mutating func forget(after step: Int) {
    loss.forget(after: step)
    filterLoss.forget(after: step)
    accuracy.forget(after: step)
    learningRate.forget(after: step)
    validationLoss.forget(after: step)
    validationAccuracy.forget(after: step)
  }
}
