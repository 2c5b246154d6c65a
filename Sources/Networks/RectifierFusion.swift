/// A layer that can do the forward of a ReLU after it while it writes its output.
protocol RectifyingOutput: Layer {
  /// The output passes through a ReLU on its way to memory: y = max(…, 0).
  var rectifies: Bool { get set }
}

/// A layer that can do the backward of a ReLU before it while it writes its dx.
protocol RectifiedInput: Layer {
  /// x is the output of a ReLU whose backward is done here: dx is 0 where x ≤ 0.
  var inputIsRectified: Bool { get set }
}

extension Network {
  /// Lets ReLUs disappear into their neighbours, which spares whole passes over memory, or brings them back: the
  /// convolution or batch normalisation before rectifies what it writes, the layer after masks the gradient it writes. Every number stays
  /// what it was, but for an observer, who sees a fused convolution's output rectified and a fused ReLU's gradient
  /// before its mask.
  public func fuseRectifiers(_ enabled: Bool = true) {
    memory.forgetPlans()
    Self.fuse(layers, enabled)
  }

  /// Whether a layer rectifies what it writes.
  public var fusesRectifiers: Bool { leaves.contains { ($0 as? any RectifyingOutput)?.rectifies == true } }

  static func fuse(_ layers: [any Layer], _ enabled: Bool) {
    for (index, layer) in layers.enumerated() {
      if let block = layer as? Residual {
        fuse(block.body, enabled)
        fuse(block.shortcut, enabled)
        if index + 1 < layers.count, let after = layers[index + 1] as? any RectifiedInput {
          after.inputIsRectified = enabled
          block.isBackwardFused = enabled
        }
      }
      if let block = layer as? DenseBlock { fuse(block.parts, enabled) }
      guard let relu = layer as? ReLU else { continue }
      if index > 0, let before = layers[index - 1] as? any RectifyingOutput {
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
