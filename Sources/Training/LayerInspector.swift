import Foundation
import Networks
import Tensors

/// The eyes of the debug mode: checks shape and finiteness of every layer's output and gradients, and keeps their
/// statistics.
final class LayerInspector: LayerObserver {
  /// What was seen of one array.
  struct Statistics {
    var minimum = Float.infinity
    var maximum = -Float.infinity
    var mean = 0.0
    var deviation = 0.0
    /// Share of exact zeros.
    var zeroShare = 0.0
    var notFinite = 0
  }

  /// One layer in one pass.
  struct Row {
    let layer: String
    var shape: Shape
    var output = Statistics()
    var inputGradient: Statistics?
    /// Root mean square of the parameters and of their gradients.
    var weightScale = 0.0
    var gradientScale = 0.0
  }

  private(set) var rows: [Row] = []
  private var rowOfLayer: [String: Int] = [:]
  private var shape: Shape?

  /// Forgets the last pass.
  func begin() {
    rows.removeAll()
    rowOfLayer.removeAll()
  }

  func willForward(_ layer: any Layer, input: Tensor) { shape = input.shape }

  func didForward(_ layer: any Layer, output: Tensor) throws {
    guard let shape else { preconditionFailure("\(layer.name): an output without an input") }
    let expected = layer.outputShape(for: shape)
    guard output.shape == expected else {
      throw ExitError(code: 70, "layer \(layer.name) made \(output.shape), expected \(expected)")
    }
    rowOfLayer[layer.name] = rows.count
    var row = Row(layer: layer.name, shape: output.shape)
    row.output = Self.statistics(of: output)
    row.weightScale = Self.scale(Self.parameters(of: layer).map { ($0.values, $0.storedCount, $0.count) })
    rows.append(row)
    if row.output.notFinite > 0 {
      throw ExitError(
        code: 70,
        "\(row.output.notFinite) values are not finite – output of layer \(layer.name) – see the table")
    }
  }

  /// A composite's parameters are those of its parts, which are seen by themselves.
  private static func parameters(of layer: any Layer) -> [Parameter] {
    layer.parts.isEmpty ? layer.parameters : []
  }

  func didBackward(_ layer: any Layer, inputGradient: Tensor?) throws {
    guard let index = rowOfLayer[layer.name] else { return }
    rows[index].inputGradient = inputGradient.map(Self.statistics)
    rows[index].gradientScale = Self.scale(
      Self.parameters(of: layer).map { ($0.gradients, $0.storedCount, $0.count) })
    let notFinite = rows[index].inputGradient?.notFinite ?? 0
    if notFinite > 0 || !rows[index].gradientScale.isFinite {
      throw ExitError(code: 70, "gradients are not finite – layer \(layer.name) – see the table")
    }
  }

  /// A table with one line a layer.
  var table: String {
    var lines = [
      Self.line(["layer", "output", "min", "mean", "max", "std", "zeros", "|dx| rms", "|w| rms", "|dw| rms"])
    ]
    for row in rows {
      let y = row.output
      let dx = row.inputGradient.map { ($0.deviation * $0.deviation + $0.mean * $0.mean).squareRoot() }
      lines.append(
        Self.line([
          row.layer, "\(row.shape)", Self.short(Double(y.minimum)), Self.short(y.mean),
          Self.short(Double(y.maximum)), Self.short(y.deviation), "\((100 * y.zeroShare).fixed(0)) %",
          dx.map(Self.short) ?? "-", row.weightScale > 0 ? Self.short(row.weightScale) : "-",
          row.weightScale > 0 ? Self.short(row.gradientScale) : "-",
        ]))
    }
    return lines.joined(separator: "\n")
  }

  private static func line(_ cells: [String]) -> String {
    let widths = [22, 22, 11, 11, 11, 11, 7, 11, 11, 11]
    return zip(cells, widths).enumerated().map { index, cell in
      let padding = String(repeating: " ", count: max(1, cell.1 - cell.0.count))
      return index < 2 ? cell.0 + padding : padding + cell.0
    }.joined()
  }

  private static func short(_ value: Double) -> String { String(format: "%.3g", value) }

  /// Over the logical values, without padding.
  static func statistics(of tensor: Tensor) -> Statistics {
    var result = Statistics()
    var sum = 0.0
    var squares = 0.0
    var zeros = 0
    let shape = tensor.shape
    let count = shape.batch * shape.features
    for n in 0..<shape.batch {
      for c in 0..<shape.channels {
        for h in 0..<shape.height {
          for w in 0..<shape.width {
            let value = tensor.pointer[tensor.offset(n, c, h, w)]
            guard value.isFinite else {
              result.notFinite += 1
              continue
            }
            result.minimum = min(result.minimum, value)
            result.maximum = max(result.maximum, value)
            sum += Double(value)
            squares += Double(value) * Double(value)
            zeros += value == 0 ? 1 : 0
          }
        }
      }
    }
    let finite = Double(max(1, count - result.notFinite))
    result.mean = sum / finite
    result.deviation = max(0, squares / finite - result.mean * result.mean).squareRoot()
    result.zeroShare = Double(zeros) / finite
    return result
  }

  /// Root mean square over several arrays; padding is zero and is not counted.
  private static func scale(_ arrays: [(UnsafeMutablePointer<Float>, stored: Int, count: Int)]) -> Double {
    var squares = 0.0
    var count = 0
    for (values, stored, logical) in arrays {
      for index in 0..<stored { squares += Double(values[index]) * Double(values[index]) }
      count += logical
    }
    return count == 0 ? 0 : (squares / Double(count)).squareRoot()
  }
}
