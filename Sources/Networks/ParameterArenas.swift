/// Memory for everything that a training keeps of its parameters, at multiples of 64 bytes, all zero.
public struct ParameterArenas {
  /// The values.
  public let values: UnsafeMutablePointer<Float>
  /// This rank's gradients.
  public let gradients: UnsafeMutablePointer<Float>
  /// The optimiser's velocities.
  public let velocities: UnsafeMutablePointer<Float>
  /// Factors of gradients (`GradientFactors`); nil: gradients are written out.
  public let factors: UnsafeMutablePointer<Float>?

  /// Memory that outlives the store it is given to. Ranks that share an update share all but the gradients.
  public init(
    values: UnsafeMutablePointer<Float>, gradients: UnsafeMutablePointer<Float>,
    velocities: UnsafeMutablePointer<Float>, factors: UnsafeMutablePointer<Float>? = nil
  ) {
    self.values = values
    self.gradients = gradients
    self.velocities = velocities
    self.factors = factors
  }

  /// Where a store's memory comes from.
  public struct Source {
    /// Images of a global batch whose factors are kept; 0: gradients are written out.
    let factorImages: Int
    /// Gives arenas of `count` floats each, and `factorCount` floats for factors. Nil: the store's own memory.
    let allocate: ((_ count: Int, _ factorCount: Int) -> ParameterArenas)?

    /// By default a store's own memory, without factors.
    public init(
      factorImages: Int = 0, allocate: ((_ count: Int, _ factorCount: Int) -> ParameterArenas)? = nil
    ) {
      self.factorImages = factorImages
      self.allocate = allocate
    }
  }
}
