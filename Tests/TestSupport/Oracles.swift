import Tensors

/// `count` numbers in [lower, upper), a pure function of the seed.
public func randomValues(_ count: Int, seed: UInt64, _ lower: Float = -1, _ upper: Float = 1) -> [Float] {
  var source = RandomSource(seed: seed, purpose: .test)
  return (0..<count).map { _ in source.uniform(lower, upper) }
}

/// A tensor of random values in [lower, upper), its padding zero.
public func randomTensor(
  _ shape: Shape, _ layout: Layout, seed: UInt64, _ lower: Float = -1, _ upper: Float = 1
) -> Tensor {
  let tensor = Tensor(shape, layout)
  tensor.fill(from: randomValues(shape.batch * shape.features, seed: seed, lower, upper))
  return tensor
}

/// max |a − b| / max(|b|, smallest), over all values; infinite if a value is NaN in one of them only or counts differ.
public func relativeDifference(_ a: [Float], _ b: [Double], smallest: Double = 1e-6) -> Double {
  guard a.count == b.count else { return .infinity }
  var difference = 0.0
  var magnitude = smallest
  for (x, y) in zip(a, b) {
    if x.isNaN != y.isNaN { return .infinity }
    if x.isNaN { continue }
    difference = max(difference, abs(Double(x) - y))
    magnitude = max(magnitude, abs(y))
  }
  return difference / magnitude
}

/// True if every value of the padding of a blocked tensor is zero.
public func paddingIsZero(_ tensor: Tensor) -> Bool {
  let block = Tensor.blockWidth
  guard tensor.layout == .blocked, tensor.shape.channels % block != 0 else { return true }
  let (blocks, cells) = (tensor.shape.blocks, tensor.shape.cells)
  for n in 0..<tensor.shape.batch {
    for cell in 0..<cells {
      let lastBlock = tensor.pointer + ((n * blocks + blocks - 1) * cells + cell) * block
      for lane in tensor.shape.channels % block..<block where lastBlock[lane] != 0 { return false }
    }
  }
  return true
}
