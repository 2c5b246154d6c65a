/// When a wait for other ranks is a stall, and whose fault.
///
/// A rank that waits in a collective, in either of its lanes, looks at the ranks of its node. It waits on as long as those who have not arrived do
/// what has no natural length (start up, wait for images, validate, write a checkpoint) or show progress. What it cannot
/// see, on other hosts, it judges by its own phase, as all ranks go through the same ones: in a phase without a natural
/// length it is more patient.
struct StallRule {
  /// Seconds without progress that make a stall.
  let timeout: Double
  /// Of every rank of the world.
  let hosts: [String]

  /// By which factor the wait is longer where unseen ranks may be at something without a natural length.
  static let openEndedPatience = 10.0
  /// A process whose watchdog has not run for this share of the time-out does not run at all.
  static let haltedShare = 0.75

  /// Who keeps the others waiting.
  enum Cause {
    /// Processes that do not run.
    case halted([RankStatus])
    /// Processes that run, but have not got further.
    case stuck([RankStatus])
    /// All ranks of this node have arrived; these are on others.
    case unseen([Int])
    /// All ranks have arrived, and none goes on.
    case nobody
  }

  /// A wait that has been too long.
  struct Stall {
    /// In which lane.
    let lane: Lane
    let cause: Cause
  }

  /// Why `own`, one of the ranks of its node that `statuses` describe at time `now`, has waited too long; nil if it has not.
  func stall(_ own: RankStatus, _ statuses: [RankStatus], now: Double) -> Stall? {
    for lane in Lane.allCases {
      if let cause = cause(lane, own, statuses, now: now) { return Stall(lane: lane, cause: cause) }
    }
    return nil
  }

  private func cause(_ lane: Lane, _ own: RankStatus, _ statuses: [RankStatus], now: Double) -> Cause? {
    guard own[lane].isWaiting, now - own[lane].progress >= timeout else { return nil }
    let halted = statuses.filter { now - $0.tick >= Self.haltedShare * timeout }
    if !halted.isEmpty { return .halted(halted) }
    let late = statuses.filter { $0[lane].arrived < own[lane].arrived }
    // Who is late here and waits in its other lane waits too.
    let working = late.filter { !$0.isWaiting }
    if late.contains(where: { now - max($0.progress, $0.isWaiting ? 0 : $0.phaseBegan) < timeout }) {
      return nil
    }
    if working.contains(where: \.phase.isOpenEnded) { return nil }
    if !working.isEmpty { return .stuck(working) }
    // Who is late and waits is not to blame: it waits for the same ranks.
    let unseen = Set(hosts.indices).subtracting(statuses.map(\.rank)).sorted()
    if unseen.isEmpty { return .nobody }
    let patience = own.phase.isOpenEnded ? Self.openEndedPatience : 1
    return now - own[lane].progress >= patience * timeout ? .unseen(unseen) : nil
  }

  /// What failed – where – what to do.
  func message(_ stall: Stall, _ own: RankStatus, now: Double) -> String {
    let wait = own[stall.lane]
    let waited = "rank \(own.rank) on \(hosts[own.rank]) has waited \(seconds(now - wait.progress))"
    let place =
      "\(waited) \(own.phase), step \(own.step), in collective \(wait.arrived) of the lane of \(stall.lane): "
      + "\(wait.collective)"
    return "\(words(stall.cause, now: now)) – \(place) – start again with --resume"
  }

  private func words(_ cause: Cause, now: Double) -> String {
    switch cause {
    case .halted(let ranks):
      "a rank is halted or dead – " + list(ranks) { "has not run for \(seconds(now - $0.tick)); it was last" }
    case .stuck(let ranks):
      "a rank is stalled – " + list(ranks) { "has for \(seconds(now - $0.phaseBegan)) been" }
    case .unseen(let ranks):
      "ranks on other hosts are lost or stalled – all ranks of this host have arrived; not "
        + Set(ranks.map { hosts[$0] }).sorted().map { host in
          "\(describe(ranks.filter { hosts[$0] == host })) on \(host)"
        }.joined(separator: ", ")
    case .nobody: "communication is stalled – all ranks have arrived, none goes on"
    }
  }

  private func list(_ ranks: [RankStatus], _ what: (RankStatus) -> String) -> String {
    ranks.map {
      "rank \($0.rank) (process \($0.process) on \(hosts[$0.rank])) \(what($0)) \($0.phase), step \($0.step)"
    }.joined(separator: "; ")
  }

  private func seconds(_ value: Double) -> String { "\(Int(value.rounded())) s" }
}
