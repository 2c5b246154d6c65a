/// Which filters spoke for and against a class on one image, in shares that sum to its logit.
public struct Explanation: Codable, Sendable, Equatable {
  /// What one filter had to say.
  public struct Evidence: Codable, Sendable, Equatable {
    /// The filter, from 0.
    public let filter: Int
    /// The category whose part it stands for; absent in an ordinary network and for a filter that never fired.
    public let category: String?
    /// Its part of the logit: positive speaks for the class.
    public let contribution: Double
    /// |contribution| as a share of all filters' sum of it, 0...1.
    public let share: Double
    /// Its strongest activation on the image, after the mask.
    public let activation: Double
    /// Where in the image that is looked at, in pixels of the image: the centre of the receptive field.
    public let x: Double, y: Double
  }

  /// The class that is explained.
  public let className: String
  /// What the network says of it: Σ contributions + rest.
  public let logit: Double
  /// What no filter said: the biases above the filters.
  public let rest: Double
  /// The convolution whose filters are meant.
  public let layer: String
  /// All filters that said anything, loudest first.
  public let evidence: [Evidence]

  enum CodingKeys: String, CodingKey {
    case className = "class"
    case logit, rest, layer
    case evidence = "filters"
  }

  /// The loudest filters that speak for the class, loudest first.
  public var supporting: [Evidence] { evidence.filter { $0.contribution > 0 } }
  /// The loudest filters that speak against it, loudest first.
  public var opposing: [Evidence] { evidence.filter { $0.contribution < 0 } }
}
