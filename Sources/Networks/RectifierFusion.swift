/// A layer that can do the backward of a ReLU before it while it writes its dx.
protocol RectifiedInput: Layer {
  /// x is the output of a ReLU whose backward is done here: dx is 0 where x ≤ 0.
  var inputIsRectified: Bool { get set }
}

extension Network {
  /// Lets ReLUs disappear into their neighbours, which spares whole passes over memory, or brings them back: the
  /// convolution before rectifies what it writes, the layer after masks the gradient it writes. Every number stays
  /// what it was, but for an observer, who sees a fused convolution's output rectified and a fused ReLU's gradient
  /// before its mask.
  public func fuseRectifiers(_ enabled: Bool = true) {
    memory.forgetPlans()
    for (index, layer) in layers.enumerated() {
      guard let relu = layer as? ReLU else { continue }
      if index > 0, let before = layers[index - 1] as? Convolution {
        before.rectifies = enabled
        relu.isForwardFused = enabled
      }
      if index + 1 < layers.count, let after = layers[index + 1] as? any RectifiedInput {
        after.inputIsRectified = enabled
        relu.isBackwardFused = enabled
      }
    }
  }
}
