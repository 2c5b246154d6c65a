import ArgumentParser

/// How long ranks wait for each other: a flag of all commands that run on ranks.
struct StallOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Several ranks: a wait for another that makes no progress for so long ends the job with code 75 and names who is \
      missing. Images, validation and checkpoints may take longer. 0: never.
      """, valueName: "seconds"))
  var stallTimeout = 300.0

  func validate() throws {
    guard stallTimeout == 0 || (1...86_400).contains(stallTimeout) else {
      throw ValidationError("--stall-timeout takes 1 to 86400 seconds, or 0 for never")
    }
  }
}
