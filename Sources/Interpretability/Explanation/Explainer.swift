import Datasets
import Networks
import Tensors

/// Explains what a network says of single images by the filters of its measured layer.
public final class Explainer {
  /// An explanation with the maps that it rests on.
  public struct Result: Sendable {
    /// What was found.
    public let explanation: Explanation
    /// Logits of all outputs.
    public let logits: [Float]
    /// Per filter, the map after the mask, [height·width] row by row.
    public let maps: [[Float]]
    /// Per filter, what each cell contributed to the explained class, [height·width].
    public let cells: [[Float]]
  }

  /// The layer whose filters explain.
  public let layer: MeasuredLayer
  private let network: Network
  private let context: StepContext
  private let classNames: [String]
  private let frame: InputFrame
  private let attribution: Attribution
  private let categories: [Int?]

  /// An explainer of a network with its weights.
  ///
  /// - Parameters:
  ///   - categories: of each filter; nil: as the network's interpretable layer remembers them.
  ///   - frame: how places in the input become places in an image.
  /// - Throws: `InterpretabilityError` if the network has no maps.
  public init(
    _ network: Network, _ context: StepContext, classNames: [String], _ frame: InputFrame,
    layer name: String? = nil, categories: [Int?]? = nil
  ) throws(InterpretabilityError) {
    self.network = network
    self.context = context
    self.classNames = classNames
    self.frame = frame
    layer = try MeasuredLayer(network, named: name)
    attribution = Attribution(network, layerIndex: layer.index(of: .masked))
    self.categories = categories ?? FilterCategories.of(network, filters: layer.filterCount)
  }

  /// Explains one class of one image, by default the predicted one.
  ///
  /// - Parameters:
  ///   - input: [1, 3, H, W], prepared as for evaluation.
  ///   - width, height: of the image that it was made from.
  public func explain(_ input: Tensor, width: Int, height: Int, classIndex: Int? = nil) throws -> Result {
    // A single output speaks for the category, and its opposite for everything else.
    let isSingle = network.outputs == 1
    let run = try attribution.run(input, output: isSingle ? 0 : classIndex, context)
    let predicted =
      isSingle ? (run.logits[0] >= 0 ? 0 : 1) : run.logits.indices.max { run.logits[$0] < run.logits[$1] }!
    let chosen = classIndex ?? predicted
    let sign: Double = isSingle && chosen == 1 ? -1 : 1
    let loudness = run.contributions.reduce(0) { $0 + abs($1) }
    let evidence = run.contributions.indices.filter { run.contributions[$0] != 0 }.map { filter in
      let map = run.maps[filter]
      let peak = map.indices.reduce(0) { map[$1] > map[$0] ? $1 : $0 }
      let centre = layer.field.centre(row: peak / layer.width, column: peak % layer.width)
      return Explanation.Evidence(
        filter: filter, category: categories[filter].map { classNames[$0] },
        contribution: sign * run.contributions[filter], share: abs(run.contributions[filter]) / loudness,
        activation: Double(map[peak]), x: frame.toImage(centre.x, extent: width),
        y: frame.toImage(centre.y, extent: height))
    }
    let logit = isSingle ? run.logits[0] : run.logits[chosen]
    return Result(
      explanation: Explanation(
        className: classNames[chosen], logit: sign * Double(logit), rest: sign * run.rest, layer: layer.name,
        evidence: evidence.sorted { (abs($0.contribution), $1.filter) > (abs($1.contribution), $0.filter) }),
      logits: run.logits, maps: run.maps, cells: sign == 1 ? run.cells : run.cells.map { $0.map { -$0 } })
  }
}
