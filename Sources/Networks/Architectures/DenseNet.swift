extension Architecture {
  /// DenseNet-121: Huang, Liu, van der Maaten, Weinberger, "Densely connected convolutional networks" (CVPR 2017,
  /// arXiv:1608.06993). 7,978,856 parameters with 1000 classes. Names are torchvision's. Maps at the top: 7×7, 1024
  /// channels.
  public static let denseNet121 = Architecture(
    name: "densenet121", imageSize: 224, smallestImageSize: 61, learningRate: 0.03, weightDecay: 1e-4,
    dropout: 0
  ) { net in
    net.convolution("features.conv0", 64, kernel: 7, stride: 2, padding: 3, bias: false)
    net.batchNormalization("features.norm0")
    net.relu("features.relu0")
    net.maxPooling("features.pool0", kernel: 3, stride: 2, padding: 1)
    for (index, count) in [6, 12, 24, 16].enumerated() {
      let isLast = index == 3
      let transition = "features.transition\(index + 1)"
      net.denseBlock(
        "features.denseblock\(index + 1)", count: count, growth: 32, bottleneck: 128,
        closing: isLast ? "features.norm5" : "\(transition).norm")
      guard !isLast else { break }
      net.convolution("\(transition).conv", 128 << index, kernel: 1, bias: false)
      net.averagePooling("\(transition).pool", kernel: 2, stride: 2)
    }
    net.interpretableTopOfBlocks()
    net.globalAveragePooling("avgpool")
    net.flatten("flatten")
    net.logits("classifier")
  }
}
