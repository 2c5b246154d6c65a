import CKernels
import Glibc
import Tensors
import TestSupport
import Testing

/// A batch of blocked maps for the kernels of interpretable layers.
struct MapCase: Sendable, CustomTestStringConvertible {
  var images: Int, blocks: Int, height: Int, width: Int
  var beta = 4.0

  var testDescription: String { "\(images)×\(blocks) blocks of \(height)×\(width), β \(beta)" }

  static let all = [
    MapCase(images: 2, blocks: 2, height: 5, width: 5), MapCase(images: 3, blocks: 1, height: 4, width: 9),
    MapCase(images: 1, blocks: 1, height: 17, width: 3), MapCase(images: 2, blocks: 1, height: 1, width: 1),
    MapCase(images: 2, blocks: 1, height: 6, width: 6, beta: 0.7),
    MapCase(images: 0, blocks: 1, height: 3, width: 3),
  ]

  var maps: ck_maps_t {
    ck_maps_t(images: Int64(images), blocks: Int64(blocks), height: Int64(height), width: Int64(width))
  }
  var mapCount: Int { images * blocks }
  var cells: Int { height * width }
  var templates: Int { cells + 1 }
}

/// Memory aligned to 64 bytes for the time of a test.
final class Numbers<Element: BitwiseCopyable> {
  private let buffer: AlignedBuffer<Element>

  init(_ count: Int) { buffer = AlignedBuffer(count: count) }

  convenience init(_ values: [Element]) {
    self.init(values.count)
    for (index, value) in values.enumerated() { pointer[index] = value }
  }

  var pointer: UnsafeMutablePointer<Element> { buffer.pointer }
  var values: [Element] { Array(UnsafeBufferPointer(start: buffer.pointer, count: buffer.count)) }
}

@Suite("kernels of interpretable layers")
struct InterpretableKernelsTests {
  /// Activations with ties: few distinct values, a third of them zero.
  private func activations(_ mapCase: MapCase, seed: UInt64 = 1) -> Numbers<Float> {
    var random = RandomSource(seed: seed, purpose: .test)
    return Numbers(
      (0..<mapCase.mapCount * mapCase.cells * 16).map { _ in max(0, Float(random.index(below: 12)) - 4) / 2 })
  }

  private func cone(_ mapCase: MapCase) -> (Numbers<Double>, Numbers<Int32>) {
    let row = 2 * mapCase.width + 16
    let cone = Numbers<Double>(mapCase.height * row)
    let reach = Numbers<Int32>(mapCase.height)
    for down in 0..<mapCase.height {
      for right in 0..<mapCase.width {
        let distance = Double(down) / Double(mapCase.height) + Double(right) / Double(mapCase.width)
        let value = max(2 - mapCase.beta * distance, 0)
        cone.pointer[down * row + mapCase.width + 15 + right] = value
        cone.pointer[down * row + mapCase.width + 15 - right] = value
        if value > 0 { reach.pointer[down] = Int32(right + 1) }
      }
    }
    return (cone, reach)
  }

  /// Compares the results on every instruction set, with 1 to 3 threads, with those of the reference.
  private func expectAlike(_ tolerance: Float, _ body: () -> [Float]) {
    let reference = withKernels(.reference) { body() }
    let scale = reference.reduce(1e-6) { max($0, $1.isFinite ? abs($1) : 0) }
    for run in onAllKernels(body) {
      #expect(run.sameForAllThreads, "\(run.set)")
      #expect(run.values.count == reference.count)
      let worst = zip(run.values, reference).reduce(Float(0)) { worst, pair in
        pair.0 == pair.1 ? worst : max(worst, abs(pair.0 - pair.1) / scale)
      }
      #expect(worst <= tolerance, "\(run.set)")
    }
  }

  @Test("peaks: first maximum in row-major order, maximum, sum", arguments: MapCase.all)
  func peaks(_ mapCase: MapCase) {
    let x = activations(mapCase)
    let lanes = mapCase.mapCount * 16
    expectAlike(0) {
      let (row, column, maximum) = (Numbers<Float>(lanes), Numbers<Float>(lanes), Numbers<Float>(lanes))
      let sum = Numbers<Double>(lanes)
      ck_peak(x.pointer, mapCase.maps, row.pointer, column.pointer, maximum.pointer, sum.pointer)
      return row.values + column.values + maximum.values + sum.values.map { Float($0) }
    }
  }

  @Test("centres of mass and their deviations", arguments: MapCase.all)
  func centroids(_ mapCase: MapCase) {
    let x = activations(mapCase)
    let lanes = mapCase.mapCount * 16
    expectAlike(1e-6) {
      let (row, column, maximum) = (Numbers<Float>(lanes), Numbers<Float>(lanes), Numbers<Float>(lanes))
      let (mean, deviation) = (Numbers<Double>(lanes), Numbers<Double>(lanes))
      ck_centroid(
        x.pointer, mapCase.maps, row.pointer, column.pointer, maximum.pointer, mean.pointer, deviation.pointer
      )
      return row.values + column.values + maximum.values + mean.values.map { Float($0) }
        + deviation.values.map { Float($0) }
    }
  }

  @Test("masks: score, forward, backward with and without the filter loss", arguments: MapCase.all)
  func masks(_ mapCase: MapCase) {
    let x = activations(mapCase)
    let lanes = mapCase.mapCount * 16
    var random = RandomSource(seed: 3, purpose: .test)
    func draw(_ count: Int, _ body: () -> Float) -> Numbers<Float> {
      Numbers((0..<count).map { _ in body() })
    }
    let row = draw(lanes) { Float(random.index(below: mapCase.height)) }
    let column = draw(lanes) { Float(random.index(below: mapCase.width)) }
    let slope = draw(mapCase.blocks * 16) { random.index(below: 5) == 0 ? 0 : random.uniform(1, 4) }
    let along = draw(lanes) { random.uniform(-1, 1) }
    let constant = draw(lanes) { random.uniform(-1, 1) }
    let dy = draw(lanes * mapCase.cells) { random.uniform(-1, 1) }.values
    let mask = ck_mask_t(
      row: row.pointer, column: column.pointer, slope: slope.pointer,
      rowStep: 1 / Float(mapCase.height), columnStep: 1 / Float(mapCase.width), scale: 0.5)
    expectAlike(2e-6) {
      let y = Numbers<Float>(dy.count)
      ck_mask_forward(x.pointer, mapCase.maps, mask, y.pointer)
      let score = Numbers<Double>(lanes)
      ck_mask_score(x.pointer, mapCase.maps, mask, score.pointer)
      let (gated, plain) = (Numbers(dy), Numbers(dy))
      ck_mask_backward(x.pointer, gated.pointer, mapCase.maps, mask, along.pointer, constant.pointer, 1)
      ck_mask_backward(x.pointer, plain.pointer, mapCase.maps, mask, nil, nil, 0)
      return y.values + score.values.map { Float($0) } + gated.values + plain.values
    }
  }

  @Test("squares of the gradients at active cells match the loops", arguments: MapCase.all)
  func gradientSquares(_ mapCase: MapCase) {
    let x = activations(mapCase)
    let lanes = mapCase.mapCount * 16
    var random = RandomSource(seed: 4, purpose: .test)
    func noise(_ count: Int) -> Numbers<Float> { Numbers((0..<count).map { _ in random.uniform(-1, 1) }) }
    let row = Numbers((0..<lanes).map { _ in Float(random.index(below: mapCase.height)) })
    let column = Numbers((0..<lanes).map { _ in Float(random.index(below: mapCase.width)) })
    let slope = Numbers((0..<mapCase.blocks * 16).map { _ in random.uniform(0, 4) })
    let (along, constant) = (noise(lanes), noise(lanes))
    let (d, gradient) = (noise(lanes * mapCase.cells), noise(lanes * mapCase.cells))
    let mask = ck_mask_t(
      row: row.pointer, column: column.pointer, slope: slope.pointer,
      rowStep: 1 / Float(mapCase.height), columnStep: 1 / Float(mapCase.width), scale: 0.5)
    var expected: [Double] = []
    for map in 0..<mapCase.mapCount {
      var sums = Array(repeating: 0.0, count: 32)
      for cell in 0..<mapCase.cells {
        for lane in 0..<16 {
          let at = map * 16 + lane
          let value = (map * mapCase.cells + cell) * 16 + lane
          guard x.pointer[value] > 0 else { continue }
          let down = abs(Double(cell / mapCase.width) - Double(row.pointer[at])) / Double(mapCase.height)
          let right = abs(Double(cell % mapCase.width) - Double(column.pointer[at])) / Double(mapCase.width)
          let steepness = Double(slope.pointer[map % mapCase.blocks * 16 + lane])
          let here = max(1 - steepness * (down + right), -1)
          let task = Double(d.pointer[value]) * max(here, 0) * 0.5
          let filter = Double(along.pointer[at]) * here + Double(constant.pointer[at])
          let extra = filter + Double(gradient.pointer[value])
          sums[lane] += task * task
          sums[16 + lane] += extra * extra
        }
      }
      expected += sums
    }
    for set in InstructionSet.available {
      let squares = Numbers<Double>(2 * lanes)
      withKernels(set, threads: 1) {
        ck_mask_gradient_squares(
          x.pointer, d.pointer, mapCase.maps, mask, along.pointer, constant.pointer, gradient.pointer,
          squares.pointer)
      }
      for (a, b) in zip(squares.values, expected) { #expect(abs(a - b) <= 1e-6 * (1 + b), "\(set)") }
    }
    expectAlike(1e-6) {
      let (both, task) = (Numbers<Double>(2 * lanes), Numbers<Double>(2 * lanes))
      ck_mask_gradient_squares(
        x.pointer, d.pointer, mapCase.maps, mask, along.pointer, constant.pointer, nil, both.pointer)
      ck_mask_gradient_squares(x.pointer, d.pointer, mapCase.maps, mask, nil, nil, nil, task.pointer)
      for index in 0..<2 * lanes where index % 32 >= 16 { #expect(task.pointer[index] == 0) }
      return (both.values + task.values).map { Float($0) }
    }
  }

  @Test("templates: scores, normalisers, likelihoods, divergences, gradient", arguments: MapCase.all)
  func templates(_ mapCase: MapCase) {
    let x = activations(mapCase, seed: 2)
    let (cone, reach) = cone(mapCase)
    let templates = ck_templates_t(
      cone: cone.pointer, reach: reach.pointer, tau: 0.5 / Double(mapCase.cells))
    let lanes = mapCase.mapCount * 16
    expectAlike(1e-6) {
      let scores = Numbers<Double>(lanes * mapCase.templates)
      let logZ = Numbers<Double>(mapCase.blocks * 16 * mapCase.templates)
      let divergences = Numbers<Double>(mapCase.blocks * 16 * mapCase.templates)
      let (likelihoods, terms) = (Numbers<Double>(lanes), Numbers<Double>(3 * lanes))
      let dx = Numbers<Float>(lanes * mapCase.cells)
      ck_template_scores(x.pointer, mapCase.maps, templates, scores.pointer)
      var result = scores.values
      ck_template_normalizers(scores.pointer, mapCase.maps, logZ.pointer)
      ck_template_likelihoods(
        scores.pointer, mapCase.maps, logZ.pointer, likelihoods.pointer, terms.pointer)
      ck_template_divergences(scores.pointer, mapCase.maps, likelihoods.pointer, divergences.pointer)
      result += logZ.values + likelihoods.values + terms.values + divergences.values
      ck_template_gradient(
        scores.pointer, mapCase.maps, templates, likelihoods.pointer, divergences.pointer, 1e4, dx.pointer)
      return result.map { Float($0) } + dx.values
    }
  }

  @Test(
    "exponential: within 2 units in the last place, right at the ends", arguments: InstructionSet.available)
  func exponential(_ set: InstructionSet) {
    var random = RandomSource(seed: 4, purpose: .test)
    let ordinary = (0..<4000).map { _ in Double(random.uniform(-1, 1)) * 700 + Double(random.uniform()) * 1e-6
    }
    let small = (0..<1000).map { _ in Double(random.uniform(-1, 1)) * 1e-3 }
    let x = ordinary + small + [0, -0.0, 1, -1, 709.7, -708.3, -744, 0x1p-60]
    let y = Numbers<Double>(x.count)
    withKernels(set) { ck_exp(x, y.pointer, Int64(x.count)) }
    for (input, output) in zip(x, y.values) {
      let expected = Glibc.exp(input)
      #expect(abs(output - expected) <= 2 * expected.ulp, "exp(\(input))")
    }
    let ends = [Double.infinity, -.infinity, -746, 710, -1e308, 1e308, .nan]
    withKernels(set) { ck_exp(ends, y.pointer, Int64(ends.count)) }
    let results = Array(y.values.prefix(ends.count))
    #expect(results[0] == .infinity && results[1] == 0 && results[2] == 0 && results[3] == .infinity)
    #expect(results[4] == 0 && results[5] == .infinity && results[6].isNaN)
  }

  @Test("averages of logarithms", arguments: InstructionSet.available)
  func logAverage(_ set: InstructionSet) {
    let running = Numbers<Double>([0, 1000, -1000, Glibc.log(2.0), -Double.infinity])
    let batch: [Double] = [0, 1000, -1002, Glibc.log(6.0), 0.5]
    withKernels(set) { ck_log_average(running.pointer, batch, 5, 0.25) }
    let shifted = -1000 + Glibc.log(0.75 + 0.25 * Glibc.exp(-2.0))
    let expected: [Double] = [0, 1000, shifted, Glibc.log(3.0), 0.5 + Glibc.log(0.25)]
    for (value, wanted) in zip(running.values, expected) { #expect(abs(value - wanted) < 1e-12) }
  }

  @Test("NaN activations reach the output", arguments: InstructionSet.available)
  func nanStaysVisible(_ set: InstructionSet) {
    let mapCase = MapCase.all[0]
    let x = activations(mapCase)
    x.pointer[16 * 7 + 3] = .nan
    let (row, column) = (Numbers<Float>(64), Numbers<Float>(64))
    let slope = Numbers<Float>(Array(repeating: 4, count: 32))
    let mask = ck_mask_t(
      row: row.pointer, column: column.pointer, slope: slope.pointer, rowStep: 0.2, columnStep: 0.2, scale: 1)
    let y = Numbers<Float>(x.values.count)
    withKernels(set) { ck_mask_forward(x.pointer, mapCase.maps, mask, y.pointer) }
    #expect(y.values.indices.filter { y.values[$0].isNaN } == [16 * 7 + 3])
  }
}
