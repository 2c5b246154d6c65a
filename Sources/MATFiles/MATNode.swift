/// A value and where it stands, so that what is not as expected can be named.
public struct MATNode: Sendable {
  /// The value.
  public let value: MATValue
  /// The file.
  public let path: String
  /// As MATLAB would write it: `samples(3).obj.bndbox`.
  public let place: String
  /// Which struct of an array, counted from 0; nil for the whole.
  private let element: Int?

  init(_ value: MATValue, path: String, place: String, element: Int? = nil) {
    self.value = value
    self.path = path
    self.place = place
    self.element = element
  }

  /// An error about this place.
  public func unexpected(_ expected: String) -> MATFileError {
    .unexpected(path: path, place: place, expected: expected, found: value.summary)
  }

  /// The number of elements: structs, cells, numbers or characters.
  public var count: Int {
    switch value {
    case .numbers(let numbers): numbers.count
    case .text(let text): text.count
    case .structure(let structure): element == nil ? structure.count : 1
    case .cell(_, let elements): elements.count
    case .unsupported: 0
    }
  }

  /// Whether it is MATLAB's [] or anything else without an element.
  public var isEmpty: Bool {
    if case .unsupported = value { false } else { count == 0 }
  }

  /// The structs of a struct array or the contents of a cell array, in order; of [] none. Throws `.unexpected`.
  public func elements() throws(MATFileError) -> [MATNode] {
    switch value {
    case .structure(let structure):
      if element != nil { return [self] }
      return (0..<structure.count).map {
        MATNode(value, path: path, place: structure.count == 1 ? place : "\(place)(\($0 + 1))", element: $0)
      }
    case .cell(_, let elements):
      return elements.enumerated().map { MATNode($1, path: path, place: "\(place){\($0 + 1)}") }
    case .numbers(let numbers) where numbers.count == 0: return []
    default: throw unexpected("a struct array or a cell array")
    }
  }

  /// The names of a struct's fields, of anything else none.
  public var fieldNames: [String] {
    if case .structure(let structure) = value { structure.fieldNames } else { [] }
  }

  /// A field of a single struct. Throws `.unexpected`.
  public func field(_ name: String) throws(MATFileError) -> MATNode {
    guard let field = try optionalField(name) else { throw unexpected("a struct with the field \(name)") }
    return field
  }

  /// A field of a single struct, nil if it has none of that name. Throws `.unexpected` for anything but one struct.
  public func optionalField(_ name: String) throws(MATFileError) -> MATNode? {
    guard case .structure(let structure) = value, element != nil || structure.count == 1 else {
      throw unexpected("one struct")
    }
    guard let field = structure.value(element ?? 0, name) else { return nil }
    return MATNode(field, path: path, place: "\(place).\(name)")
  }

  /// Numbers of any class. Throws `.unexpected`.
  public func numbers() throws(MATFileError) -> MATNumbers {
    guard case .numbers(let numbers) = value else { throw unexpected("numbers") }
    return numbers
  }

  /// One finite number. Throws `.unexpected`.
  public func number() throws(MATFileError) -> Double {
    guard case .numbers(let numbers) = value, numbers.count == 1, let number = numbers.doubles.first,
      number.isFinite
    else { throw unexpected("one finite number") }
    return number
  }

  /// A text; [] is the empty one. Throws `.unexpected`.
  public func text() throws(MATFileError) -> String {
    if case .text(let text) = value { return text }
    guard isEmpty else { throw unexpected("a text") }
    return ""
  }
}
