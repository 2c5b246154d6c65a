import Networks
import Tensors

/// Takes the time of every layer, forward and backward, over several steps.
///
/// Set it as the observer of a network. The memory for all steps is taken at the first; two readings of the clock a
/// layer and pass are the whole cost.
final class LayerTimer: LayerObserver {
  /// One layer over all steps that were timed.
  struct Row {
    let name: String
    let output: Shape
    let work: LayerWork
    /// Seconds, one value a step.
    var forward: [Double] = []
    var backward: [Double] = []
  }

  /// In the order of the network.
  private(set) var rows: [Row] = []
  /// Seconds between the backward passes of the layers, one value a step: handing gradients to the reduction.
  private(set) var handOver: [Double] = []

  private let steps: Int
  private var rowOfLayer: [ObjectIdentifier: Int] = [:]
  private var watch = Stopwatch()
  private var input: Tensor?
  private var isInBackward = false
  /// Nothing is recorded until it is true: for warm-up steps.
  var isRecording = false {
    didSet { if isRecording { watch = Stopwatch() } }
  }

  /// A timer for so many recorded steps.
  init(steps: Int) { self.steps = steps }

  /// A new step: the next backward is not a continuation of the last.
  func beginStep() {
    isInBackward = false
    if isRecording { handOver.append(0) }
  }

  func willForward(_ layer: any Layer, input: Tensor) {
    self.input = input
    _ = watch.lap()
  }

  func didForward(_ layer: any Layer, output: Tensor) {
    guard isRecording, let input else { return }
    let seconds = watch.lap()
    let index = rowOfLayer[ObjectIdentifier(layer)] ?? append(layer, input, output)
    rows[index].forward.append(seconds)
  }

  func willBackward(_ layer: any Layer) {
    let seconds = watch.lap()
    if isRecording && isInBackward { handOver[handOver.count - 1] += seconds }
    isInBackward = true
  }

  func didBackward(_ layer: any Layer, inputGradient: Tensor?) {
    let seconds = watch.lap()
    guard isRecording, let index = rowOfLayer[ObjectIdentifier(layer)] else { return }
    // A composite may have several steps.
    if rows[index].backward.count < handOver.count {
      rows[index].backward.append(seconds)
    } else {
      rows[index].backward[handOver.count - 1] += seconds
    }
  }

  private func append(_ layer: any Layer, _ input: Tensor, _ output: Tensor) -> Int {
    var row = Row(
      name: layer.name, output: output.shape, work: LayerWork(layer, input: input, output: output))
    row.forward.reserveCapacity(steps)
    row.backward.reserveCapacity(steps)
    rowOfLayer[ObjectIdentifier(layer)] = rows.count
    rows.append(row)
    return rows.count - 1
  }
}
