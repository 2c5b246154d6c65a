import Foundation

/// What collectives take on a network: the link's line, and where it was measured what the line leaves over at each size.
///
/// TCP's windows, MPI's protocols and lossy queues make some sizes faster and others slower than any line. That depends on the size of
/// an all-reduce more than on the number of ranks: a size that took twice the line's time among few ranks is taken to take twice the line's
/// time among many.
struct NetworkCost {
  /// Latency and time per byte.
  let link: LinkModel
  /// Sizes in ascending order, each with its time per time on the line.
  private let factors: [(bytes: Double, factor: Double)]

  /// A link that somebody describes, or the one that a fit found, with its residuals.
  init(_ link: LinkModel, _ fit: LinkFit? = nil) {
    self.link = link
    factors =
      fit.map { fit in
        fit.samples.map {
          let line = fit.link.seconds(.allReduce(bytes: $0.bytes, ranks: fit.ranks))
          return (Double($0.bytes), line > 0 ? $0.seconds / line : 1)
        }
      } ?? []
  }

  /// Seconds of a load that `bytes` on each rank cause.
  func seconds(_ load: LinkModel.Load, bytes: Int) -> Double { link.seconds(load) * factor(Double(bytes)) }

  /// Between two sizes on a straight line over the logarithm of bytes; beyond them as at the nearest.
  private func factor(_ bytes: Double) -> Double {
    guard let first = factors.first, let last = factors.last else { return 1 }
    guard bytes > first.bytes else { return first.factor }
    guard let upper = factors.firstIndex(where: { $0.bytes >= bytes }) else { return last.factor }
    let (a, b) = (factors[upper - 1], factors[upper])
    let t = log(bytes / a.bytes) / log(b.bytes / a.bytes)
    return a.factor + t * (b.factor - a.factor)
  }
}
