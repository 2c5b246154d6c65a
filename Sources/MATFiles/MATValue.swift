/// A value of a MATLAB file. Arrays are column-major; `extents` are MATLAB's size().
public indirect enum MATValue: Sendable, Equatable {
  /// Numbers of any class, and logical values.
  case numbers(MATNumbers)
  /// A char array, read column by column: a row of characters is a text.
  case text(String)
  /// A struct or an array of structs.
  case structure(MATStructure)
  /// A cell array.
  case cell(extents: [Int], elements: [MATValue])
  /// Something that is not read (complex numbers, sparse matrices, functions, objects), in words.
  case unsupported(String)

  /// Like "double 2x1", "struct 1x3 (obj, class)".
  public var summary: String {
    switch self {
    case .numbers(let numbers): "\(numbers.className) \(Self.size(numbers.extents))"
    case .text(let text): "char 1x\(text.count)"
    case .structure(let structure):
      "struct \(Self.size(structure.extents)) (\(structure.fieldNames.joined(separator: ", ")))"
    case .cell(let extents, _): "cell \(Self.size(extents))"
    case .unsupported(let what): what
    }
  }

  private static func size(_ extents: [Int]) -> String { extents.map(String.init).joined(separator: "x") }
}

/// A numeric or logical array.
public struct MATNumbers: Sendable, Equatable {
  /// How the values are kept: as they are in the file, but for integers wider than 8 bits or signed, which become Double.
  public enum Storage: Sendable, Equatable {
    case doubles([Double])
    case floats([Float])
    case bytes([UInt8])
    /// 0 or 1.
    case logical([UInt8])
  }

  /// MATLAB's size(); at least two numbers.
  public let extents: [Int]
  /// As many values as the product of the extents, column-major.
  public let storage: Storage

  /// The number of values.
  public var count: Int {
    switch storage {
    case .doubles(let values): values.count
    case .floats(let values): values.count
    case .bytes(let values), .logical(let values): values.count
    }
  }

  /// All values as Double.
  public var doubles: [Double] {
    switch storage {
    case .doubles(let values): values
    case .floats(let values): values.map(Double.init)
    case .bytes(let values), .logical(let values): values.map(Double.init)
    }
  }

  /// All values as Float; doubles are rounded.
  public var floats: [Float] {
    switch storage {
    case .doubles(let values): values.map { Float($0) }
    case .floats(let values): values
    case .bytes(let values), .logical(let values): values.map(Float.init)
    }
  }

  /// "double" also stands for the integer classes that become Double.
  var className: String {
    switch storage {
    case .doubles: "double"
    case .floats: "single"
    case .bytes: "uint8"
    case .logical: "logical"
    }
  }
}

/// A struct array; a plain struct has one element.
public struct MATStructure: Sendable, Equatable {
  /// MATLAB's size().
  public let extents: [Int]
  /// In the file's order.
  public let fieldNames: [String]
  /// Element by element, for each its fields in the order of `fieldNames`.
  let values: [MATValue]

  /// The number of structs.
  public var count: Int { extents.reduce(1, *) }

  /// A field of a struct, counted from 0; nil if there is no such field.
  public func value(_ element: Int, _ field: String) -> MATValue? {
    guard let index = fieldNames.firstIndex(of: field) else { return nil }
    return values[element * fieldNames.count + index]
  }
}
