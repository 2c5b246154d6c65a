import Datasets
import Foundation

extension Preprocessing {
  /// What torchvision's classification weights were trained with: x/255, ImageNet's mean and standard deviation per
  /// channel (torchvision.transforms presets).
  public static func torchvision(imageSize: Int) -> Preprocessing {
    Preprocessing(
      imageSize: imageSize, meanKind: .channel, mean: [0.485, 0.456, 0.406].map { Float($0 * 255) },
      scale: [0.229, 0.224, 0.225].map { Float(1 / ($0 * 255)) })
  }

  /// The same for inputs of another side: the mean of every pixel becomes the mean of each channel.
  public func adapted(to imageSize: Int) -> Preprocessing {
    guard imageSize != self.imageSize else { return self }
    guard meanKind == .pixel else {
      return Preprocessing(imageSize: imageSize, meanKind: meanKind, mean: mean, scale: scale)
    }
    let cells = mean.count / 3
    let means = (0..<3).map { c in
      Float(stride(from: c, to: mean.count, by: 3).reduce(0.0) { $0 + Double(mean[$1]) } / Double(cells))
    }
    return Preprocessing(imageSize: imageSize, meanKind: .channel, mean: means, scale: scale)
  }

  /// As metadata of a safetensors file: JSON text, the mean of every pixel as base64 of little-endian floats.
  package func metadata(includesPixelMean: Bool = true) -> [String: String] {
    let stated = Stated(
      imageSize: imageSize, mean: meanKind, channels: meanKind == .channel ? mean : nil, scale: scale)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    // Numbers and a word: nothing in it can fail to encode but a value that is not finite.
    guard let json = try? encoder.encode(stated) else { return [:] }
    var result = ["preprocessing": String(decoding: json, as: UTF8.self)]
    if meanKind == .pixel && includesPixelMean {
      result["preprocessing.mean"] = mean.withUnsafeBytes { Data($0).base64EncodedString() }
    }
    return result
  }

  /// Reads `metadata`; `pixelMean` stands in for a mean that lies elsewhere. Nil if the metadata say nothing.
  ///
  /// - Throws: `WeightsError.damaged` if they say something impossible.
  init?(metadata: [String: String], pixelMean: [Float]?, path: String) throws(WeightsError) {
    guard let text = metadata["preprocessing"] else { return nil }
    guard let stated = try? JSONDecoder().decode(Stated.self, from: Data(text.utf8)),
      (1...16_384).contains(stated.imageSize), stated.scale.count == 3, stated.scale.allSatisfy(\.isFinite)
    else { throw .damaged(path: path, reason: "its preprocessing is malformed") }
    let mean: [Float]
    switch stated.mean {
    case .none: mean = [0, 0, 0]
    case .channel: mean = stated.channels ?? []
    case .pixel: mean = pixelMean ?? metadata["preprocessing.mean"].flatMap(Self.decode) ?? []
    }
    guard mean.count == (stated.mean == .pixel ? stated.imageSize * stated.imageSize * 3 : 3),
      mean.allSatisfy(\.isFinite)
    else { throw .damaged(path: path, reason: "its mean has \(mean.count) values") }
    self.init(imageSize: stated.imageSize, meanKind: stated.mean, mean: mean, scale: stated.scale)
  }

  private static func decode(_ base64: String) -> [Float]? {
    guard let data = Data(base64Encoded: base64), data.count % 4 == 0 else { return nil }
    return data.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
      ElementType.float32.floats(bytes, count: bytes.count / 4)
    }
  }

  /// What the JSON text holds. Pixels are on the scale 0...255: input = (pixel − mean) · scale.
  private struct Stated: Codable {
    let imageSize: Int
    let mean: MeanKind
    let channels: [Float]?
    let scale: [Float]
  }
}
