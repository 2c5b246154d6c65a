import Foundation

/// A `.pth` or `.pt` file of PyTorch: the tensors of a state dictionary.
///
/// Either the zip archive of PyTorch 1.6 and later, or the five pickles in a row of earlier ones, which torchvision's
/// older files still are. Nothing in a file is carried out: see `PickleInterpreter`.
enum TorchFile {
  /// Longest pickle that is read; that of a network with a thousand tensors has 100 KB.
  static let longestPickle = 16 << 20

  /// The magic number of old files, 0x1950a86a20f9469cfc6c, as the pickle holds it.
  static let legacyMagic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]

  /// True if a file that begins so may be one of PyTorch.
  static func mayBe(_ contents: Data) -> Bool {
    isArchive(contents) || (contents.count > 2 && contents.first == PickleOpcode.proto.rawValue)
  }

  private static func isArchive(_ contents: Data) -> Bool {
    contents.starts(with: [0x50, 0x4B, 0x03, 0x04])
  }

  /// Reads the tensors of the state dictionary in the file, in its order.
  ///
  /// - Throws: `WeightsError`: `.unsupported` names what the file asks for beyond tensors.
  static func read(_ path: String, _ contents: Data) throws(WeightsError) -> [StoredTensor] {
    do {
      return try isArchive(contents) ? readArchive(path, contents) : readLegacy(path, contents)
    } catch let fault as PickleInterpreter.Fault {
      throw fault.isRefusal
        ? .unsupported(path: path, reason: fault.reason) : .damaged(path: path, reason: fault.reason)
    } catch let error as WeightsError {
      throw error
    } catch {
      throw .damaged(path: path, reason: "\(error)")
    }
  }

  private static func readArchive(_ path: String, _ contents: Data) throws -> [StoredTensor] {
    let archive = try TorchArchive(path, fileBytes: contents.count)
    if let length = archive.byteCount("byteorder"), length <= 16 {
      let order = String(decoding: try archive.bytes("byteorder", 0..<length), as: UTF8.self)
      guard order == "little" else {
        throw WeightsError.unsupported(path: path, reason: "its byte order is '\(quoted(order))', not little")
      }
    }
    let length = archive.byteCount("data.pkl") ?? 0
    guard length <= longestPickle else {
      throw WeightsError.unsupported(
        path: path, reason: "its pickle has \(length) bytes, over \(longestPickle)")
    }
    var interpreter = PickleInterpreter([UInt8](try archive.bytes("data.pkl", 0..<length)))
    let root = try interpreter.next()
    return try StateDictionary(interpreter.arena, path).tensors(root) { (storage) throws(WeightsError) in
      let name = "data/" + storage.key
      let expected = storage.rootCount.multipliedReportingOverflow(by: storage.type.byteCount)
      guard let byteCount = archive.byteCount(name), !expected.overflow, byteCount == expected.partialValue
      else {
        throw .damaged(
          path: path,
          reason: "'\(quoted(name))' is not \(storage.rootCount) elements of \(storage.type.rawValue)")
      }
      return ArchivedStorage(archive: archive, name: name, byteCount: byteCount)
    }
  }

  /// Magic number, protocol, system, object, keys of storages; then for each key i64 element count and the elements.
  private static func readLegacy(_ path: String, _ contents: Data) throws -> [StoredTensor] {
    var interpreter = PickleInterpreter([UInt8](contents.prefix(longestPickle)))
    guard case .largeInteger(let magic) = try interpreter.next(), magic == legacyMagic else {
      throw WeightsError.unsupported(
        path: path, reason: "it is a pickle, but does not begin as a file of PyTorch does")
    }
    guard case .integer(1001) = try interpreter.next() else {
      throw WeightsError.unsupported(path: path, reason: "its protocol is not 1001")
    }
    guard case .dictionary(let system) = try interpreter.next(),
      case .boolean(true)? = interpreter.arena.value("little_endian", in: system)
    else { throw WeightsError.unsupported(path: path, reason: "its byte order is not little") }
    let root = try interpreter.next()
    guard case .list(let index) = try interpreter.next() else {
      throw WeightsError.damaged(path: path, reason: "it has no list of storages")
    }
    let keys = interpreter.arena.lists[index]
    let blocks = try LegacyStorages(
      path, contents, from: interpreter.position, keys, interpreter.arena.storages)
    return try StateDictionary(interpreter.arena, path).tensors(root) { (storage) throws(WeightsError) in
      try blocks.storage(storage)
    }
  }
}

/// The blocks of numbers behind the pickles of an old file.
private struct LegacyStorages {
  private let path: String
  private let contents: Data
  /// Where the elements of a key lie in the file.
  private var ranges: [String: Range<Int>] = [:]

  init(
    _ path: String, _ contents: Data, from start: Int, _ keys: [PickleValue],
    _ storages: [PickleArena.Storage]
  ) throws(WeightsError) {
    self.path = path
    self.contents = contents
    let sizes = Dictionary(storages.map { ($0.key, $0.type.byteCount) }) { first, _ in first }
    var position = start
    for key in keys {
      guard case .string(let key) = key, let size = sizes[key] else {
        throw .damaged(path: path, reason: "it lists a storage that no tensor uses")
      }
      guard position + 8 <= contents.count else {
        throw .damaged(path: path, reason: "it ends before storage '\(quoted(key))'")
      }
      let count = contents.withUnsafeBytes {
        Int(Int64(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: Int64.self)))
      }
      position += 8
      guard count >= 0, count <= (contents.count - position) / size else {
        throw .damaged(path: path, reason: "storage '\(quoted(key))' claims \(count) elements beyond the end")
      }
      guard ranges.updateValue(position..<position + count * size, forKey: key) == nil else {
        throw .damaged(path: path, reason: "storage '\(quoted(key))' is there twice")
      }
      position += count * size
    }
    guard position == contents.count else {
      throw .damaged(path: path, reason: "\(contents.count - position) bytes follow the last storage")
    }
  }

  func storage(_ storage: PickleArena.Storage) throws(WeightsError) -> any TensorStorage {
    let expected = storage.rootCount.multipliedReportingOverflow(by: storage.type.byteCount)
    guard let range = ranges[storage.key], !expected.overflow, range.count == expected.partialValue else {
      throw .damaged(
        path: path,
        reason:
          "storage '\(quoted(storage.key))' is not \(storage.rootCount) elements of \(storage.type.rawValue)")
    }
    let size = storage.type.byteCount
    return MappedStorage(
      contents,
      range.lowerBound + storage.elements.lowerBound * size..<range.lowerBound + storage.elements.upperBound
        * size)
  }
}
