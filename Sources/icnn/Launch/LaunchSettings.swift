import Communication

/// Open MPI's parameters that a supervised job wants, as variables of mpirun's environment: options of mpirun win over them.
enum LaunchSettings {
  /// For mpirun with these options.
  static func openMPI(options: [String]) -> [String: String] {
    // Those of the ranks, so that mpirun says what it starts them with.
    var settings = Dictionary(
      uniqueKeysWithValues: MPIParameters.defaults.map { ("OMPI_MCA_" + $0.key, $0.value) })
    // A host that has lost its power or its cable is noticed after 3 + 3 · 1 s, with Open MPI's defaults after eight
    // minutes. It must come before the ranks' watchdogs: mpirun may hang when a rank ends while a daemon is out of reach.
    settings["OMPI_MCA_oob_tcp_keepalive_time"] = "3"
    settings["OMPI_MCA_oob_tcp_keepalive_intvl"] = "1"
    settings["OMPI_MCA_oob_tcp_keepalive_probes"] = "3"
    // With one or two ranks mpirun would bind each, with all its threads, to a single core.
    if !options.contains(where: { $0.hasPrefix("--bind-to") || $0.hasPrefix("--map-by") }) {
      settings["OMPI_MCA_hwloc_base_binding_policy"] = "none"
    }
    return settings
  }
}
