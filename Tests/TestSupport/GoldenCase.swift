import Foundation

/// A tensor of a golden file, or an array of its numbers: shape and values in row-major order.
public struct GoldenTensor: Sendable {
  /// Extents; empty for a scalar.
  public let shape: [Int]
  /// Row-major.
  public let values: [Double]

  /// As floats.
  public var floats: [Float] { values.map { Float($0) } }
  /// As indices.
  public var integers: [Int] { values.map { Int($0) } }
}

/// One golden file: a JSON object with `kind`, `name`, `params`, `input`, `expected…`.
public struct GoldenCase: Sendable {
  /// Where it was read from.
  public let file: URL
  /// What it checks: `paper_layer`, …
  public let kind: String
  private let root: JSONValue

  /// Reads a file.
  public init(_ file: URL) throws {
    self.file = file
    root = try JSONDecoder().decode(JSONValue.self, from: Data(contentsOf: file))
    kind = root["kind"]?.string ?? "no kind"
  }

  /// The name of the file.
  public var testDescription: String { file.deletingPathExtension().lastPathComponent }

  /// The value at a path of keys and indices ("iterations", "0", "mode"); nil if absent or null.
  public func value(_ path: String...) -> JSONValue? { find(path) }

  /// The tensor at a path; nil if absent or null.
  public func optionalTensor(_ path: String...) -> GoldenTensor? { find(path)?.tensor }

  /// The tensor at a path; throws if there is none.
  public func tensor(_ path: String...) throws -> GoldenTensor {
    guard let tensor = find(path)?.tensor else { throw GoldenError(file: file, path: path) }
    return tensor
  }

  /// The number at a path; throws if there is none.
  public func number(_ path: String...) throws -> Double {
    guard let number = find(path)?.number else { throw GoldenError(file: file, path: path) }
    return number
  }

  private func find(_ path: [String]) -> JSONValue? {
    var value: JSONValue? = root
    for key in path { value = value?[key] }
    if case .null = value { return nil }
    return value
  }
}

/// A golden file lacks what its kind needs.
public struct GoldenError: Error, CustomStringConvertible {
  let file: URL
  let path: [String]

  /// File and path.
  public var description: String { "golden file – \(file.path): no \(path.joined(separator: "."))" }
}

/// A JSON document.
public enum JSONValue: Decodable, Sendable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// Any JSON.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode([JSONValue].self) {
      self = .array(value)
    } else if let value = try? container.decode([String: JSONValue].self) {
      self = .object(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else {
      self = .bool(try container.decode(Bool.self))
    }
  }

  /// The member of an object, or the element of an array.
  public subscript(key: String) -> JSONValue? {
    switch self {
    case .object(let members): members[key]
    case .array(let elements): Int(key).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
    default: nil
    }
  }

  /// The number of members of an object.
  public var memberCount: Int? { if case .object(let members) = self { members.count } else { nil } }
  /// The elements, if it is an array.
  public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  /// The number, if it is one.
  public var number: Double? { if case .number(let value) = self { value } else { nil } }
  /// The string, if it is one.
  public var string: String? { if case .string(let value) = self { value } else { nil } }

  /// A number, an array of numbers or `{"shape", "data"}` as a tensor.
  public var tensor: GoldenTensor? {
    switch self {
    case .number(let value): return GoldenTensor(shape: [], values: [value])
    case .array(let elements):
      let values = elements.compactMap(\.number)
      return values.count == elements.count ? GoldenTensor(shape: [values.count], values: values) : nil
    case .object(let members):
      guard let shape = members["shape"]?.array?.compactMap(\.number),
        let data = members["data"]?.array?.compactMap(\.number)
      else { return nil }
      return GoldenTensor(shape: shape.map { Int($0) }, values: data)
    default: return nil
    }
  }
}
