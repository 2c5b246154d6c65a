import Foundation
import Networks
import Tensors

/// Where the time of a training step goes: by layer and pass, by kind of layer, outside the layers. Medians over the
/// timed steps on one rank, with its share of the batch.
public struct StepProfile: Codable, Sendable, CustomStringConvertible {
  /// One layer.
  struct LayerRow: Codable, Sendable {
    var name: String
    var kind: String
    /// Of a convolution: "direct", "winograd 4x4", …
    var algorithm: String?
    /// [N, C, H, W] of its output.
    var output: [Int]
    var forward: Pass
    var backward: Pass
    /// Of the whole step, in 0...1.
    var share: Double
  }

  /// One pass of one layer, or all passes of one kind: its time, and how fast that is.
  struct Pass: Codable, Sendable {
    var milliseconds: Double
    /// Of convolutions and linear layers: 1e9 operations per second, a multiply-add of the plain formula being two.
    var gigaflops: Double?
    /// The same as a share of the peak; above 1 where an algorithm saves multiplications.
    var peakShare: Double?
    /// Of all other layers: 1e9 bytes per second.
    var gigabytesPerSecond: Double?

    enum CodingKeys: String, CodingKey {
      case milliseconds = "ms"
      case gigaflops = "gflops"
      case peakShare = "peak_share"
      case gigabytesPerSecond = "gb_per_second"
    }

    /// No rate for what took no measurable time: a layer that another one has absorbed.
    init(seconds: Double, count: Double, unit: LayerWork.Unit, limits: MachineLimits) {
      milliseconds = 1e3 * seconds
      guard seconds > 2e-6, count > 0 else { return }
      switch unit {
      case .operations:
        gigaflops = count / seconds / 1e9
        peakShare = count / seconds / limits.operationsPerSecond
      case .bytes: gigabytesPerSecond = count / seconds / 1e9
      }
    }

    /// "151 GFLOP/s 88 %", "12.1 GB/s" or "".
    var rate: (value: String, share: String) {
      if let gigaflops, let peakShare {
        return ("\(gigaflops.fixed(1)) GFLOP/s", "\((100 * peakShare).fixed(0)) %")
      }
      return (gigabytesPerSecond.map { "\($0.fixed(1)) GB/s" } ?? "-", "-")
    }
  }

  /// All layers of one kind, or a phase outside the layers.
  struct KindRow: Codable, Sendable {
    /// As in the layers; or "update", "communication" (handing gradients over and waiting for other ranks), "other"
    /// (loss, zeroing the gradients, statistics).
    var kind: String
    /// Of layers.
    var forward: Pass?
    /// Of layers.
    var backward: Pass?
    var total: Pass
    /// Of the whole step, in 0...1.
    var share: Double
  }

  /// What one rank's threads can do at most: 1e9 operations per second, 1e9 bytes per second of a copy.
  var peakGigaflops: Double
  var copyGigabytesPerSecond: Double
  var layers: [LayerRow]
  /// From the most expensive. The shares add up to 1.
  var kinds: [KindRow]

  enum CodingKeys: String, CodingKey {
    case peakGigaflops = "peak_gflops"
    case copyGigabytesPerSecond = "copy_gb_per_second"
    case layers
    case kinds
  }

  /// From what a timer recorded and the steps it recorded in.
  ///
  /// - Parameters:
  ///   - handOver: seconds per step between the backward passes of the layers.
  ///   - updateBytes: what the update reads and writes.
  init(
    _ layerTimes: [LayerTimer.Row], handOver: [Double], _ times: [StepTimes], limits: MachineLimits,
    updateBytes: Int
  ) {
    let rows = layerTimes.map { row in
      (row, forward: median(row.forward), backward: median(row.backward))
    }
    let layerSeconds = rows.reduce(0) { $0 + $1.forward + $1.backward }
    let update = median(times.map(\.update))
    let communication = median(zip(times, handOver).map { $0.communication + $1 })
    let other = median(
      times.enumerated().map { step, times in
        layerTimes.reduce(times.forward + times.backward - handOver[step]) {
          $0 - $1.forward[step] - (step < $1.backward.count ? $1.backward[step] : 0)
        }
      })
    let total = max(layerSeconds + update + communication + max(other, 0), 1e-12)

    peakGigaflops = limits.operationsPerSecond / 1e9
    copyGigabytesPerSecond = limits.copyBytesPerSecond / 1e9
    let pass = { (seconds: Double, count: Double, unit: LayerWork.Unit) in
      Pass(seconds: seconds, count: count, unit: unit, limits: limits)
    }
    layers = rows.map { row, forward, backward in
      LayerRow(
        name: row.name, kind: row.work.kind, algorithm: row.work.algorithm,
        output: [row.output.batch, row.output.channels, row.output.height, row.output.width],
        forward: pass(forward, row.work.forward, row.work.unit),
        backward: pass(backward, row.work.backward, row.work.unit),
        share: (forward + backward) / total)
    }
    var byKind: [KindRow] = Dictionary(grouping: rows, by: \.0.work.kind).map { kind, rows in
      let (forward, backward) = (rows.reduce(0) { $0 + $1.forward }, rows.reduce(0) { $0 + $1.backward })
      let forwardCount = rows.reduce(0) { $0 + $1.0.work.forward }
      let backwardCount = rows.reduce(0) { $0 + $1.0.work.backward }
      let unit = rows[0].0.work.unit
      return KindRow(
        kind: kind, forward: pass(forward, forwardCount, unit), backward: pass(backward, backwardCount, unit),
        total: pass(forward + backward, forwardCount + backwardCount, unit),
        share: (forward + backward) / total)
    }
    let outside = [
      ("update", update, Double(updateBytes)), ("communication", communication, 0),
      ("other", max(other, 0), 0),
    ]
    for (kind, seconds, bytes) in outside {
      byKind.append(KindRow(kind: kind, total: pass(seconds, bytes, .bytes), share: seconds / total))
    }
    kinds = byKind.sorted { ($0.total.milliseconds, $1.kind) > ($1.total.milliseconds, $0.kind) }
  }

  /// Two tables: layers, kinds of layers.
  public var description: String {
    let layerTable = layers.map { row in
      [
        row.name, [row.kind, row.algorithm].compactMap(\.self).joined(separator: ", "),
        row.output.map(String.init).joined(separator: "×"),
      ] + Self.cells(row.forward) + Self.cells(row.backward) + ["\((100 * row.share).fixed(1)) %"]
    }
    let kindTable = kinds.map { row in
      [row.kind] + Self.cells(row.forward) + Self.cells(row.backward) + Self.cells(row.total)
        + ["\((100 * row.share).fixed(1)) %"]
    }
    let passes = ["forward ms", "rate", "of peak", "backward ms", "rate", "of peak"]
    return """
      peak \(peakGigaflops.fixed(1)) GFLOP/s of multiply-adds, copy \(copyGigabytesPerSecond.fixed(1)) GB/s; a share of \
      the peak counts the plain formula's arithmetic

      \(Self.table([["layer", "kind", "output"] + passes + ["of step"]] + layerTable, flushLeft: 3))

      \(Self.table([["kind"] + passes + ["ms", "rate", "of peak", "of step"]] + kindTable, flushLeft: 1))
      """
  }

  private static func cells(_ pass: Pass?) -> [String] {
    guard let pass else { return ["", "", ""] }
    let rate = pass.rate
    return [pass.milliseconds.fixed(2), rate.value, rate.share]
  }

  /// Columns as wide as their widest cell.
  private static func table(_ rows: [[String]], flushLeft: Int) -> String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      row.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        return column < flushLeft ? row[column] + padding : padding + row[column]
      }.joined(separator: "  ")
    }.joined(separator: "\n")
  }
}

/// The middle value; the mean of the two middle ones of an even number; 0 of none.
func median(_ values: [Double]) -> Double {
  guard !values.isEmpty else { return 0 }
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
