extension Architecture {
  /// VGG-16 (configuration D): Simonyan, Zisserman, "Very deep convolutional networks for large-scale image
  /// recognition" (ICLR 2015, arXiv:1409.1556). 138,357,544 parameters with 1000 classes. Names are torchvision's.
  /// Maps at the top: 14×14, 512 filters.
  public static let vgg16 = Architecture(
    name: "vgg16", imageSize: 224, smallestImageSize: 32, learningRate: 0.01, weightDecay: 5e-4, dropout: 0.5
  ) { net in
    var index = 0
    for (stage, (channels, count)) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)].enumerated() {
      for _ in 0..<count {
        net.convolution("features.\(index)", channels, kernel: 3, padding: 1)
        net.relu("features.\(index + 1)")
        index += 2
      }
      if stage < 4 {
        net.maxPooling("features.\(index)", kernel: 2, stride: 2)
        index += 1
      }
    }
    net.interpretableTop { $0.maxPooling("features.\(index)", kernel: 2, stride: 2) }
    net.flatten("flatten")
    net.linear("classifier.0", 4096)
    net.relu("classifier.1")
    net.dropout("classifier.2")
    net.linear("classifier.3", 4096)
    net.relu("classifier.4")
    net.dropout("classifier.5")
    net.logits("classifier.6")
  }
}
