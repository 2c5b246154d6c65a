extension Architecture {
  /// CNN-M of Chatfield, Simonyan, Vedaldi, Zisserman, "Return of the devil in the details" (BMVC 2014,
  /// arXiv:1405.3531). 102,908,520 parameters with 1000 classes. Maps at the top: 13×13, 512 filters.
  public static let vggM = Architecture(
    name: "vgg-m", imageSize: 224, smallestImageSize: 76, learningRate: 0.01, weightDecay: 5e-4, dropout: 0.5
  ) { net in
    net.convolution("conv1", 96, kernel: 7, stride: 2)
    net.relu("relu1")
    net.localResponseNormalization("norm1")
    net.maxPooling("pool1", kernel: 3, stride: 2, ceilMode: true)
    net.convolution("conv2", 256, kernel: 5, stride: 2, padding: 1)
    net.relu("relu2")
    net.localResponseNormalization("norm2")
    net.maxPooling("pool2", kernel: 3, stride: 2, ceilMode: true)
    net.convolution("conv3", 512, kernel: 3, padding: 1)
    net.relu("relu3")
    net.convolution("conv4", 512, kernel: 3, padding: 1)
    net.relu("relu4")
    net.convolution("conv5", 512, kernel: 3, padding: 1)
    net.relu("relu5")
    net.interpretableTop { $0.maxPooling("pool5", kernel: 3, stride: 2, ceilMode: true) }
    net.classifier678()
  }
}

extension NetworkBuilder {
  /// The fully connected layers of the CNN-M and CNN-S.
  mutating func classifier678() {
    flatten("flatten")
    linear("fc6", 4096)
    relu("relu6")
    dropout("dropout6")
    linear("fc7", 4096)
    relu("relu7")
    dropout("dropout7")
    logits("fc8")
  }
}
