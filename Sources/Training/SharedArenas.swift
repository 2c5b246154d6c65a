import Communication
import Networks

extension GradientExchange {
  /// The exchange's memory as a network takes it; nil: the network's own will do.
  public var arenas: ParameterArenas.Provider? {
    storage.map { storage in
      { count in
        let memory = storage(count)
        return ParameterArenas(
          values: memory.values, gradients: memory.gradients, velocities: memory.velocities)
      }
    }
  }

  /// What this rank does of each update; nil: all of it. To be asked once the network has its memory.
  public var updateShare: UpdateShare? {
    share.map {
      UpdateShare(
        range: $0.range, gradients: $0.gradients.map { UnsafePointer($0) }, replicas: $0.otherValues)
    }
  }
}
