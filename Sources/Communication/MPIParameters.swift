/// Parameters of Open MPI that icnn sets, by name, unless they are set as variables or as options of mpirun: docs/adr/0022 and
/// deploy/openmpi-mca-params.conf say why.
public enum MPIParameters {
  /// Bytes that the system holds of a connection before it has sent them.
  public static let connectionBytes = 128 << 10

  /// A thread that waits for a message by polling lets those run that compute. The others keep what is under way on a TCP connection
  /// short, so that small messages of one lane get past the large ones of the other.
  public static let defaults = [
    "mpi_yield_when_idle": "1",
    // Without `put`, by which a large message would be one piece.
    "btl_tcp_flags": "send,inplace,need-ack,need-csum,hetero-rdma",
    // One piece of 128 KiB of a large message at a time.
    "pml_ob1_send_pipeline_depth": "1",
    "btl_tcp_sndbuf": "\(connectionBytes)",
  ]
}
