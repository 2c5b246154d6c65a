import Communication
import Testing

/// A set of variables as a launcher leaves it, and what it means.
private struct LaunchCase: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let variables: [String: String]
  let launcher: LaunchEnvironment.Launcher
  let rank: Int?
  let size: Int?
  let localRank: Int?
  let localSize: Int?

  static let all = [
    LaunchCase(
      testDescription: "a shell", variables: ["HOME": "/root"], launcher: .none, rank: 0, size: 1,
      localRank: 0,
      localSize: 1),
    LaunchCase(
      testDescription: "Open MPI's mpirun",
      variables: [
        "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "4", "PMIX_RANK": "5",
      ], launcher: .mpirun, rank: 5, size: 8, localRank: 1, localSize: 4),
    LaunchCase(
      testDescription: "mpirun in a Slurm allocation",
      variables: [
        "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_RANK": "5", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "4", "PMIX_RANK": "5", "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_PROCID": "0",
      ], launcher: .mpirun, rank: 5, size: 8, localRank: 1, localSize: 4),
    LaunchCase(
      testDescription: "srun --mpi=pmix",
      variables: [
        "PMIX_RANK": "9", "SLURM_PROCID": "9", "SLURM_NTASKS": "10", "SLURM_STEP_NUM_TASKS": "10",
        "SLURM_LOCALID": "1", "SLURM_NODEID": "2", "SLURM_STEP_TASKS_PER_NODE": "4(x2),2",
      ], launcher: .srun, rank: 9, size: 10, localRank: 1, localSize: 2),
    LaunchCase(
      testDescription: "srun --mpi=pmix of one task",
      variables: [
        "PMIX_RANK": "0", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0", "SLURM_TASKS_PER_NODE": "1",
      ], launcher: .srun, rank: 0, size: 1, localRank: 0, localSize: 1),
    LaunchCase(
      testDescription: "srun without PMIx",
      variables: [
        "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1", "SLURM_NODEID": "0",
        "SLURM_STEP_TASKS_PER_NODE": "4",
      ], launcher: .srunWithoutPMIx, rank: 1, size: 4, localRank: 1, localSize: 4),
    LaunchCase(
      testDescription: "srun --mpi=pmi2",
      variables: [
        "PMI_RANK": "1", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1",
        "SLURM_NODEID": "0", "SLURM_STEP_TASKS_PER_NODE": "4",
      ], launcher: .pmi, rank: 1, size: 4, localRank: 1, localSize: 4),
    LaunchCase(
      testDescription: "a Slurm batch script, outside of srun",
      variables: ["SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"],
      launcher: .none, rank: 0, size: 1, localRank: 0, localSize: 1),
    LaunchCase(
      testDescription: "another PMIx launcher", variables: ["PMIX_RANK": "3"], launcher: .pmix, rank: 3,
      size: nil,
      localRank: nil, localSize: nil),
    LaunchCase(
      testDescription: "MPICH's launcher",
      variables: ["PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"],
      launcher: .pmi, rank: 3, size: 4, localRank: 1, localSize: 2),
  ]
}

@Suite struct LaunchEnvironmentTests {
  @Test(arguments: LaunchCase.all)
  private func readsTheVariablesOf(_ launch: LaunchCase) {
    let environment = LaunchEnvironment { launch.variables[$0] }
    #expect(environment.launcher == launch.launcher)
    #expect(environment.rank == launch.rank)
    #expect(environment.size == launch.size)
    #expect(environment.localRank == launch.localRank)
    #expect(environment.localSize == launch.localSize)
  }

  @Test(arguments: [("4(x2),2", 0, 4), ("4(x2),2", 1, 4), ("4(x2),2", 2, 2), ("1,3(x3)", 3, 3), ("7", 0, 7)])
  func readsSlurmsRunLengths(list: String, node: Int, tasks: Int) {
    let variables = [
      "PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "10", "SLURM_NODEID": "\(node)",
      "SLURM_STEP_TASKS_PER_NODE": list,
    ]
    #expect(LaunchEnvironment { variables[$0] }.localSize == tasks)
  }

  @Test(arguments: ["", "x", "2(x2", "3"])
  func anUnreadableListIsUnknown(list: String) {
    let variables = [
      "PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "10", "SLURM_NODEID": "2", "SLURM_STEP_TASKS_PER_NODE": list,
    ]
    #expect(LaunchEnvironment { variables[$0] }.localSize == nil)
  }
}
