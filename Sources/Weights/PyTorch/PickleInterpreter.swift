/// Reads pickles as PyTorch writes them, and builds numbers, texts, containers and descriptions of tensors, nothing else.
///
/// A pickle is a program for a stack machine that may call any function by its name. Here a name outside
/// `PickleGlobal` ends the reading, and so does an instruction outside `PickleOpcode`: there is nothing to call.
/// Time and memory are linear in the instructions, of which there are at most `mostInstructions`.
struct PickleInterpreter {
  /// Why a pickle is refused.
  struct Fault: Error {
    let reason: String
    /// It is no broken pickle, but wants what is not done here.
    var isRefusal = false
  }

  /// The largest published networks have some thousand tensors of some thirty instructions.
  static let mostInstructions = 2_000_000

  /// What was built so far, by all pickles of the file.
  private(set) var arena = PickleArena()
  /// The byte after the last pickle that was read.
  private(set) var position = 0
  private let bytes: [UInt8]
  private var instructionCount = 0
  private var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]

  /// An interpreter of the pickles that `bytes` begins with.
  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Carries out the next pickle and returns what it leaves.
  mutating func next() throws(Fault) -> PickleValue {
    stack.removeAll()
    marks.removeAll()
    memo.removeAll()
    while true {
      let start = position
      let byte = try readByte()
      guard let opcode = PickleOpcode(rawValue: byte) else {
        guard let name = PickleOpcode.refused[byte] else {
          throw Fault(reason: "byte \(start) of the pickle, \(byte), is no instruction")
        }
        throw Fault(reason: "the pickle's instruction \(name) is none that tensors need", isRefusal: true)
      }
      try charge(1)
      if opcode == .stop { return try pop() }
      try carryOut(opcode)
    }
  }

  /// Counts what is done, so that a small pickle cannot ask for much.
  private mutating func charge(_ instructions: Int) throws(Fault) {
    instructionCount += instructions
    guard instructionCount <= Self.mostInstructions else {
      throw Fault(reason: "the pickle has more than \(Self.mostInstructions) instructions", isRefusal: true)
    }
  }

  private mutating func carryOut(_ opcode: PickleOpcode) throws(Fault) {
    switch opcode {
    case .stop: break
    case .proto:
      let version = try readByte()
      guard (2...5).contains(version) else {
        throw Fault(reason: "pickle protocol \(version)", isRefusal: true)
      }
    case .frame: _ = try read(8)
    case .mark: marks.append(stack.count)
    case .pop: _ = try pop()
    case .popMark: _ = try popMark()
    case .none: stack.append(.none)
    case .newTrue: stack.append(.boolean(true))
    case .newFalse: stack.append(.boolean(false))
    case .binInt, .binInt1, .binInt2, .long1, .binFloat, .binString, .shortBinString, .binUnicode,
      .shortBinUnicode:
      stack.append(try readScalar(opcode))
    case .emptyList, .append, .appends, .list, .emptyTuple, .tuple, .tuple1, .tuple2, .tuple3,
      .emptyDictionary, .dictionary, .setItem, .setItems:
      try build(opcode)
    case .global:
      let module = try readLine()
      try pushGlobal(module: module, name: try readLine())
    case .stackGlobal:
      let name = try popString("a name")
      try pushGlobal(module: try popString("a module"), name: name)
    case .binGet: try pushMemo(Int(try readByte()))
    case .longBinGet: try pushMemo(try readInteger(4))
    case .binPut: memo[Int(try readByte())] = try top()
    case .longBinPut: memo[try readInteger(4)] = try top()
    case .memoize: memo[memo.count] = try top()
    case .binPersistentID: stack.append(try storage(try popTuple("a persistent id")))
    case .reduce:
      let arguments = try popTuple("arguments")
      let function = try pop()
      guard case .global(let global) = function else {
        throw Fault(reason: "the pickle calls \(function.kind)", isRefusal: true)
      }
      stack.append(try call(global, arguments))
    case .build:
      // OrderedDict subclasses carry attributes (state_dict()._metadata): they say nothing about values.
      let state = try pop()
      guard case .dictionary = state, case .dictionary = try top() else {
        throw Fault(reason: "the pickle sets the state of \(try top().kind)", isRefusal: true)
      }
    }
  }

  // MARK: scalars

  private mutating func readScalar(_ opcode: PickleOpcode) throws(Fault) -> PickleValue {
    switch opcode {
    case .binInt: return .integer(Int(Int32(truncatingIfNeeded: try readInteger(4))))
    case .binInt1: return .integer(Int(try readByte()))
    case .binInt2: return .integer(try readInteger(2))
    case .long1: return Self.integer(try read(Int(try readByte())))
    case .binFloat:
      return .float(Double(bitPattern: try read(8).reduce(0) { $0 << 8 | UInt64($1) }))
    case .shortBinString, .shortBinUnicode: return .string(try readText(Int(try readByte())))
    default: return .string(try readText(try readInteger(4)))
    }
  }

  /// Two's complement, little-endian; no bytes are zero.
  private static func integer(_ bytes: ArraySlice<UInt8>) -> PickleValue {
    guard bytes.count <= 8 else { return .largeInteger(Array(bytes)) }
    let isNegative = (bytes.last ?? 0) >= 0x80
    let value = bytes.reversed().reduce(isNegative ? ~UInt64(0) : 0) { $0 << 8 | UInt64($1) }
    return .integer(Int(Int64(bitPattern: value)))
  }

  private mutating func readByte() throws(Fault) -> UInt8 { try read(1).first! }

  /// Little-endian, without sign; `byteCount` of at most 4.
  private mutating func readInteger(_ byteCount: Int) throws(Fault) -> Int {
    try read(byteCount).reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  private mutating func read(_ count: Int) throws(Fault) -> ArraySlice<UInt8> {
    guard count <= bytes.count - position else { throw Fault(reason: "the pickle ends too early") }
    defer { position += count }
    return bytes[position..<position + count]
  }

  private mutating func readText(_ count: Int) throws(Fault) -> String {
    guard let text = String(validating: try read(count), as: UTF8.self) else {
      throw Fault(reason: "a text of the pickle is no UTF-8")
    }
    return text
  }

  private mutating func readLine() throws(Fault) -> String {
    guard let end = bytes[position...].prefix(1024).firstIndex(of: 0x0A) else {
      throw Fault(reason: "a name in the pickle does not end")
    }
    let text = try readText(end - position)
    position += 1
    return text
  }

  // MARK: the stack

  private func top() throws(Fault) -> PickleValue {
    guard let value = stack.last, stack.count > (marks.last ?? 0) else {
      throw Fault(reason: "the pickle takes from an empty stack")
    }
    return value
  }

  private mutating func pop() throws(Fault) -> PickleValue {
    let value = try top()
    stack.removeLast()
    return value
  }

  private mutating func popMark() throws(Fault) -> [PickleValue] {
    guard let mark = marks.popLast() else { throw Fault(reason: "the pickle lacks a mark") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  private mutating func popTuple(_ what: String) throws(Fault) -> [PickleValue] {
    let value = try pop()
    guard case .tuple(let index) = value else { throw Fault(reason: "\(what): \(value.kind), not a tuple") }
    return arena.tuples[index]
  }

  private mutating func popString(_ what: String) throws(Fault) -> String {
    let value = try pop()
    guard case .string(let string) = value else { throw Fault(reason: "\(what): \(value.kind), not a str") }
    return string
  }

  private mutating func pushMemo(_ key: Int) throws(Fault) {
    guard let value = memo[key] else { throw Fault(reason: "the pickle recalls what it never kept (\(key))") }
    stack.append(value)
  }

  private mutating func pushGlobal(module: String, name: String) throws(Fault) {
    guard let global = PickleGlobal(module: module, name: name) else {
      throw Fault(
        reason: "it wants to make a \(quoted(module)).\(quoted(name)); only tensors are made", isRefusal: true
      )
    }
    stack.append(.global(global))
  }

  // MARK: containers

  private mutating func build(_ opcode: PickleOpcode) throws(Fault) {
    switch opcode {
    case .emptyTuple: pushTuple([])
    case .tuple: pushTuple(try popMark())
    case .tuple1: pushTuple([try pop()])
    case .tuple2:
      let last = try pop()
      pushTuple([try pop(), last])
    case .tuple3:
      let last = try pop()
      let middle = try pop()
      pushTuple([try pop(), middle, last])
    case .emptyList: pushList([])
    case .list: pushList(try popMark())
    case .append: try extend([try pop()])
    case .appends: try extend(try popMark())
    case .emptyDictionary: pushDictionary([])
    case .dictionary: pushDictionary(try Self.pairs(try popMark()))
    case .setItem:
      let value = try pop()
      try insert([(try pop(), value)])
    default: try insert(try Self.pairs(try popMark()))
    }
  }

  private mutating func pushTuple(_ values: [PickleValue]) {
    stack.append(.tuple(arena.tuples.count))
    arena.tuples.append(values)
  }

  private mutating func pushList(_ values: [PickleValue]) {
    stack.append(.list(arena.lists.count))
    arena.lists.append(values)
  }

  private mutating func pushDictionary(_ pairs: [(key: PickleValue, value: PickleValue)]) {
    stack.append(.dictionary(arena.dictionaries.count))
    arena.dictionaries.append(pairs)
  }

  private mutating func extend(_ values: [PickleValue]) throws(Fault) {
    let value = try top()
    guard case .list(let index) = value else { throw Fault(reason: "the pickle appends to \(value.kind)") }
    arena.lists[index] += values
  }

  private mutating func insert(_ pairs: [(key: PickleValue, value: PickleValue)]) throws(Fault) {
    let value = try top()
    guard case .dictionary(let index) = value else {
      throw Fault(reason: "the pickle sets items of \(value.kind)")
    }
    arena.dictionaries[index] += pairs
  }

  private static func pairs(_ values: [PickleValue]) throws(Fault) -> [(key: PickleValue, value: PickleValue)]
  {
    guard values.count % 2 == 0 else { throw Fault(reason: "a key of the pickle has no value") }
    return stride(from: 0, to: values.count, by: 2).map { (values[$0], values[$0 + 1]) }
  }

  // MARK: tensors

  /// ('storage', type, key, device, count[, None or (view key, offset, count)]).
  private mutating func storage(_ id: [PickleValue]) throws(Fault) -> PickleValue {
    guard (5...6).contains(id.count), case .string("storage") = id[0],
      case .global(.storageType(let type)) = id[1], case .string(let key) = id[2],
      case .integer(let count) = id[4],
      count >= 0
    else { throw Fault(reason: "a persistent id of the pickle is no storage") }
    var elements = 0..<count
    if id.count == 6, case .tuple(let index) = id[5] {
      let view = arena.tuples[index]
      guard view.count == 3, case .integer(let offset) = view[1], case .integer(let length) = view[2],
        offset >= 0,
        length >= 0, length <= count, offset <= count - length
      else { throw Fault(reason: "a view of storage '\(quoted(key))' is malformed") }
      elements = offset..<offset + length
    }
    arena.storages.append(.init(type: type, key: key, rootCount: count, elements: elements))
    return .storage(arena.storages.count - 1)
  }

  private mutating func call(_ global: PickleGlobal, _ arguments: [PickleValue]) throws(Fault) -> PickleValue
  {
    switch global {
    case .orderedDictionary: return try orderedDictionary(arguments)
    case .rebuildTensor, .rebuildTensor2:
      // (storage, offset, size, stride[, requires grad, hooks[, metadata]])
      guard global == .rebuildTensor ? arguments.count == 4 : (6...7).contains(arguments.count),
        case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1]
      else { throw Fault(reason: "a tensor of the pickle is malformed") }
      let tensor = PickleArena.Tensor(
        storage: storage, offset: offset, shape: try integers(arguments[2]),
        strides: try integers(arguments[3]))
      arena.tensors.append(tensor)
      return .tensor(arena.tensors.count - 1)
    case .rebuildParameter:
      // (tensor, requires grad, hooks)
      guard arguments.count == 3, case .tensor = arguments[0] else {
        throw Fault(reason: "a parameter of the pickle is malformed")
      }
      return arguments[0]
    case .storageType: throw Fault(reason: "the pickle calls a storage type", isRefusal: true)
    }
  }

  /// OrderedDict() or OrderedDict([(key, value), …]), as Python 2 wrote it.
  private mutating func orderedDictionary(_ arguments: [PickleValue]) throws(Fault) -> PickleValue {
    var pairs: [(key: PickleValue, value: PickleValue)] = []
    if let argument = arguments.first {
      guard arguments.count == 1, case .list(let index) = argument else {
        throw Fault(reason: "an OrderedDict of the pickle is malformed")
      }
      // One list may be given to many.
      try charge(arena.lists[index].count)
      for item in arena.lists[index] {
        let pair: [PickleValue]
        switch item {
        case .tuple(let index): pair = arena.tuples[index]
        case .list(let index): pair = arena.lists[index]
        default: throw Fault(reason: "an OrderedDict of the pickle is malformed")
        }
        guard pair.count == 2 else { throw Fault(reason: "an OrderedDict of the pickle is malformed") }
        pairs.append((pair[0], pair[1]))
      }
    }
    arena.dictionaries.append(pairs)
    return .dictionary(arena.dictionaries.count - 1)
  }

  private func integers(_ value: PickleValue) throws(Fault) -> [Int] {
    guard case .tuple(let index) = value, arena.tuples[index].count <= 16 else {
      throw Fault(reason: "a tensor's shape is \(value.kind), not a tuple of at most 16")
    }
    var result: [Int] = []
    for element in arena.tuples[index] {
      guard case .integer(let integer) = element else {
        throw Fault(reason: "a tensor's shape holds \(element.kind)")
      }
      result.append(integer)
    }
    return result
  }
}
