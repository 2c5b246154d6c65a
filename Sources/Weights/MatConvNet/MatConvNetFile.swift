import Datasets
import Foundation
import MATFiles
import Networks

/// A network in MatConvNet's "simplenn" form, as its authors published them (vlfeat.org/matconvnet/pretrained): a cell
/// array `layers`, and `meta` or, in older files, `normalization` beside it.
///
/// Filters are [kh, kw, I, O] in column-major order, fully connected layers are convolutions over the whole map, and groups are
/// implied by filters that read fewer channels than there are. Channels are RGB, pixels in 0...255.
enum MatConvNetFile {
  /// Networks that MatConvNet distributes and that exist here.
  static let architectures: [Architecture] = [.vgg16, .caffeAlexNet, .vggM, .vggS]

  /// True if a file that begins so is one of MATLAB.
  static func mayBe(_ contents: Data) -> Bool { contents.starts(with: Array("MATLAB ".utf8)) }

  /// Reads the tensors under our names, [O, I, kh, kw] and [out, in].
  ///
  /// - Throws: `WeightsError`: `.unsupported` for a network that is none of ours.
  static func read(_ path: String) throws(WeightsError) -> WeightsFile {
    do throws(MATFileError) {
      let file = try MATFile(path)
      let meta = try optional(file, "meta")
      let normalization =
        if let meta { try meta.optionalField("normalization") } else { try optional(file, "normalization") }
      let classes = if let meta { try meta.optionalField("classes") } else { try optional(file, "classes") }
      return try read(file.read("layers"), normalization: normalization, classes: classes)
    } catch {
      throw WeightsError(error, path: path)
    }
  }

  /// The network of `layers`.
  ///
  /// - Throws: `MATFileError.unexpected` with what no network here has.
  static func read(
    _ layers: MATNode, normalization: MATNode?, classes: MATNode? = nil
  ) throws(MATFileError) -> WeightsFile {
    var theirs: [MatConvNetLayer] = []
    for node in try layers.elements() { theirs.append(try MatConvNetLayer(node)) }
    guard let (architecture, pairs) = paired(theirs) else {
      throw .unexpected(
        path: layers.path, place: layers.place,
        expected: "those of \(architectures.map(\.name).joined(separator: ", "))",
        found: theirs.map(\.name).filter { !$0.isEmpty }.joined(separator: " "))
    }
    return WeightsFile(
      path: layers.path, format: .matConvNet, tensors: pairs.flatMap { tensors($0, as: $1, layers.path) },
      metadata: classes.flatMap(metadata) ?? [:],
      statedArchitecture: architecture.name, statedPreprocessing: try preprocessing(normalization))
  }

  /// The network whose layers do what the file's do, in their order, each with its layer of the file. A file may end early.
  private static func paired(
    _ layers: [MatConvNetLayer]
  ) -> (Architecture, [(MatConvNetLayer, any Layer)])? {
    let theirs = layers.filter { if case .none = $0.operation { false } else { true } }
    for architecture in architectures {
      let ours = architecture.layers(NetworkOptions(outputs: 2)).layers.filter {
        !($0 is Flatten || $0 is Dropout)
      }
      let pairs = Array(zip(theirs, ours))
      let top = ours.lastIndex { $0 is Convolution } ?? 0
      if theirs.count > top, theirs.count <= ours.count, pairs.allSatisfy({ $0.matches($1) }) {
        return (architecture, pairs)
      }
    }
    return nil
  }

  /// Weights and biases of a layer.
  private static func tensors(_ theirs: MatConvNetLayer, as ours: any Layer, _ path: String) -> [StoredTensor]
  {
    guard case .convolution(let filters, let biases, _, _) = theirs.operation else { return [] }
    let extents = filters.extents + [Int](repeating: 1, count: 4 - filters.extents.count)
    let (height, width, inputs, outputs) = (extents[0], extents[1], extents[2], extents[3])
    let shape = ours is Linear ? [outputs, inputs * height * width] : [outputs, inputs, height, width]
    let values = MemoryStorage(transposed(filters.floats, height, width, inputs, outputs))
    return [
      StoredTensor("\(ours.name).weight", .float32, shape: shape, values, path: path),
      StoredTensor("\(ours.name).bias", .float32, shape: [outputs], MemoryStorage(biases.floats), path: path),
    ]
  }

  /// Column-major [kh, kw, I, O] → row-major [O, I, kh, kw].
  private static func transposed(
    _ values: [Float], _ height: Int, _ width: Int, _ inputs: Int, _ outputs: Int
  )
    -> [Float]
  {
    let cells = height * width
    return [Float](unsafeUninitializedCapacity: values.count) { result, count in
      for plane in 0..<inputs * outputs {
        for row in 0..<height {
          for column in 0..<width {
            result[plane * cells + row * width + column] = values[plane * cells + column * height + row]
          }
        }
      }
      count = values.count
    }
  }

  // MARK: preprocessing

  /// The mean of the file; nil if it says nothing.
  private static func preprocessing(_ normalization: MATNode?) throws(MATFileError) -> Preprocessing? {
    guard let normalization, let average = try normalization.optionalField("averageImage"), !average.isEmpty
    else { return nil }
    let sizes = try normalization.field("imageSize").numbers().doubles
    guard let side = sizes.first, side >= 1, side <= 4096, side == side.rounded() else {
      throw try normalization.field("imageSize").unexpected("a side in pixels")
    }
    let numbers = try average.numbers()
    let values = numbers.floats
    guard values.allSatisfy(\.isFinite) else { throw average.unexpected("finite numbers") }
    if values.count == 3 {
      return Preprocessing(imageSize: Int(side), meanKind: .channel, mean: values, scale: [1, 1, 1])
    }
    let extents = numbers.extents
    guard extents.count == 3, extents[2] == 3, extents[0] == extents[1] else {
      throw average.unexpected("3 numbers or a square image of 3 channels")
    }
    let size = extents[0]
    var image = [Float](repeating: 0, count: values.count)
    for row in 0..<size {
      for column in 0..<size {
        for channel in 0..<3 {
          image[(row * size + column) * 3 + channel] = values[row + size * (column + size * channel)]
        }
      }
    }
    return Preprocessing(imageSize: size, meanKind: .pixel, mean: image, scale: [1, 1, 1]).adapted(
      to: Int(side))
  }

  /// A variable of the file, nil if it has none of that name.
  private static func optional(_ file: MATFile, _ name: String) throws(MATFileError) -> MATNode? {
    do throws(MATFileError) {
      return try file.read(name)
    } catch {
      guard case .noVariable = error else { throw error }
      return nil
    }
  }

  /// What the logits stand for: the texts of `classes.description`, as JSON under the key that our files have. Nil if it
  /// has another form: labels are no reason to refuse weights.
  private static func metadata(_ classes: MATNode) -> [String: String]? {
    guard let names = try? classes.field("description").elements().map({ try $0.text() }), !names.isEmpty,
      let json = try? JSONEncoder().encode(names)
    else { return nil }
    return ["classes": String(decoding: json, as: UTF8.self)]
  }
}

extension WeightsError {
  /// The same of a file of weights.
  init(_ error: MATFileError, path: String) {
    self =
      switch error {
      case .missing: .missing(path: path)
      case .unreadable(_, let reason): .cannotRead(path: path, reason: reason)
      case .damaged(_, let reason): .damaged(path: path, reason: reason)
      case .notMATLAB(_, let found): .unsupported(path: path, reason: "MATLAB's format: \(found)")
      case .noVariable(_, let name, let found):
        .unsupported(path: path, reason: "no variable \(name), but \(found.joined(separator: ", "))")
      case .unexpected(_, let place, let expected, let found):
        .unsupported(path: path, reason: "\(place): \(quoted(found)), expected \(expected)")
      }
  }
}
