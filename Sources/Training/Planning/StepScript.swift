import Communication
import Networks

/// What the training thread of a rank does in one step: computation, and between it what it asks of other ranks and waits for.
///
/// Recorded on a rank alone (`Rehearsal`), so that the times are those of computation; the same for any number of ranks whose
/// shares are as large.
public struct StepScript: Codable, Sendable, Equatable {
  /// Asked of the lanes of communication, or waited for.
  public enum Action: Codable, Sendable, Equatable {
    /// Gradients from this offset of the arena on are final.
    case gradientsReady(offset: Int)
    /// A reduction of statistics is handed over: its number in the step, its bytes.
    case start(Int, bytes: Int)
    /// A reduction of statistics is waited for.
    case wait(Int)
    /// All gradients are waited for.
    case waitForGradients
    /// The update begins.
    case update
  }

  /// Computation, then an action.
  public struct Entry: Codable, Sendable, Equatable {
    /// Seconds of computation since the action before.
    public var seconds: Double
    /// Standard deviation of the computation since the last wait, where this is one; else 0. In seconds.
    public var deviation = 0.0
    /// What follows it.
    public var action: Action
  }

  /// Images of this rank.
  public var images: Int
  /// Floats of the arena of gradients.
  public var gradientCount: Int
  /// In their order.
  public var entries: [Entry]
  /// Seconds of computation after the last action.
  public var tail: Double
  /// Seconds from handing a collective over until the thread that waited for it goes on, if it takes no time itself.
  public var handOver: Double

  /// Seconds of computation in all.
  public var computeSeconds: Double { entries.reduce(tail) { $0 + $1.seconds } }
}

extension StepScript {
  /// One step as a timeline has it, from `begin` to `end`.
  init(_ timeline: Timeline, begin: UInt64, end: UInt64, images: Int, gradientCount: Int) {
    self.images = images
    self.gradientCount = gradientCount
    (entries, tail, handOver) = ([], 0, 0)
    var last = begin
    // Tickets are numbers of a lane.
    var numbers: [Ticket: Int] = [:]
    var waits: [Double] = []
    func add(_ action: Action, at time: UInt64) {
      entries.append(Entry(seconds: Self.seconds(from: last, to: time), action: action))
      last = max(last, time)
    }
    for event in timeline.training.events.sorted(by: { $0.begin < $1.begin }) {
      switch event.kind {
      case .gradientsReady: add(.gradientsReady(offset: event.count), at: event.begin)
      case .submit where event.bucket == 0:
        let ticket = Ticket(lane: event.lane, number: event.ticket)
        numbers[ticket] = numbers.count
        add(.start(numbers[ticket]!, bytes: event.byteCount), at: event.begin)
      case .wait:
        add(
          event.bucket > 0
            ? .waitForGradients : .wait(numbers[Ticket(lane: event.lane, number: event.ticket)] ?? 0),
          at: event.begin)
        waits.append(Self.seconds(from: event.begin, to: event.end))
        last = max(last, event.end)
      case .phase where event.phase == .update: add(.update, at: event.begin)
      case .submit, .phase, .forward, .backward, .collective, .part: break
      }
    }
    tail = Self.seconds(from: last, to: end)
    handOver = median(waits)
  }

  private struct Ticket: Hashable {
    let lane: Lane
    let number: UInt64
  }

  private static func seconds(from begin: UInt64, to end: UInt64) -> Double {
    end > begin ? Double(end - begin) * 1e-9 : 0
  }

  /// The usual one of several recordings of the same step: medians piece by piece, brought to the median of the whole; and how much
  /// the pieces between waits vary.
  /// - Returns: nil if the recordings are not of the same actions.
  static func usual(of scripts: [StepScript]) -> StepScript? {
    guard var result = scripts.first, scripts.allSatisfy({ $0.hasActions(of: result) }) else { return nil }
    for index in result.entries.indices {
      result.entries[index].seconds = median(scripts.map { $0.entries[index].seconds })
    }
    result.tail = median(scripts.map(\.tail))
    result.handOver = median(scripts.map(\.handOver))
    let sum = result.computeSeconds
    if sum > 0 { result.scale(by: median(scripts.map(\.computeSeconds)) / sum) }
    let pieces = scripts.map(\.secondsBeforeWaits)
    for (piece, index) in result.waitIndices.enumerated() {
      result.entries[index].deviation = robustDeviation(pieces.map { $0[piece] })
    }
    return result
  }

  private func hasActions(of other: StepScript) -> Bool {
    entries.map(\.action) == other.entries.map(\.action)
  }

  /// The same with computation that takes longer.
  func slowed(by factor: Double) -> StepScript {
    var result = self
    result.scale(by: factor)
    return result
  }

  private mutating func scale(by factor: Double) {
    for index in entries.indices { entries[index].seconds *= factor }
    tail *= factor
  }

  private var waitIndices: [Int] {
    entries.indices.filter {
      switch entries[$0].action {
      case .wait, .waitForGradients: true
      case .gradientsReady, .start, .update: false
      }
    }
  }

  private var secondsBeforeWaits: [Double] {
    var sums: [Double] = []
    var begin = 0
    for index in waitIndices {
      sums.append(entries[begin...index].reduce(0) { $0 + $1.seconds })
      begin = index + 1
    }
    return sums
  }

  /// The step of another number of images, from recordings of at least one: between two they are interpolated, piece by piece; beyond them
  /// the line through the nearest two goes on. From a single one everything but the update grows with the images.
  /// - Parameter scripts: of the same actions, in ascending order of images.
  static func estimate(images: Int, from scripts: [StepScript]) -> StepScript {
    precondition(!scripts.isEmpty && zip(scripts, scripts.dropFirst()).allSatisfy { $0.images < $1.images })
    guard scripts.count > 1 else { return scripts[0].scaled(to: images) }
    let upper = scripts.indices.dropFirst().first { scripts[$0].images >= images } ?? scripts.count - 1
    let (a, b) = (scripts[upper - 1], scripts[upper])
    let t = Double(images - a.images) / Double(b.images - a.images)
    func mix(_ x: Double, _ y: Double) -> Double { max(0, x + t * (y - x)) }
    var result = a
    result.images = images
    for index in result.entries.indices {
      result.entries[index].seconds = mix(a.entries[index].seconds, b.entries[index].seconds)
      result.entries[index].deviation = mix(a.entries[index].deviation, b.entries[index].deviation)
    }
    result.tail = mix(a.tail, b.tail)
    result.handOver = mix(a.handOver, b.handOver)
    return result
  }

  private func scaled(to count: Int) -> StepScript {
    let factor = Double(count) / Double(images)
    var result = self
    result.images = count
    for index in entries.indices {
      if case .update = entries[index].action {
        result.entries[index].seconds *= factor
        break
      }
      result.entries[index].seconds *= factor
      result.entries[index].deviation *= factor
    }
    return result
  }
}

/// Standard deviation from the quartiles: a few outliers, which other programs cause, do not count.
func robustDeviation(_ values: [Double]) -> Double {
  guard values.count >= 4 else { return 0 }
  let sorted = values.sorted()
  func quantile(_ share: Double) -> Double {
    let place = share * Double(sorted.count - 1)
    let lower = Int(place)
    let upper = min(lower + 1, sorted.count - 1)
    return sorted[lower] + (place - Double(lower)) * (sorted[upper] - sorted[lower])
  }
  return (quantile(0.75) - quantile(0.25)) / 1.349
}
