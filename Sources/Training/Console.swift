import Foundation
import Glibc

/// What rank 0 tells the person at the terminal; the other ranks are silent.
///
/// At a terminal a progress line is rewritten in place; elsewhere progress is a plain line now and then.
public final class Console {
  /// False on every rank but 0.
  public let isSpeaking: Bool
  private let isTerminal: Bool
  private var lastProgress = ContinuousClock.now - .seconds(3600)
  private var progressWidth = 0

  /// A console that speaks only if `isSpeaking`.
  public init(isSpeaking: Bool) {
    self.isSpeaking = isSpeaking
    isTerminal = isSpeaking && isatty(STDERR_FILENO) == 1
  }

  /// A line that stays.
  public func line(_ text: String) {
    guard isSpeaking else { return }
    clearProgress()
    Self.write(text + "\n")
  }

  /// A warning line that stays.
  public func warning(_ text: String) { line("warning: " + text) }

  /// The state of long work; `text` is evaluated only when it is shown: ten times a second at a terminal, every
  /// ten seconds elsewhere.
  public func progress(_ text: () -> String) {
    guard isSpeaking else { return }
    let now = ContinuousClock.now
    guard now - lastProgress >= (isTerminal ? .milliseconds(100) : .seconds(10)) else { return }
    lastProgress = now
    let text = text()
    if isTerminal {
      let padding = String(repeating: " ", count: max(0, progressWidth - text.count))
      Self.write("\r" + text + padding)
      progressWidth = text.count
    } else {
      Self.write(text + "\n")
    }
  }

  private func clearProgress() {
    guard isTerminal, progressWidth > 0 else { return }
    Self.write("\r" + String(repeating: " ", count: progressWidth) + "\r")
    progressWidth = 0
  }

  private static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
