/// Memory for everything that a training keeps of its parameters, each `count` floats at a multiple of 64 bytes, all zero.
public struct ParameterArenas {
  /// This replica's values.
  public let values: UnsafeMutablePointer<Float>
  /// Their gradients.
  public let gradients: UnsafeMutablePointer<Float>
  /// The optimiser's velocities; ranks that share the update share them too.
  public let velocities: UnsafeMutablePointer<Float>

  /// Memory that outlives the store it is given to.
  public init(
    values: UnsafeMutablePointer<Float>, gradients: UnsafeMutablePointer<Float>,
    velocities: UnsafeMutablePointer<Float>
  ) {
    self.values = values
    self.gradients = gradients
    self.velocities = velocities
  }

  /// Gives them for a network's count of floats.
  public typealias Provider = (_ count: Int) -> ParameterArenas
}
