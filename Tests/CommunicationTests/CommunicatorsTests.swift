import Communication
import Testing

@Suite struct CommunicatorsTests {
  @Test func aProcessWithoutALauncherIsAlone() throws {
    let communicator = try Communicators.start(launch: LaunchEnvironment { _ in nil })
    #expect(communicator is SingleProcess)
  }

  @Test func srunWithoutPMIxIsRefused() throws {
    let variables = ["SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4"]
    let error = #expect(throws: CommunicationError.self) {
      try Communicators.start(launch: LaunchEnvironment { variables[$0] })
    }
    #expect(error?.exitCode == 78)
    #expect(
      error?.description.contains("srun started 4 tasks without PMIx; start them with `srun --mpi=pmix`")
        == true)
  }
}
