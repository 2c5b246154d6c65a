import Foundation
import Networks
import Tensors

@testable import Datasets
@testable import Interpretability

/// A network whose feature maps are the given ones, on a split whose annotations are the given ones: maps [I, F, n, n],
/// each value the top-left pixel of a block of the input, which a convolution with one tap picks. So metrics are tested
/// through everything that a real network goes through.
struct PlantedMaps {
  var imageCount: Int
  var filterCount: Int
  /// Cells along a side of a map.
  var side: Int
  /// Pixels of the input along a side of a cell.
  var stride: Int
  /// [I, F, n, n].
  var maps: [Double]
  var labels: [Int]
  var classNames = ["object", "other"]
  /// 1: filters may belong to class 0 alone.
  var outputs = 1
  /// Parts of each image, in pixels of the input, which is also the extent of the stored images.
  var parts: [[PartAnnotation]]
  /// Masks by their path.
  var masks: [String: [UInt8]] = [:]
  /// Bytes of every image file; the maps do not depend on them.
  var imageBytes: [UInt8] = [0]
  /// A mask stage follows the ReLU.
  var isMasked = false
  var options = FilterMetrics.Options()

  /// One class, no parts.
  init(_ maps: [Double], images: Int, filters: Int, side: Int, stride: Int = 2, labels: [Int]? = nil) {
    self.maps = maps
    imageCount = images
    filterCount = filters
    self.side = side
    self.stride = stride
    self.labels = labels ?? Array(repeating: 0, count: images)
    parts = Array(repeating: [], count: images)
  }

  var inputSide: Int { side * stride }

  func folder() throws -> ImageFolder {
    var files = masks
    var lines = ""
    for image in 0..<imageCount {
      let path = "images/\(classNames[labels[image]])/\(String(format: "%05d", image)).png"
      files[path] = imageBytes
      let json: [String: Any] = [
        "image": path, "split": "val", "width": inputSide, "height": inputSide,
        "parts": try JSONSerialization.jsonObject(with: JSONEncoder().encode(parts[image])),
      ]
      lines += String(decoding: try JSONSerialization.data(withJSONObject: json), as: UTF8.self) + "\n"
    }
    // A folder has two classes or more, whatever the split holds.
    for name in classNames { files["images/\(name)/train.png"] = [0] }
    for name in classNames { lines += "{\"image\":\"images/\(name)/train.png\",\"split\":\"train\"}\n" }
    return try ImageFolder(named: "planted", files: files, annotations: Array(lines.utf8))
  }

  /// The validation images, in the order of `maps`.
  func entries(_ folder: ImageFolder) -> [LearningTask.Entry] {
    let byName = Dictionary(
      uniqueKeysWithValues: folder.samples.indices.map { (folder.samples[$0].path, $0) })
    return (0..<imageCount).map { image in
      let path = "images/\(classNames[labels[image]])/\(String(format: "%05d", image)).png"
      return LearningTask.Entry(sample: byName[path]!, label: labels[image])
    }
  }

  func network() -> Network {
    let input = Shape(batch: 1, channels: filterCount, height: inputSide, width: inputSide)
    let maps = Shape(batch: 1, channels: filterCount, height: side, width: side)
    let convolution = Convolution(
      "top",
      ConvolutionGeometry(
        inputChannels: filterCount, outputChannels: filterCount, kernel: stride, stride: stride),
      input: .interleaved)
    var layers: [any Layer] = [convolution, ReLU("relu")]
    if isMasked { layers.append(InterpretableMask("mask", shape: maps, categories: 2, outputs: outputs)) }
    layers += [Flatten("flatten"), Linear("logits", inputs: maps.features, outputs: outputs)]
    let network = Network(name: "planted", inputShape: input, layers: layers)
    network.fuseRectifiers()
    var weights = [Float](repeating: 0, count: convolution.weights.count)
    for filter in 0..<filterCount { weights[(filter * filterCount + filter) * stride * stride] = 1 }
    convolution.weights.importValues(weights)
    return network
  }

  /// The input of images at some positions.
  func input(_ images: Range<Int>) -> Tensor {
    let tensor = Tensor(
      Shape(batch: images.count, channels: filterCount, height: inputSide, width: inputSide), .interleaved)
    for (n, image) in images.enumerated() {
      for filter in 0..<filterCount {
        for cell in 0..<side * side {
          tensor[n, filter, cell / side * stride, cell % side * stride] = Float(
            maps[(image * filterCount + filter) * side * side + cell])
        }
      }
    }
    return tensor
  }

  /// Measures in batches of `batchSize`, shared among the ranks as in training.
  func measure(batchSize: Int = 7, layer: String? = nil, _ ranks: RankGather = .single) throws -> (
    FilterRecords, FilterMetrics
  ) {
    let network = network()
    let context = StepContext()
    context.mode = .evaluation
    context.categoryCount = classNames.count
    let folder = try folder()
    let study = try FilterStudy(
      network, context, layer: layer, entries: entries(folder), classNames: classNames, folder,
      InputFrame(imageSize: inputSide), options: options, ranks)
    let sampler = ShardedSampler(entryCount: imageCount, batchSize: batchSize, seed: nil)
    return try study.run { observer in
      network.observer = observer
      for batch in 0..<sampler.batchesPerEpoch {
        let share = sampler.positions(batch: batch, rank: ranks.rank, rankCount: ranks.rankCount)
        context.sampleKeys = share.map { UInt64($0) }
        _ = try network.forward(input(share), context)
      }
    }
  }
}
