import Foundation
import Networks

/// N ranks on N threads: the exchange of each reduces with those of the others, in the order of the ranks, so that
/// results do not depend on the threads' timing.
///
/// Operations are matched by their number in each rank's order of starts, as in a message-passing system.
public final class ThreadedStatistics: @unchecked Sendable {
  // Sendable by proof: all shared fields are read and written with `condition` locked.
  private struct Operation {
    var kind: StatisticsOperation
    var contributions: [[Double]?]
    var result: [Double]?
    var readers = 0
  }

  private let condition = NSCondition()
  private let size: Int
  private var operations: [Int: Operation] = [:]

  private init(size: Int) { self.size = size }

  /// Runs `body(rank, exchange)` on `size` threads and returns the results in the order of the ranks.
  ///
  /// Traps if a rank waits longer than 20 seconds for another: the ranks' calls do not match.
  public static func run<Result: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (Int, any StatisticsExchange) throws -> Result
  ) throws -> [Result] {
    let group = ThreadedStatistics(size: size)
    let results = Results<Result>(size)
    let threads = (0..<size).map { rank in
      Thread {
        let outcome = Swift.Result { try body(rank, RankExchange(group, rank)) }
        results.set(rank, outcome)
      }
    }
    for thread in threads {
      thread.stackSize = 8 << 20
      thread.start()
    }
    return try results.wait().map { try $0.get() }
  }

  /// Reductions that a rank has started and not finished.
  public static func pendingCount(_ exchange: any StatisticsExchange) -> Int {
    (exchange as? RankExchange)?.pending.count ?? 0
  }

  fileprivate func start(_ number: Int, rank: Int, _ values: [Double], _ kind: StatisticsOperation) {
    condition.lock()
    defer { condition.unlock() }
    var operation =
      operations[number] ?? Operation(kind: kind, contributions: Array(repeating: nil, count: size))
    precondition(operation.kind == kind, "operation \(number): ranks disagree on its kind")
    operation.contributions[rank] = values
    let all = operation.contributions.compactMap { $0 }
    precondition(all.allSatisfy { $0.count == values.count }, "operation \(number): counts differ")
    if all.count == size { operation.result = Self.reduce(all, kind) }
    operations[number] = operation
    condition.broadcast()
  }

  fileprivate func finish(_ number: Int) -> [Double] {
    condition.lock()
    defer { condition.unlock() }
    let deadline = Date(timeIntervalSinceNow: 20)
    while operations[number]?.result == nil {
      precondition(condition.wait(until: deadline), "operation \(number): a rank never started it")
    }
    guard let result = operations[number]?.result else { preconditionFailure("operation \(number) vanished") }
    operations[number]?.readers += 1
    if operations[number]?.readers == size { operations[number] = nil }
    return result
  }

  private static func reduce(_ all: [[Double]], _ kind: StatisticsOperation) -> [Double] {
    all[0].indices.map { index in
      let values = all.map { $0[index] }
      switch kind {
      case .sum: return values.reduce(0, +)
      case .maximum: return values.reduce(-.infinity, max)
      case .logSumExp:
        let largest = values.reduce(-.infinity, max)
        return largest == -.infinity
          ? largest : largest + log(values.reduce(0) { $0 + exp($1 - largest) })
      }
    }
  }
}

private final class RankExchange: StatisticsExchange {
  private let group: ThreadedStatistics
  private let rank: Int
  private var started = 0
  fileprivate private(set) var pending: [Int: UnsafeMutableBufferPointer<Double>] = [:]

  init(_ group: ThreadedStatistics, _ rank: Int) {
    self.group = group
    self.rank = rank
  }

  func start(_ values: UnsafeMutableBufferPointer<Double>, _ operation: StatisticsOperation)
    -> StatisticsTicket
  {
    let number = started
    started += 1
    pending[number] = values
    group.start(number, rank: rank, Array(values), operation)
    return StatisticsTicket(number: number)
  }

  func finish(_ ticket: StatisticsTicket) {
    guard let values = pending.removeValue(forKey: ticket.number) else {
      preconditionFailure("ticket \(ticket.number) is not under way")
    }
    _ = values.update(fromContentsOf: group.finish(ticket.number))
  }
}

private final class Results<Value>: @unchecked Sendable {
  // Sendable by proof: every access locks `condition`.
  private let condition = NSCondition()
  private var values: [Swift.Result<Value, any Error>?]

  init(_ count: Int) { values = Array(repeating: nil, count: count) }

  func set(_ index: Int, _ value: Swift.Result<Value, any Error>) {
    condition.lock()
    values[index] = value
    condition.broadcast()
    condition.unlock()
  }

  func wait() -> [Swift.Result<Value, any Error>] {
    condition.lock()
    defer { condition.unlock() }
    while values.contains(where: { $0 == nil }) { condition.wait() }
    return values.compactMap { $0 }
  }
}
