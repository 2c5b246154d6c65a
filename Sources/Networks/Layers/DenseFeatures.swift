import CKernels
import Tensors

/// The maps that the layers of a dense block share: those of its input and of every dense layer, concatenated without a
/// copy, with the statistics of their channels and the gradients that reach them.
///
/// A slice is the block's input or what one dense layer made, and stays where its maker put it; a table names the place of
/// every block of 16 channels. That needs slices that begin at multiples of 16 channels, as in all networks of
/// published or rounded widths. Otherwise every slice is copied behind the ones before it, as their channels share blocks.
///
/// A channel's mean and variance do not change once it is made: they are found, and exchanged, once, and all normalisations
/// of the block use them.
final class DenseFeatures {
  /// Channels of the slices; the first is the block's input.
  let widths: [Int]
  /// Channels before each slice; the last: all of them.
  let starts: [Int]
  /// Statistics over the global batch, or over this rank's share.
  let synchronized: Bool
  /// Whether no slice needs a copy.
  let isAligned: Bool
  /// C of all slices together.
  var channels: Int { starts[widths.count] }

  /// Whether the statistics below are those of a batch.
  private(set) var normalizesByBatch = false
  /// Number of values in a channel's statistics.
  private(set) var count = 0.0
  /// Mean and biased variance of each channel of the batch.
  let mean: AlignedBuffer<Double>, variance: AlignedBuffer<Double>
  /// Σ gamma/σ·g and Σ gamma/σ²·g·xhat over the normalisations that have gone backward, per channel and padded.
  private let pulls: AlignedBuffer<Double>
  /// Places of the blocks of channels, of the maps and of their gradients.
  let blocks: AlignedBuffer<ck_channel_block_t>
  private let gradientBlocks: AlignedBuffer<ck_channel_block_t>
  /// Σ g and Σ g·(x − offset) of the last `accumulate`, [2][channels of its dy, padded].
  let backwardSums: AlignedBuffer<Double>
  /// Where the copy lies, if one is needed, and the gradients before their batch terms.
  let copy = OutputBuffer(), gradient = OutputBuffer()

  private let stored: Int
  private var partials = AlignedBuffer<Double>(count: 0)
  // Σx and Σx² of all channels and the count: of the global batch once they have travelled.
  private let sums: AlignedBuffer<Double>
  // The same, or the pulls, of one slice.
  private let sliceSums: AlignedBuffer<Double>
  private let factors: AlignedBuffer<Float>
  private let zeros: AlignedBuffer<Float>
  private var pending: StatisticsTicket?
  private var hasNewStatistics = false
  private var slices: [Tensor?]
  private var copied: Tensor?, gradients: Tensor?

  /// Slices of so many channels.
  init(widths: [Int], synchronized: Bool) {
    let starts = widths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    self.widths = widths
    self.starts = starts
    self.synchronized = synchronized
    isAligned = starts.dropLast().allSatisfy { $0 % Tensor.blockWidth == 0 }
    func padded(_ channels: Int) -> Int { (channels + 15) / 16 * 16 }
    stored = padded(starts[widths.count])
    let widest = padded(widths.max() ?? 0)
    mean = AlignedBuffer(count: stored)
    variance = AlignedBuffer(count: stored)
    pulls = AlignedBuffer(count: 2 * stored)
    blocks = AlignedBuffer(count: stored / 16)
    gradientBlocks = AlignedBuffer(count: stored / 16)
    backwardSums = AlignedBuffer(count: 2 * stored)
    sums = AlignedBuffer(count: 2 * stored + 1)
    sliceSums = AlignedBuffer(count: 2 * widest + 1)
    factors = AlignedBuffer(count: 3 * widest)
    zeros = AlignedBuffer(count: widest)
    slices = widths.map { _ in nil }
  }

  /// [N, C, H, W] of the first slices together.
  func shape(slices: Int, like maps: Shape) -> Shape {
    Shape(batch: maps.batch, channels: starts[slices], height: maps.height, width: maps.width)
  }

  /// Bytes of the sums for so many images.
  func keptBytes(images: Int) -> Int { images * stored * 2 * MemoryLayout<Double>.stride }

  // MARK: Forward

  /// Takes the maps of the next slice, and finds their statistics unless `context` recomputes.
  func append(_ maps: Tensor, slice: Int, _ context: StepContext) throws {
    precondition(
      maps.layout == .blocked && maps.shape.channels == widths[slice],
      "dense block: slice \(slice) has \(widths[slice]) channels, not \(maps.shape)")
    slices[slice] = maps
    if isAligned {
      place(maps, from: starts[slice] / 16, in: blocks)
    } else {
      if slice == 0 { prepareCopy(maps) }
      copyIn(maps, at: starts[slice])
    }
    guard !context.isRecomputing else { return }
    normalizesByBatch = context.isTraining
    if context.isTraining { try gatherStatistics(maps, slice, context) }
  }

  private func place(
    _ maps: Tensor, from first: Int, in table: borrowing AlignedBuffer<ck_channel_block_t>
  ) {
    let plane = maps.shape.cells * Tensor.blockWidth
    for block in 0..<maps.shape.blocks {
      table.pointer[first + block] = ck_channel_block_t(
        first: maps.pointer + block * plane, imageStride: Int64(maps.imageStride))
    }
  }

  private func prepareCopy(_ maps: Tensor) {
    let whole = copy.prepare(shape(slices: widths.count, like: maps.shape), .blocked, capacity: maps.capacity)
    // Later channels of a block are read, though not used, before they are there.
    whole.zero()
    copied = whole
    place(whole, from: 0, in: blocks)
  }

  private func copyIn(_ maps: Tensor, at start: Int) {
    guard let copied else { preconditionFailure("dense block: a slice before the first") }
    for n in 0..<maps.shape.batch {
      for c in 0..<maps.shape.channels {
        let (from, to) = (
          maps.pointer + maps.offset(n, c, 0, 0), copied.pointer + copied.offset(n, start + c, 0, 0)
        )
        for cell in 0..<maps.shape.cells { to[16 * cell] = from[16 * cell] }
      }
    }
  }

  private func gatherStatistics(_ maps: Tensor, _ slice: Int, _ context: StepContext) throws {
    let (start, width, padded) = (starts[slice], widths[slice], maps.shape.blocks * Tensor.blockWidth)
    reservePartials(maps)
    let found = sliceSums.pointer
    ck_channel_moments(
      Int64(maps.shape.batch), Int64(maps.shape.blocks), Int64(maps.shape.cells), maps.pointer, maps.pointer,
      zeros.pointer, partials.pointer, found)
    found[2 * padded] = Double(maps.shape.batch * maps.shape.cells)
    if synchronized {
      try context.exchange.reduce(UnsafeMutableBufferPointer(start: found, count: 2 * padded + 1), .sum)
    }
    count = found[2 * padded]
    hasNewStatistics = true
    sums.pointer[2 * stored] = count
    for c in 0..<width {
      sums.pointer[start + c] = found[c]
      sums.pointer[stored + start + c] = found[padded + c]
      (mean.pointer[start + c], variance.pointer[start + c]) = moments(start + c)
    }
  }

  /// Mean and biased variance of a channel from the sums; 0 and 0 if nothing was counted. Those of the global batch once
  /// the sums have travelled.
  func moments(_ c: Int) -> (mean: Double, variance: Double) {
    let count = max(summedCount, 1)
    let mean = sums.pointer[c] / count
    let variance = sums.pointer[stored + c] / count - mean * mean
    // A negative difference is rounding; NaN must stay NaN.
    return (mean, variance < 0 ? 0 : variance)
  }

  /// Number of values in the sums.
  var summedCount: Double { sums.pointer[2 * stored] }

  /// Sends the sums of all slices on their way, if the running statistics need those of other ranks.
  func startRunningStatistics(_ context: StepContext) throws {
    guard !synchronized else { return }
    pending = try context.exchange.start(
      UnsafeMutableBufferPointer(start: sums.pointer, count: 2 * stored + 1), .sum)
  }

  /// Waits for the sums. False if the running statistics have had them.
  func finishRunningStatistics(_ context: StepContext) throws -> Bool {
    guard hasNewStatistics else { return false }
    hasNewStatistics = false
    if let ticket = pending {
      pending = nil
      try context.exchange.finish(ticket)
    }
    return summedCount > 0
  }

  private func reservePartials(_ maps: Tensor) {
    let needed = max(maps.capacity, maps.shape.batch) * stored * 2
    if partials.count < needed { partials = AlignedBuffer(count: needed) }
  }

  // MARK: Backward

  /// With g = dy where the rectified normalisation of the first slices let x through: adds gamma/σ·g to their gradients and
  /// leaves Σ g and Σ g·(x − offset) in `backwardSums`. The first call of a step is that of the normalisation of all slices.
  ///
  /// - Parameters:
  ///   - dy: [N, C, H, W] of the first slices together.
  ///   - offset, scale, shift: the normalisation is max((x − offset)·scale + shift, 0).
  func accumulate(
    _ dy: Tensor, offset: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>
  ) {
    let isFirst = dy.shape.channels == channels
    if isFirst {
      let whole = gradient.prepare(dy.shape, .blocked, capacity: dy.capacity)
      place(whole, from: 0, in: gradientBlocks)
      gradients = whole
      reservePartials(dy)
      pulls.pointer.update(repeating: 0, count: pulls.count)
    }
    ck_dense_normalize_backward(
      Int64(dy.shape.batch), Int64(dy.shape.blocks), Int64(dy.shape.cells), blocks.pointer, dy.pointer,
      offset,
      scale, shift, isFirst ? 0 : 1, gradientBlocks.pointer, partials.pointer, backwardSums.pointer)
  }

  /// What a normalisation pulls at a channel: gamma/σ·Σ g and gamma/σ²·Σ g·xhat.
  func addPull(_ c: Int, sum: Double, product: Double) {
    pulls.pointer[c] += sum
    pulls.pointer[stored + c] += product
  }

  /// The gradient of a slice, once all normalisations above have added theirs:
  ///
  ///     dx = Σ gamma/σ·g − (1/n)·Σ gamma/σ·Σ g − (x − mean)·(1/n)·Σ gamma/σ²·Σ g·xhat,
  ///
  /// the outer sums over the normalisations, the inner ones over the n values of the global batch.
  func takeGradient(slice: Int, _ context: StepContext) throws -> Tensor {
    guard let maps = slices[slice] else { preconditionFailure("dense block: backward without a forward") }
    let padded = maps.shape.blocks * Tensor.blockWidth
    try findBatchTerms(slice, padded, context)
    let (offset, xScale, shift) = (factors.pointer, factors.pointer + padded, factors.pointer + 2 * padded)
    let dx = context.gradientPool.take(maps.shape, .blocked, capacity: maps.capacity)
    if isAligned {
      let first = starts[slice] / Tensor.blockWidth
      ck_dense_center(
        Int64(maps.shape.batch), Int64(maps.shape.blocks), Int64(maps.shape.cells),
        gradientBlocks.pointer + first,
        blocks.pointer + first, offset, xScale, shift, dx.pointer)
    } else {
      copyOut(slice, maps, offset: offset, xScale: xScale, shift: shift, into: dx)
    }
    return dx
  }

  /// offset, xScale and shift of dx = d + (x − offset)·xScale + shift, padded.
  private func findBatchTerms(_ slice: Int, _ padded: Int, _ context: StepContext) throws {
    let (start, width) = (starts[slice], widths[slice])
    factors.pointer.update(repeating: 0, count: 3 * padded)
    guard normalizesByBatch else { return }
    let found = sliceSums.pointer
    found.update(repeating: 0, count: 2 * padded)
    found.update(from: pulls.pointer + start, count: width)
    (found + padded).update(from: pulls.pointer + stored + start, count: width)
    if synchronized {
      try context.exchange.reduce(UnsafeMutableBufferPointer(start: found, count: 2 * padded), .sum)
    }
    let count = max(count, 1)
    for c in 0..<width {
      let mean = mean.pointer[start + c]
      let pull = -found[padded + c] / count
      factors.pointer[c] = Float(mean)
      factors.pointer[padded + c] = Float(pull)
      factors.pointer[2 * padded + c] = Float(-found[c] / count - pull * (mean - Double(Float(mean))))
    }
  }

  private func copyOut(
    _ slice: Int, _ maps: Tensor, offset: UnsafePointer<Float>, xScale: UnsafePointer<Float>,
    shift: UnsafePointer<Float>, into dx: Tensor
  ) {
    guard let gradients else { preconditionFailure("dense block: a gradient before the last slice's") }
    dx.zero()
    for n in 0..<maps.shape.batch {
      for c in 0..<maps.shape.channels {
        let at = maps.offset(n, c, 0, 0)
        let (x, to) = (maps.pointer + at, dx.pointer + at)
        let from = gradients.pointer + gradients.offset(n, starts[slice] + c, 0, 0)
        for i in stride(from: 0, to: 16 * maps.shape.cells, by: 16) {
          to[i] = from[i] + (x[i] - offset[c]) * xScale[c] + shift[c]
        }
      }
    }
  }
}
