/// A value that a pickle may build here. Containers, tensors and storages are numbers in a `PickleArena`: a value holds no
/// other value, so that nothing recurses, nothing can form a cycle of owners, and a copy costs a few bytes.
enum PickleValue {
  case none
  case boolean(Bool)
  case integer(Int)
  /// More than 64 bits, as the magic number of old PyTorch files: little-endian two's complement.
  case largeInteger([UInt8])
  case float(Double)
  case string(String)
  case tuple(Int)
  case list(Int)
  case dictionary(Int)
  case global(PickleGlobal)
  case storage(Int)
  case tensor(Int)

  /// What it is, for errors.
  var kind: String {
    switch self {
    case .none: "None"
    case .boolean: "a bool"
    case .integer, .largeInteger: "an int"
    case .float: "a float"
    case .string: "a str"
    case .tuple: "a tuple"
    case .list: "a list"
    case .dictionary: "a dict"
    case .global(let global): "\(global)"
    case .storage: "a storage"
    case .tensor: "a tensor"
    }
  }
}

/// The only names outside itself that a pickle may mention. None of them is code here: what a call means is written in
/// `PickleInterpreter`.
enum PickleGlobal: Equatable {
  case orderedDictionary
  case rebuildTensor
  case rebuildTensor2
  case rebuildParameter
  case storageType(ElementType)

  /// The global of that name, or nil for any other.
  init?(module: String, name: String) {
    switch (module, name) {
    case ("collections", "OrderedDict"): self = .orderedDictionary
    case ("torch._utils", "_rebuild_tensor"): self = .rebuildTensor
    case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor2
    case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
    case ("torch", _):
      guard let type = Self.storageTypes[name] else { return nil }
      self = .storageType(type)
    default: return nil
    }
  }

  private static let storageTypes: [String: ElementType] = [
    "DoubleStorage": .float64, "FloatStorage": .float32, "HalfStorage": .float16,
    "BFloat16Storage": .bfloat16, "LongStorage": .int64, "IntStorage": .int32, "ShortStorage": .int16,
    "CharStorage": .int8, "ByteStorage": .uint8, "BoolStorage": .boolean,
  ]
}

/// Everything that pickles of one file built.
struct PickleArena {
  /// A block of numbers in the file: `('storage', type, key, device, element count[, view])`.
  struct Storage {
    let type: ElementType
    let key: String
    /// Elements of the whole block.
    let rootCount: Int
    /// The elements of it that are meant: all, or those of a view in old files.
    let elements: Range<Int>
  }

  /// A view of a storage.
  struct Tensor {
    let storage: Int
    let offset: Int
    let shape: [Int]
    let strides: [Int]
  }

  /// Elements of tuples.
  var tuples: [[PickleValue]] = []
  /// Elements of lists.
  var lists: [[PickleValue]] = []
  /// Keys and values of dictionaries, in the order of insertion.
  var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
  var storages: [Storage] = []
  var tensors: [Tensor] = []

  /// The last value under a key, as Python keeps it.
  func value(_ key: String, in dictionary: Int) -> PickleValue? {
    dictionaries[dictionary].last {
      if case .string(key) = $0.key { true } else { false }
    }?.value
  }
}
