import Testing

@testable import Communication

@Suite struct ShardPhasesTests {
  @Test func theProcessShowsThePhaseOfTheShardFurthestBehind() {
    let process = Heartbeat()
    let phases = ShardPhases(count: 3, of: process)
    #expect(process.status.phase == .starting)
    // Two shards have their images and compute; the third still waits for its own.
    for index in [0, 1, 2] { phases.enter(index, .loading, step: 4) }
    phases.enter(0, .forward, step: 4)
    phases.enter(1, .forward, step: 4)
    phases.enter(1, .backward, step: 4)
    #expect(process.status.phase == .loading && process.status.step == 4)
    let began = process.status.phaseBegan
    phases.enter(2, .forward, step: 4)
    #expect(process.status.phase == .forward && process.status.phaseBegan > began)
    phases.enter(0, .backward, step: 4)
    #expect(process.status.phase == .forward)
    phases.enter(2, .backward, step: 5)
    #expect(process.status.phase == .backward && process.status.step == 5)
  }

  @Test(arguments: [1, 2, 4])
  func shardsOfAGroupShowWhatTheyDo(processes: Int) throws {
    let seen = try InProcessGroup.run(size: processes) { outer in
      try ShardGroup.run(count: 4, on: outer, concurrency: 1) { shard in
        shard.heartbeat.enter(.loading, step: 7)
        if shard.localRank > 0 { shard.heartbeat.enter(.validation, step: 7) }
        try shard.barrier()
        let before = outer.heartbeat.status
        try shard.barrier()
        if shard.localRank == 0 { shard.heartbeat.enter(.validation, step: 8) }
        let after = outer.heartbeat.status
        return [(before.phase, before.step), (after.phase, after.step)]
      }
    }
    for phases in seen {
      #expect(phases[0] == (.loading, 7))
      #expect(phases[1] == (.validation, 8))
    }
  }
}
