import Datasets
import Foundation
import Networks
import Testing

@testable import MATFiles
@testable import Weights

@Suite("Files of MatConvNet") struct MatConvNetFileTests {
  private static let widths: [String: [String: Int]] = [
    "caffe-alexnet": ["conv1": 6, "conv2": 8, "conv3": 10, "conv4": 12, "conv5": 4, "fc6": 5, "fc7": 3],
    "vgg-m": ["conv1": 5, "conv2": 4, "conv3": 3, "conv4": 2, "conv5": 3, "fc6": 5, "fc7": 3],
    "vgg-s": ["conv1": 5, "conv2": 4, "conv3": 3, "conv4": 2, "conv5": 3, "fc6": 5, "fc7": 3],
    "vgg16": Dictionary(
      uniqueKeysWithValues: [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28].map {
        ("features.\($0)", 2 + $0 % 3)
      }
        + [("classifier.0", 3), ("classifier.3", 4)]),
  ]

  private func layers(_ name: String, _ builder: MatConvNetBuilder = .init()) throws -> [MATValue] {
    let architecture = try #require(Architecture.named(name))
    return builder.layers(architecture, widths: Self.widths[name] ?? [:], outputs: 4)
  }

  private func read(
    _ layers: [MATValue], normalization: MATValue? = nil, classes: MATValue? = nil
  ) throws -> WeightsFile {
    try MatConvNetFile.read(
      MATNode(.cell(extents: [1, layers.count], elements: layers), path: "file.mat", place: "layers"),
      normalization: normalization.map { MATNode($0, path: "file.mat", place: "normalization") },
      classes: classes.map { MATNode($0, path: "file.mat", place: "classes") })
  }

  @Test(
    "every network, of new and of old files, filters in our order",
    arguments: MatConvNetFile.architectures.map(\.name), [false, true])
  func networks(_ name: String, _ isOld: Bool) throws {
    let file = try read(layers(name, MatConvNetBuilder(isOld: isOld, hasScalars: isOld)))
    let match = try #require(ArchitectureMatch.only(for: file))
    #expect(match.architecture.name == name && match.outputs == 4 && match.widths == Self.widths[name])
    var options = NetworkOptions(outputs: 4)
    options.widths = match.widths
    let layers = match.architecture.layers(options).layers
    #expect(Set(file.tensors.map(\.name)) == Set(layers.flatMap(\.parameters).map(\.name)))
    for (index, layer) in layers.enumerated() where !layer.parameters.isEmpty {
      let weights = layer.parameters[0]
      let tensor = try #require(file[weights.name])
      #expect(tensor.shape == weights.shape)
      let side = side(of: layer, index, in: layers)
      #expect(try tensor.floats() == expected(weights.shape, layer: index, side: side), "\(weights.name)")
      let biases = (0..<weights.shape[0]).map { Float($0) - 0.5 }
      #expect(try file[layer.parameters[1].name]?.floats() == biases)
    }
  }

  /// Row-major [O, I, side, side]; a matrix reads its map channel by channel.
  private func expected(_ shape: [Int], layer: Int, side: Int) -> [Float] {
    let inputs = shape[1...].reduce(1, *) / (side * side)
    var values: [Float] = []
    for output in 0..<shape[0] {
      for input in 0..<inputs {
        for row in 0..<side {
          for column in 0..<side { values.append(MatConvNetBuilder.value(layer, output, input, row, column)) }
        }
      }
    }
    return values
  }

  /// Side of the kernel, or of the map that reaches a linear layer: that of the flatten for the first, 1 for the others.
  private func side(of layer: any Layer, _ index: Int, in layers: [any Layer]) -> Int {
    if let convolution = layer as? Convolution { return convolution.geometry.kernelHeight }
    guard let linear = layer as? Linear, !layers[..<index].contains(where: { $0 is Linear }) else { return 1 }
    let channels = layers[..<index].compactMap { ($0 as? Convolution)?.geometry.outputChannels }.last ?? 1
    let cells: Int = linear.inputs / channels
    return (1...64).first { $0 * $0 == cells } ?? 0
  }

  @Test("descriptions of classes become labels; without them, or in another form, there are none")
  func classes() throws {
    let layers = try layers("vgg-s")
    func labels(_ description: MATValue) throws -> String? {
      let classes = MatConvNetBuilder.structure([("name", .text("n01440764")), ("description", description)])
      return try read(layers, classes: classes).metadata["classes"]
    }
    let names: [MATValue] = [.text("tench, Tinca tinca"), .text("a \"b\""), .text("")]
    let json = try #require(try labels(.cell(extents: [1, 3], elements: names)))
    #expect(
      try JSONDecoder().decode([String].self, from: Data(json.utf8)) == ["tench, Tinca tinca", "a \"b\"", ""])
    #expect(try labels(.cell(extents: [1, 1], elements: [MatConvNetBuilder.numbers([1])])) == nil)
    #expect(try labels(.text("tench")) == nil)
    #expect(try read(layers).metadata == [:])
  }

  @Test("the authors' cut, layers(1:end-7), is a network without classifier")
  func cut() throws {
    let whole = try layers("caffe-alexnet")
    let top = try #require(
      whole.firstIndex {
        if case .structure(let s) = $0 { s.value(0, "name") == .text("relu5") } else { false }
      })
    let file = try read(Array(whole[...top]))
    #expect(file.tensors.map(\.name).last == "conv5.bias")
    #expect(ArchitectureMatch.only(for: file)?.outputs == nil)
    #expect(ArchitectureMatch.only(for: file)?.architecture.name == "caffe-alexnet")
    // Below the top convolution it is nothing.
    #expect(throws: MATFileError.self) { try read(Array(whole[..<(top - 1)])) }
  }

  /// The layers with one field of a named layer replaced.
  private func changed(_ name: String, _ field: String, _ value: MATValue) throws -> [MATValue] {
    var result = try layers("caffe-alexnet")
    for (index, layer) in result.enumerated() {
      guard case .structure(let structure) = layer, structure.value(0, "name") == .text(name) else {
        continue
      }
      var fields = structure.fieldNames.map { ($0, structure.value(0, $0) ?? .text("")) }
      fields.removeAll { $0.0 == field }
      result[index] = MatConvNetBuilder.structure(fields + [(field, value)])
    }
    return result
  }

  @Test(
    "what no network here does is refused",
    arguments: [
      ("relu1", "leak", MatConvNetBuilder.numbers([0.1])), ("pool1", "method", .text("avg")),
      ("pool1", "pool", MatConvNetBuilder.numbers([2, 2])),
      ("pool1", "stride", MatConvNetBuilder.numbers([3])),
      ("norm1", "param", MatConvNetBuilder.numbers([5, 2, 2e-5, 0.75])),
      ("norm1", "param", MatConvNetBuilder.numbers([5, 1])),
      ("norm1", "param", MatConvNetBuilder.numbers([5, 1, 1e-4, 0.75])),
      ("conv1", "stride", MatConvNetBuilder.numbers([2, 2])),
      ("conv1", "dilate", MatConvNetBuilder.numbers([2])),
      ("conv1", "pad", MatConvNetBuilder.numbers([1, 1, 1, 1])),
      ("conv2", "pad", MatConvNetBuilder.numbers([1, 2, 3])),
      ("conv2", "pad", MatConvNetBuilder.numbers([-1])),
      ("conv2", "type", .text("convt")), ("conv2", "type", MatConvNetBuilder.numbers([1])),
      ("conv2", "weights", .cell(extents: [1, 1], elements: [MatConvNetBuilder.numbers([1])])),
      ("conv2", "weights", .cell(extents: [1, 2], elements: [.text("a"), .text("b")])),
      ("fc6", "stride", MatConvNetBuilder.numbers([2])),
      (
        "conv2", "weights",
        .cell(
          extents: [1, 2],
          elements: [
            MatConvNetBuilder.singles([Float](repeating: 1, count: 600), [5, 5, 3, 8]),
            MatConvNetBuilder.numbers([1]),
          ])
      ),
    ] as [(String, String, MATValue)])
  func refused(_ layer: String, _ field: String, _ value: MATValue) throws {
    let layers = try changed(layer, field, value)
    let error = #expect(throws: MATFileError.self) { try read(layers) }
    #expect(error?.exitCode == 65)
  }

  @Test("CaffeNet, which pools before it normalises, is not taken for AlexNet")
  func order() throws {
    var layers = try layers("caffe-alexnet")
    layers.swapAt(2, 3)
    #expect(throws: MATFileError.self) { try read(layers) }
  }

  @Test("mean colours, mean images of the input's size and of others, none")
  func preprocessing() throws {
    let layers = try layers("vgg-m")
    func normalization(_ average: MATValue, side: Double = 3) -> MATValue {
      MatConvNetBuilder.structure([
        ("imageSize", MatConvNetBuilder.numbers([side, side, 3])), ("averageImage", average),
      ])
    }
    func preprocessing(_ value: MATValue?) throws -> Preprocessing? {
      try read(layers, normalization: value).statedPreprocessing
    }
    let colours = MatConvNetBuilder.singles([123, 117, 104], [1, 1, 3])
    #expect(
      try preprocessing(normalization(colours, side: 224))
        == Preprocessing(imageSize: 224, meanKind: .channel, mean: [123, 117, 104], scale: [1, 1, 1]))
    // Column-major: rows, then columns, then channels.
    let image = MatConvNetBuilder.singles((0..<27).map { Float($0) }, [3, 3, 3])
    let known = try #require(try preprocessing(normalization(image)))
    #expect(known.meanKind == .pixel && known.imageSize == 3)
    let (redAt12, blueAt20) = (known.mean[(1 * 3 + 2) * 3], known.mean[(2 * 3 + 0) * 3 + 2])
    #expect(redAt12 == 7 && blueAt20 == 20)
    let other = try #require(try preprocessing(normalization(image, side: 5)))
    #expect(other.meanKind == .channel && other.mean == [4, 13, 22] && other.imageSize == 5)
    #expect(try preprocessing(nil) == nil)
    #expect(try preprocessing(normalization(MatConvNetBuilder.numbers([]))) == nil)
    for bad in [
      normalization(MatConvNetBuilder.singles([1, 2], [1, 2])), normalization(colours, side: 0),
      normalization(MatConvNetBuilder.singles([.nan, 1, 1], [1, 1, 3])),
      normalization(MatConvNetBuilder.singles([Float](repeating: 1, count: 18), [3, 2, 3])),
    ] {
      #expect(throws: MATFileError.self) { try preprocessing(bad) }
    }
  }

  @Test("a real file")
  func bundled() throws {
    let file = try WeightsFile(path: Samples.bundled("imagenet-caffe-alex_w16.mat"))
    #expect(file.format == .matConvNet && file.statedArchitecture == "caffe-alexnet")
    #expect(file.statedPreprocessing?.meanKind == .pixel && file.statedPreprocessing?.imageSize == 227)
    #expect(file["conv2.weight"]?.shape == [16, 3, 5, 5])
    #expect(file["fc6.weight"]?.shape == [64, 576])
    // From expected.json: the first values of filters in our order, and of biases.
    let known: [(String, [Float])] = [
      ("conv1.weight", [0.0003444, -0.0023179, 0.001807]),
      ("conv1.bias", [-0.1719176, 0.1830237, -0.1655119]),
      ("conv2.weight", [-0.1949788, -0.189654, -0.1131529]),
      ("conv4.weight", [-0.2594583, 0.0541237, -0.2916144]),
      ("conv5.bias", [0.1931952, -0.0464405, 0.0847621]),
    ]
    for (name, values) in known {
      let mine = try #require(try file[name]?.floats())
      for (a, b) in zip(mine, values) { #expect(abs(a - b) <= 1e-6, "\(name)") }
    }
    try Samples.withFolder { folder in
      let whole = try Data(contentsOf: URL(fileURLWithPath: file.path))
      for length in [10, 130, 2000, whole.count / 2] {
        try whole.prefix(length).write(to: URL(fileURLWithPath: folder + "/cut.mat"))
        let error = #expect(throws: WeightsError.self) { try WeightsFile(path: folder + "/cut.mat") }
        #expect(error?.exitCode == 65)
      }
    }
  }
}
