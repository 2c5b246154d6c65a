extension Architecture {
  /// ResNet-18: He, Zhang, Ren, Sun, "Deep residual learning for image recognition" (CVPR 2016, arXiv:1512.03385).
  /// 11,689,512 parameters with 1000 classes. Names are torchvision's. Maps at the top: 7×7, 512 filters.
  public static let resNet18 = Architecture(
    name: "resnet18", imageSize: 224, smallestImageSize: 33, learningRate: 0.03, weightDecay: 1e-4, dropout: 0
  ) { $0.residualStages([2, 2, 2, 2], bottleneck: false) }

  /// ResNet-50 of the same paper, with the stride in the 3×3 convolution as torchvision has it ("version 1.5").
  /// 25,557,032 parameters with 1000 classes. Maps at the top: 7×7, 2048 filters.
  public static let resNet50 = Architecture(
    name: "resnet50", imageSize: 224, smallestImageSize: 33, learningRate: 0.03, weightDecay: 1e-4, dropout: 0
  ) { $0.residualStages([3, 4, 6, 3], bottleneck: true) }
}

extension NetworkBuilder {
  /// A residual network with so many blocks in each stage.
  fileprivate mutating func residualStages(_ counts: [Int], bottleneck: Bool) {
    convolution("conv1", 64, kernel: 7, stride: 2, padding: 3, bias: false)
    batchNormalization("bn1")
    relu("relu")
    maxPooling("maxpool", kernel: 3, stride: 2, padding: 1)
    for (stage, count) in counts.enumerated() {
      for block in 0..<count {
        residualBlock(
          "layer\(stage + 1).\(block)", 64 << stage, stride: stage > 0 && block == 0 ? 2 : 1,
          changesShape: block == 0 && (stage > 0 || bottleneck), bottleneck: bottleneck)
      }
    }
    interpretableTopOfBlocks()
    globalAveragePooling("avgpool")
    flatten("flatten")
    logits("fc")
  }

  /// 3×3, 3×3; or 1×1, 3×3, 1×1 to four times as many channels.
  private mutating func residualBlock(
    _ name: String, _ channels: Int, stride: Int, changesShape: Bool, bottleneck: Bool
  ) {
    let outputs = bottleneck ? 4 * channels : channels
    let downsample = { (net: inout NetworkBuilder) in
      net.convolution("\(name).downsample.0", outputs, kernel: 1, stride: stride, bias: false)
      net.batchNormalization("\(name).downsample.1")
    }
    residual(name, shortcut: changesShape ? downsample : nil) { net in
      if bottleneck {
        net.convolution("\(name).conv1", channels, kernel: 1, bias: false)
      } else {
        net.convolution("\(name).conv1", channels, kernel: 3, stride: stride, padding: 1, bias: false)
      }
      net.batchNormalization("\(name).bn1")
      net.relu("\(name).relu1")
      net.convolution(
        "\(name).conv2", channels, kernel: 3, stride: bottleneck ? stride : 1, padding: 1, bias: false)
      net.batchNormalization("\(name).bn2")
      guard bottleneck else { return }
      net.relu("\(name).relu2")
      net.convolution("\(name).conv3", outputs, kernel: 1, bias: false)
      net.batchNormalization("\(name).bn3")
    }
  }
}
