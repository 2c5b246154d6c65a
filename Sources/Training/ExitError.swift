import Communication
import Foundation

/// An error that ends the program with a given code. Every error that reaches the command line becomes one.
public struct ExitError: Error, CustomStringConvertible {
  /// sysexits code.
  public let code: Int32
  /// What failed – where – what to do.
  public let description: String
  /// True when all ranks throw the same error at the same place: rank 0 speaks for all, and every rank ends in
  /// good order. Otherwise the rank that throws ends all ranks.
  public let isShared: Bool

  /// An error with its exit code.
  public init(code: Int32, _ description: String, isShared: Bool = false) {
    self.code = code
    self.description = description
    self.isShared = isShared
  }

  /// Gives any error its exit code: 70 for what nobody foresaw.
  public init(_ error: any Error) {
    switch error {
    case let error as ExitError: self = error
    case let error as any ErrorWithExitCode: self.init(code: error.exitCode, "\(error)")
    default: self.init(code: 70, "\(error)")
    }
  }
}

/// An error that knows the program's exit code.
public protocol ErrorWithExitCode: Error, CustomStringConvertible {
  /// sysexits code.
  var exitCode: Int32 { get }
}

extension CheckpointError: ErrorWithExitCode {}
extension ConfigurationError: ErrorWithExitCode {}
extension CommunicationError: ErrorWithExitCode {}

/// Runs `body` on every rank and fails on all of them if it failed on any.
///
/// What can fail on one rank alone (its disk, its files) must not leave the others waiting. All ranks learn of every
/// failure; the error thrown names the ranks unless all failed alike.
public func onAllRanks<Result>(_ communicator: any Communicator, _ body: () throws -> Result) throws -> Result
{
  var failure: ExitError?
  var result: Result?
  do { result = try body() } catch { failure = ExitError(error) }
  if communicator.size == 1 {
    if let failure { throw failure }
    return result!
  }
  let words = failure.map { Array("\($0.code) \($0.description)".utf8) } ?? []
  let all = try communicator.allGather(words).map { String(decoding: $0, as: UTF8.self) }
  let failures = all.enumerated().filter { !$0.element.isEmpty }
  guard let first = failures.first else { return result! }
  let parts = first.element.split(separator: " ", maxSplits: 1)
  let isCommon = failures.count == all.count && Set(all).count == 1
  let ranks = failures.map { String($0.offset) }.joined(separator: ", ")
  throw ExitError(
    code: Int32(parts[0]) ?? 70, (isCommon ? "" : "rank \(ranks): ") + (parts.count > 1 ? parts[1] : ""),
    isShared: true)
}
