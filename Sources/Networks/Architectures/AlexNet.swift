extension Architecture {
  /// AlexNet with one tower: Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014,
  /// arXiv:1404.5997), after Krizhevsky, Sutskever, Hinton (NIPS 2012). 61,100,840 parameters with 1000 classes.
  /// Names are torchvision's. Maps at the top: 13×13, 256 filters.
  public static let alexNet = Architecture(
    name: "alexnet", imageSize: 224, smallestImageSize: 63, learningRate: 0.01, weightDecay: 5e-4,
    dropout: 0.5
  ) { net in
    net.convolution("features.0", 64, kernel: 11, stride: 4, padding: 2)
    net.relu("features.1")
    net.maxPooling("features.2", kernel: 3, stride: 2)
    net.convolution("features.3", 192, kernel: 5, padding: 2)
    net.relu("features.4")
    net.maxPooling("features.5", kernel: 3, stride: 2)
    net.convolution("features.6", 384, kernel: 3, padding: 1)
    net.relu("features.7")
    net.convolution("features.8", 256, kernel: 3, padding: 1)
    net.relu("features.9")
    net.convolution("features.10", 256, kernel: 3, padding: 1)
    net.relu("features.11")
    net.interpretableTop { $0.maxPooling("features.12", kernel: 3, stride: 2) }
    net.flatten("flatten")
    net.dropout("classifier.0")
    net.linear("classifier.1", 4096)
    net.relu("classifier.2")
    net.dropout("classifier.3")
    net.linear("classifier.4", 4096)
    net.relu("classifier.5")
    net.logits("classifier.6")
  }
}
