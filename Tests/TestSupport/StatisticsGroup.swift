import Foundation
import Networks

/// A `StatisticsExchange` for ranks that are threads of one process, for tests of distributed arithmetic.
public final class StatisticsGroup: @unchecked Sendable {
  // Everything mutable is touched under the lock only.
  private struct Operation {
    var contributions: [[Double]?]
    var collected = 0
  }

  private let rankCount: Int
  private let condition = NSCondition()
  private var operations: [Int: Operation] = [:]

  private init(_ rankCount: Int) { self.rankCount = rankCount }

  /// Runs `body(rank, exchange)` on one thread per rank and returns what they gave, in the order of the ranks.
  public static func run<Result>(
    ranks: Int, _ body: @escaping (_ rank: Int, _ exchange: any StatisticsExchange) throws -> Result
  ) throws -> [Result] {
    let group = StatisticsGroup(ranks)
    let outcome = Outcome<Result>(ranks)
    // Ranks share nothing but the group and the outcome, which lock; this function waits for them all.
    nonisolated(unsafe) let body = body
    let done = DispatchGroup()
    for rank in 0..<ranks {
      done.enter()
      let thread = Thread {
        outcome.set(rank, Swift.Result { try body(rank, Member(group, rank)) })
        done.leave()
      }
      thread.start()
    }
    done.wait()
    return try outcome.all()
  }

  private final class Outcome<Result>: @unchecked Sendable {
    private let lock = NSLock()
    private var results: [Swift.Result<Result, any Error>?]
    init(_ count: Int) { results = Array(repeating: nil, count: count) }
    func set(_ rank: Int, _ result: Swift.Result<Result, any Error>) {
      lock.withLock { results[rank] = result }
    }
    func all() throws -> [Result] { try lock.withLock { try results.map { try $0!.get() } } }
  }

  private final class Member: StatisticsExchange {
    private let group: StatisticsGroup
    private let rank: Int
    private var next = 0
    private var underWay: [Int: (UnsafeMutableBufferPointer<Double>, StatisticsOperation)] = [:]

    init(_ group: StatisticsGroup, _ rank: Int) {
      self.group = group
      self.rank = rank
    }

    func start(_ values: UnsafeMutableBufferPointer<Double>, _ operation: StatisticsOperation)
      -> StatisticsTicket
    {
      let number = next
      next += 1
      underWay[number] = (values, operation)
      group.contribute(Array(values), rank, number)
      return StatisticsTicket(number: number)
    }

    func finish(_ ticket: StatisticsTicket) {
      let (values, operation) = underWay.removeValue(forKey: ticket.number)!
      let parts = group.collect(ticket.number)
      for index in values.indices {
        let column = parts.map { $0[index] }
        switch operation {
        case .sum: values[index] = column.reduce(0, +)
        case .maximum: values[index] = column.max()!
        case .logSumExp:
          let largest = column.max()!
          values[index] =
            largest == -.infinity ? largest : largest + log(column.reduce(0) { $0 + exp($1 - largest) })
        }
      }
    }
  }

  private func contribute(_ values: [Double], _ rank: Int, _ number: Int) {
    condition.withLock {
      var operation = operations[number] ?? Operation(contributions: Array(repeating: nil, count: rankCount))
      operation.contributions[rank] = values
      operations[number] = operation
      condition.broadcast()
    }
  }

  private func collect(_ number: Int) -> [[Double]] {
    condition.withLock {
      while operations[number]!.contributions.contains(where: { $0 == nil }) { condition.wait() }
      let parts = operations[number]!.contributions.map { $0! }
      operations[number]!.collected += 1
      if operations[number]!.collected == rankCount { operations[number] = nil }
      return parts
    }
  }
}
