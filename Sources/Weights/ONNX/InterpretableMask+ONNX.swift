import Networks
import Tensors

extension InterpretableMask: ONNXLayer {
  /// y = max(x ∘ mask · scale, 0), in the order in which our own kernels compute it (`MaskForm`).
  ///
  /// Distances from the centre come from two small tables, one row of each per map: a table of whole templates would
  /// have (H·W)² cells.
  func add(to graph: inout ONNXGraph, _ x: String, input: Shape) -> String {
    let form = form
    let (height, width) = (input.height, input.width)
    let (row, column) =
      switch form.centre {
      case .peak: addPeak(to: &graph, x, width: width)
      case .centreOfMass: addCentreOfMass(to: &graph, x, height: height, width: width)
      }
    let down = graph.add(
      "Gather", "\(name).row_distance",
      [graph.add(distances("row_distances", height, form.rowStep, shape: [height, height, 1])), row],
      [("axis", .int(0))])
    let across = graph.add(
      "Gather", "\(name).column_distance",
      [graph.add(distances("column_distances", width, form.columnStep, shape: [width, 1, width])), column],
      [("axis", .int(0))])
    let distance = graph.add("Add", "\(name).distance", [down, across])
    let slopes = graph.add(ONNXTensor("\(name).slopes", shape: [form.slopes.count, 1, 1], form.slopes))
    let fall = graph.add("Mul", "\(name).fall", [distance, slopes])
    let one = graph.add(ONNXTensor("\(name).one", shape: [], [Float(1)]))
    let least = graph.add(ONNXTensor("\(name).least", shape: [], [Float(-1)]))
    let template = graph.add(
      "Max", "\(name).template", [graph.add("Sub", "\(name).cone", [one, fall]), least])
    var masked = graph.add("Mul", "\(name).masked", [x, template])
    if form.scale != 1 {
      let scale = graph.add(ONNXTensor("\(name).scale", shape: [], [form.scale]))
      masked = graph.add("Mul", "\(name).scaled", [masked, scale])
    }
    return graph.add("Relu", name, [masked])
  }

  /// Row c holds the distances of all places from place c, times step.
  private func distances(_ what: String, _ count: Int, _ step: Float, shape: [Int]) -> ONNXTensor {
    ONNXTensor(
      "\(name).\(what)", shape: shape,
      (0..<count).flatMap { centre in (0..<count).map { Float(abs($0 - centre)) * step } })
  }

  /// The first largest cell of each map.
  private func addPeak(
    to graph: inout ONNXGraph, _ x: String, width: Int
  ) -> (row: String, column: String) {
    let cells = graph.add(
      "Reshape", "\(name).cells",
      [x, graph.add(ONNXTensor("\(name).cells_shape", shape: [3], [Int64(0), 0, -1]))])
    let peak = graph.add(
      "ArgMax", "\(name).peak", [cells],
      [("axis", .int(2)), ("keepdims", .int(0)), ("select_last_index", .int(0))])
    let width = graph.add(ONNXTensor("\(name).width", shape: [], [Int64(width)]))
    return (
      graph.add("Div", "\(name).row", [peak, width]), graph.add("Mod", "\(name).column", [peak, width])
    )
  }

  /// The centre of mass of each map, in Double as our kernels: a sum in Float would now and then round to the cell beside.
  private func addCentreOfMass(
    to graph: inout ONNXGraph, _ x: String, height: Int, width: Int
  ) -> (row: String, column: String) {
    let double = [("to", ONNXGraph.Attribute.int(ONNXTensorProto.DataType.double.rawValue))]
    let maps = graph.add("Cast", "\(name).maps", [x], double)
    let last = graph.add(ONNXTensor("\(name).axis2", shape: [1], [Int64(2)]))
    let third = graph.add(ONNXTensor("\(name).axis3", shape: [1], [Int64(3)]))
    let flat = [("keepdims", ONNXGraph.Attribute.int(0))]
    let rowSums = graph.add("ReduceSum", "\(name).row_sums", [maps, third], flat)
    let columnSums = graph.add("ReduceSum", "\(name).column_sums", [maps, last], flat)
    let least = graph.add(ONNXTensor("\(name).least_mass", shape: [], [1e-9]))
    let sum = graph.add("ReduceSum", "\(name).sum", [rowSums, last], flat)
    let mass = graph.add("Max", "\(name).mass", [sum, least])
    let half = graph.add(ONNXTensor("\(name).half", shape: [], [0.5]))
    let first = graph.add(ONNXTensor("\(name).first", shape: [], [1.0]))

    func centre(_ axis: String, _ sums: String, _ count: Int) -> String {
      let places = graph.add(ONNXTensor("\(name).\(axis)s", shape: [count], (1...count).map(Double.init)))
      let moments = graph.add("Mul", "\(name).\(axis)_moments", [sums, places])
      let moment = graph.add("ReduceSum", "\(name).\(axis)_moment", [moments, last], flat)
      let mean = graph.add("Div", "\(name).\(axis)_mean", [moment, mass])
      // ONNX's Round takes halves to the even number.
      let raised = graph.add("Add", "\(name).\(axis)_raised", [mean, half])
      let rounded = graph.add("Floor", "\(name).\(axis)_rounded", [raised])
      let counted = graph.add("Max", "\(name).\(axis)_from_1", [rounded, first])
      let place = graph.add("Sub", "\(name).\(axis)_from_0", [counted, first])
      return graph.add(
        "Cast", "\(name).\(axis)", [place], [("to", .int(ONNXTensorProto.DataType.int64.rawValue))])
    }
    return (centre("row", rowSums, height), centre("column", columnSums, width))
  }
}
