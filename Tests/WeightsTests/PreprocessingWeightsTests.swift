import Datasets
import Foundation
import Networks
import Testing

@testable import Weights

@Suite("Preprocessing of weights") struct PreprocessingWeightsTests {
  private static let image = (0..<12).map { Float($0) + 0.1 }

  @Test(
    "what is written as metadata is read",
    arguments: [
      Preprocessing(imageSize: 2, meanKind: .pixel, mean: image, scale: [0.1, 0.2, 1 / 3]),
      .torchvision(imageSize: 224),
      Preprocessing(imageSize: 16, meanKind: .none, mean: [0, 0, 0], scale: [1, 1, 1]),
    ])
  func roundTrip(_ preprocessing: Preprocessing) throws {
    let metadata = preprocessing.metadata()
    #expect(try Preprocessing(metadata: metadata, pixelMean: nil, path: "x") == preprocessing)
    #expect(try Preprocessing(metadata: [:], pixelMean: nil, path: "x") == nil)
  }

  @Test("torchvision's figures: x/255, mean, standard deviation")
  func torchvision() {
    let preprocessing = Preprocessing.torchvision(imageSize: 224)
    for (channel, (mean, deviation)) in zip([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).enumerated() {
      let input = (200 - preprocessing.mean[channel]) * preprocessing.scale[channel]
      #expect(abs(Double(input) - (200.0 / 255 - mean) / deviation) < 1e-6)
    }
  }

  @Test("for another size a mean image becomes the mean of each channel")
  func adapted() {
    let pixel = Preprocessing(imageSize: 2, meanKind: .pixel, mean: Self.image, scale: [1, 2, 3])
    #expect(pixel.adapted(to: 2) == pixel)
    let other = pixel.adapted(to: 5)
    #expect(other.meanKind == .channel && other.imageSize == 5 && other.scale == [1, 2, 3])
    for (mine, wanted) in zip(other.mean, [4.6, 5.6, 6.6]) { #expect(abs(mine - Float(wanted)) < 1e-5) }
    #expect(Preprocessing.torchvision(imageSize: 224).adapted(to: 96) == .torchvision(imageSize: 96))
  }

  @Test(
    "impossible metadata",
    arguments: [
      "", "{}", #"{"imageSize":0,"mean":"none","scale":[1,1,1]}"#,
      #"{"imageSize":2,"mean":"none","scale":[1,1]}"#,
      #"{"imageSize":2,"mean":"pixel","scale":[1,1,1]}"#,
      #"{"imageSize":2,"mean":"channel","scale":[1,1,1]}"#,
      #"{"imageSize":9000000000000,"mean":"pixel","scale":[1,1,1]}"#,
      #"{"imageSize":2,"mean":"x","scale":[1,1,1]}"#,
      #"{"imageSize":2,"mean":"none","scale":[1,1,1e99]}"#,
    ])
  func malformed(_ text: String) {
    let error = #expect(throws: WeightsError.self) {
      try Preprocessing(
        metadata: ["preprocessing": text, "preprocessing.mean": "AAAA"], pixelMean: nil, path: "x")
    }
    #expect(error?.exitCode == 65)
  }

  @Test("torchvision's is assumed of its networks in foreign files alone")
  func assumed() throws {
    let alexNet = try WeightsFile(path: Samples.bundled("alexnet_w16_f16.safetensors"))
    let match = ArchitectureMatch.only(for: alexNet)
    #expect(alexNet.preprocessing(for: match) == .torchvision(imageSize: 224))
    #expect(alexNet.preprocessing(for: nil) == nil)
    let ours = WeightsFile(
      path: "x", format: .safeTensors, tensors: alexNet.tensors, metadata: ["format": "icnn"])
    #expect(ours.preprocessing(for: match) == nil)
    let caffe = WeightsFile(path: "x", format: .matConvNet, tensors: alexNet.tensors)
    #expect(caffe.preprocessing(for: match) == nil)
  }
}
