extension Architecture {
  /// A small VGG-like network with batch normalisation for images of 64 to 128 pixels: ours, for laptops, demos and
  /// tests. 3×3 convolutions of 32, 64, 64, 128, 128 and 192 filters, three poolings below the top. At 96 pixels the
  /// top maps are 12×12.
  public static let compact = Architecture(
    name: "compact", imageSize: 96, smallestImageSize: 16, learningRate: 0.03, weightDecay: 5e-4,
    dropout: 0.3, epochs: 60, scaleJitter: 0.25, colorJitter: 0.2
  ) { net in
    var index = 0
    for (stage, widths) in [[32], [64, 64], [128, 128], [192]].enumerated() {
      for channels in widths {
        net.convolution("features.\(index)", channels, kernel: 3, padding: 1, bias: false)
        net.batchNormalization("features.\(index + 1)")
        net.relu("features.\(index + 2)")
        index += 3
      }
      if stage < 3 {
        net.maxPooling("features.\(index)", kernel: 2, stride: 2)
        index += 1
      }
    }
    net.interpretableTop(batchNormalization: true) {
      $0.maxPooling("features.\(index)", kernel: 2, stride: 2)
    }
    // Averages over the map instead of a wide hidden layer: six thousand inputs would hold the learning rate of
    // everything below down, and a few hundred photographs would be learned by heart.
    net.globalAveragePooling("pool")
    net.flatten("flatten")
    net.dropout("classifier.0")
    net.logits("classifier.1")
  }
}
