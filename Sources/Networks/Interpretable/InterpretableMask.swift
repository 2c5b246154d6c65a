import CKernels
import Tensors

/// The stage that makes filters interpretable (Zhang, Wu, Zhu, CVPR 2018): stands after a convolution's ReLU.
///
/// input [N, C, H, W] ≥ 0, blocked → output [N, C, H, W], y = max(x ∘ mask, 0): each map keeps the neighbourhood of
/// one place, where the filter's part is thought to be. Backward: dx = dy ∘ mask where y > 0, plus λ·∂FilterLoss/∂x,
/// which drives each filter to one part of one category. `InterpretableOptions` chooses between the paper's
/// equations (`PaperFilterLoss`) and the authors' code (`ReleasedFilterLoss`); the latter masks the input of the
/// following convolution, which is the same place in the chain.
///
/// The loss is one of the global batch: its statistics go through the context's exchange, so that N ranks compute
/// what one would. A rank without images takes part in every reduction. In evaluation there are masks and no loss.
public final class InterpretableMask: Layer {
  /// Unique in its network; the prefix of its parameters' and states' names.
  public let name: String
  /// False if nobody reads dx.
  public var needsInputGradient = true
  /// As given.
  public let options: InterpretableOptions

  let mask: TemplateMask
  let filterLoss: any FilterLoss
  private var input: Tensor?
  private var hasFilterLoss = false
  private let output = OutputBuffer()

  /// A mask stage for maps of one shape.
  ///
  /// - Parameters:
  ///   - shape: [any, C, H, W] of the maps. The released formulation needs H = W.
  ///   - categories: classes that images may have, L; 2 in single-category training, 0 being the category.
  ///   - outputs: labels of the released formulation, the columns of `StepContext.signs`; 1 in single-category
  ///     training. By default as many as categories.
  ///   - ownedCategories: filters may belong to the categories 0..<ownedCategories. By default all of them; in
  ///     single-category training (1 output) only the category, unless `options.negativeFilters`.
  ///   - filterTypes: of the released formulation, per filter: 1 part filter (default), 2 texture filter
  ///     (no mask), 0 neither.
  public init(
    _ name: String, shape: Shape, categories: Int, outputs: Int? = nil, ownedCategories: Int? = nil,
    options: InterpretableOptions = InterpretableOptions(), filterTypes: [UInt8]? = nil
  ) {
    self.name = name
    self.options = options
    mask = TemplateMask(shape)
    let outputs = outputs ?? categories
    let owned = ownedCategories ?? (outputs == 1 && !options.negativeFilters ? 1 : categories)
    switch options.formulation {
    case .paper:
      filterLoss = PaperFilterLoss(
        name, shape, categories: categories, eligibleCategories: owned, options: options, mask: mask)
    case .released(let corrected):
      filterLoss = ReleasedFilterLoss(
        name, shape, outputs: outputs, corrected: corrected, options: options, filterTypes: filterTypes,
        mask: mask)
    }
  }

  /// The decay of the masks, "NAME.decay" [C], in the released formulation; none in the paper's.
  public var parameters: [Parameter] { filterLoss.parameters }
  /// Class means or running peaks, and the running normaliser: what filters' categories rest on.
  public var states: [LayerState] { filterLoss.states }
  /// What the filter loss did in the last training step, complete after backward; equal on all ranks. Holding a
  /// copy across steps costs an allocation.
  public var report: FilterReport { filterLoss.report }

  /// What the masks do in evaluation, with the decay that was learned.
  package var form: MaskForm {
    MaskForm(
      centre: filterLoss.centre, rowStep: mask.rowStep, columnStep: mask.columnStep,
      slopes: (0..<mask.shape.channels).map { mask.passesMaps ? 0 : filterLoss.slope(filter: $0) },
      scale: mask.scale)
  }

  /// The input's shape; traps if it is not the one the stage was built for.
  public func outputShape(for input: Shape) -> Shape {
    precondition(
      input.with(batch: 1) == mask.shape,
      "InterpretableMask \(name): built for maps of \(mask.shape), found \(input)")
    return input
  }

  /// Backward works in place and reads x.
  public func memory(for input: Shape) -> LayerMemory {
    LayerMemory(
      output: .buffer(output, .blocked), backwardReadsOutput: false, backwardWorksInPlace: true,
      keptBytes: mask.keptBytes(images: input.batch) + filterLoss.keptBytes(images: input.batch))
  }

  /// x [N, C, H, W] ≥ 0 → max(x ∘ mask, 0). In training the maps' statistics start on their way over the ranks.
  public func forward(_ x: Tensor, _ context: StepContext) throws -> Tensor {
    mask.prepare(for: x)
    filterLoss.placeMask(mask, on: x)
    let y = output.prepare(x.shape, .blocked, capacity: x.capacity)
    mask.forward(x, into: y)
    if context.hasBackward { input = x }
    hasFilterLoss = context.isTraining
    if hasFilterLoss && !context.isRecomputing { try filterLoss.start(x, mask, context) }
    return y
  }

  /// dy → dx in place: through the mask, plus the filter loss's gradient in training.
  public func backward(_ dy: Tensor, _ context: StepContext) throws -> Tensor? {
    guard let x = input else {
      preconditionFailure("InterpretableMask \(name): backward without a forward that keeps its input")
    }
    precondition(
      dy.shape == x.shape && dy.layout == .blocked,
      "InterpretableMask \(name): gradient \(dy.shape) for maps \(x.shape)")
    guard hasFilterLoss else {
      mask.backward(x, dy, activeOnly: filterLoss.passesActiveOnly, addingFilterGradient: false)
      return needsInputGradient ? dy : nil
    }
    try filterLoss.finish(x, dy, mask, context)
    mask.backward(
      x, dy, activeOnly: filterLoss.passesActiveOnly, addingFilterGradient: filterLoss.writesMultiples)
    try filterLoss.complete(dy, mask, context)
    return needsInputGradient ? dy : nil
  }
}
