extension Architecture {
  /// CNN-S of Chatfield, Simonyan, Vedaldi, Zisserman, "Return of the devil in the details" (BMVC 2014,
  /// arXiv:1405.3531). 102,908,520 parameters with 1000 classes. Maps at the top: 17×17, 512 filters.
  public static let vggS = Architecture(
    name: "vgg-s", imageSize: 224, smallestImageSize: 62, learningRate: 0.01, weightDecay: 5e-4, dropout: 0.5
  ) { net in
    net.convolution("conv1", 96, kernel: 7, stride: 2)
    net.relu("relu1")
    net.localResponseNormalization("norm1")
    net.maxPooling("pool1", kernel: 3, stride: 3, ceilMode: true)
    net.convolution("conv2", 256, kernel: 5)
    net.relu("relu2")
    net.maxPooling("pool2", kernel: 2, stride: 2, ceilMode: true)
    net.convolution("conv3", 512, kernel: 3, padding: 1)
    net.relu("relu3")
    net.convolution("conv4", 512, kernel: 3, padding: 1)
    net.relu("relu4")
    net.convolution("conv5", 512, kernel: 3, padding: 1)
    net.relu("relu5")
    net.interpretableTop { $0.maxPooling("pool5", kernel: 3, stride: 3, ceilMode: true) }
    net.classifier678()
  }
}
