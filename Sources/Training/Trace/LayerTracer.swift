import Communication
import Networks
import Tensors

/// Writes every layer's passes into a timeline.
final class LayerTracer: LayerObserver {
  private let timeline: Timeline
  private let indices: [ObjectIdentifier: Int]
  private var begin: UInt64 = 0

  /// For a network's layers, which the timeline knows by their place among its leaves.
  init(_ network: Network, _ timeline: Timeline) {
    self.timeline = timeline
    indices = Dictionary(
      network.leaves.enumerated().map { (ObjectIdentifier($0.element), $0.offset) },
      uniquingKeysWith: { a, _ in a })
  }

  func willForward(_ layer: any Layer, input: Tensor) { begin = Timeline.now }

  func didForward(_ layer: any Layer, output: Tensor) { record(.forward, layer) }

  func willBackward(_ layer: any Layer) { begin = Timeline.now }

  func didBackward(_ layer: any Layer, inputGradient: Tensor?) { record(.backward, layer) }

  private func record(_ kind: TimelineEvent.Kind, _ layer: any Layer) {
    guard let index = indices[ObjectIdentifier(layer)] else { return }
    timeline.layer(kind, index, begin: begin)
  }
}
