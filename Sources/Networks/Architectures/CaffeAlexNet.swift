extension Architecture {
  /// AlexNet as Caffe trained it and MatConvNet distributes it ("imagenet-caffe-alex"), the network of the paper's
  /// experiments: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks"
  /// (NIPS 2012). Unlike `alexNet` it has response normalisation, two groups in three of its convolutions, no padding at
  /// the first, and images of 227 pixels. 60,965,224 parameters with 1000 classes. Maps at the top: 13×13, 256 filters.
  public static let caffeAlexNet = Architecture(
    name: "caffe-alexnet", imageSize: 227, smallestImageSize: 67, learningRate: 0.01, weightDecay: 5e-4,
    dropout: 0.5
  ) { net in
    net.convolution("conv1", 96, kernel: 11, stride: 4)
    net.relu("relu1")
    net.localResponseNormalization("norm1", kappa: 1, alphaOfMean: 1e-4)
    net.maxPooling("pool1", kernel: 3, stride: 2, ceilMode: true)
    net.convolution("conv2", 256, kernel: 5, padding: 2, groups: 2)
    net.relu("relu2")
    net.localResponseNormalization("norm2", kappa: 1, alphaOfMean: 1e-4)
    net.maxPooling("pool2", kernel: 3, stride: 2, ceilMode: true)
    net.convolution("conv3", 384, kernel: 3, padding: 1)
    net.relu("relu3")
    net.convolution("conv4", 384, kernel: 3, padding: 1, groups: 2)
    net.relu("relu4")
    net.convolution("conv5", 256, kernel: 3, padding: 1, groups: 2)
    net.relu("relu5")
    net.interpretableTop { $0.maxPooling("pool5", kernel: 3, stride: 2, ceilMode: true) }
    net.classifier678()
  }
}
