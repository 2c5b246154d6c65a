import Communication
import Networks

extension GradientExchange {
  /// The exchange's memory as a network takes it.
  /// - Parameter factorImages: images whose factors may be kept instead of gradients, where those need not travel.
  public func arenas(factorImages: Int) -> ParameterArenas.Source {
    guard let storage else {
      return ParameterArenas.Source(factorImages: route == .none ? factorImages : 0)
    }
    return ParameterArenas.Source(factorImages: factorImages) { count, factorCount in
      let memory = storage(count, factorCount)
      return ParameterArenas(
        values: memory.values, gradients: memory.gradients, velocities: memory.velocities,
        factors: memory.shared)
    }
  }

  /// What this rank does of each update; nil: all of it. To be asked once the network has its memory.
  public var updateShare: UpdateShare? {
    share.map {
      UpdateShare(range: $0.range, gradients: $0.gradients.map { UnsafePointer($0) })
    }
  }
}
