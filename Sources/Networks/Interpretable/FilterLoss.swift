import Glibc
import Tensors

/// What a formulation adds to the masks: where their centres are, and the gradient of its filter loss.
///
/// Per training step: `placeMask`, `start` in forward; `finish`, then the mask's own backward, then `complete` in
/// backward. Statistics travel between start and finish. In evaluation only `placeMask` is called.
protocol FilterLoss: AnyObject {
  /// Learned arrays of the formulation.
  var parameters: [Parameter] { get }
  /// Running statistics.
  var states: [LayerState] { get }
  /// The last training step.
  var report: FilterReport { get }
  /// Whether the mask's gradient is 0 where x ≤ 0.
  var passesActiveOnly: Bool { get }
  /// Whether `finish` writes multiples of the mask and of 1; otherwise the mask's gradient is all there is so far.
  var writesMultiples: Bool { get }
  /// What it keeps of a batch from forward to backward, in bytes.
  func keptBytes(images: Int) -> Int
  /// The rule by which `placeMask` finds centres.
  var centre: MaskForm.Centre { get }
  /// How fast the mask of a filter falls with the distance from the centre.
  func slope(filter: Int) -> Float
  /// Finds the centres of all maps. A second time in a step it finds the same.
  func placeMask(_ mask: TemplateMask, on x: Tensor)
  /// Starts the reductions that backward needs.
  func start(_ x: Tensor, _ mask: TemplateMask, _ context: StepContext) throws
  /// Awaits them, assigns categories, writes the gradient's multiples of the mask and of 1 into the mask. `dy` is the task
  /// gradient that arrives at the mask's output.
  func finish(_ x: Tensor, _ dy: Tensor, _ mask: TemplateMask, _ context: StepContext) throws
  /// Adds what is no multiple of the mask to dx, and makes the report complete.
  func complete(_ dx: Tensor, _ mask: TemplateMask, _ context: StepContext) throws
}

extension StepContext {
  /// Weight of one batch in an exponential average whose time constant is one epoch: 1 − exp(−1/batches).
  var epochShare: Double { -expm1(-1 / Double(max(batchesPerEpoch, 1))) }
}
