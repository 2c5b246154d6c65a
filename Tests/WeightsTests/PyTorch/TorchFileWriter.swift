import Foundation

/// Writes files as `torch.save` does, from descriptions that may be wrong on purpose.
struct TorchFileWriter {
  struct Tensor {
    var name: String
    var key: String
    var shape: [Int]
    var strides: [Int]
    var offset = 0
    var isParameter = false
    /// [offset, count] of a view, in old files.
    var view: [Int]?
  }

  struct Storage {
    var type = "FloatStorage"
    var count: Int
    var bytes: [UInt8]

    init(_ values: [Float]) {
      count = values.count
      bytes = values.flatMap { PickleWriter.littleEndian($0.bitPattern) }
    }

    init(type: String, count: Int, bytes: [UInt8]) {
      self.type = type
      self.count = count
      self.bytes = bytes
    }
  }

  /// An entry of a zip archive; the fields say what the directory claims.
  struct Entry {
    var name: String
    var bytes: [UInt8]
    var method: UInt16 = 0
    var flags: UInt16 = 0
    var claimedSize: Int?
  }

  var tensors: [Tensor]
  var storages: [String: Storage]
  var prefix = ""
  /// The dictionary of tensors lies under this key of another.
  var wrapper: String?
  var byteOrder = "little"

  private func object(isLegacy: Bool) -> [UInt8] {
    var pickle = PickleWriter()
    if let wrapper {
      pickle.opcode("}")
      pickle.mark()
      pickle.string("epoch")
      pickle.integer(90)
      pickle.string(wrapper)
    }
    pickle.global("collections", "OrderedDict")
    pickle.opcode(")")
    pickle.opcode("R")
    pickle.mark()
    for tensor in tensors {
      pickle.string(prefix + tensor.name)
      write(tensor, isLegacy, into: &pickle)
    }
    pickle.opcode("u")
    // state_dict()._metadata
    pickle.opcode("}")
    pickle.string("_metadata")
    pickle.opcode("}")
    pickle.opcode("s")
    pickle.opcode("b")
    if wrapper != nil { pickle.opcode("u") }
    pickle.opcode(".")
    return pickle.bytes
  }

  private func write(_ tensor: Tensor, _ isLegacy: Bool, into pickle: inout PickleWriter) {
    if tensor.isParameter {
      pickle.global("torch._utils", "_rebuild_parameter")
      pickle.mark()
    }
    pickle.global("torch._utils", "_rebuild_tensor_v2")
    pickle.mark()
    let storage = storages[tensor.key] ?? Storage([])
    pickle.storage(
      storage.type, key: tensor.key, count: storage.count, legacyView: tensor.view, isLegacy: isLegacy)
    pickle.integer(tensor.offset)
    pickle.tuple(tensor.shape)
    pickle.tuple(tensor.strides)
    pickle.boolean(false)
    hooks(into: &pickle)
    pickle.opcode("t")
    pickle.opcode("R")
    if tensor.isParameter {
      pickle.boolean(true)
      hooks(into: &pickle)
      pickle.opcode("t")
      pickle.opcode("R")
    }
  }

  private func hooks(into pickle: inout PickleWriter) {
    pickle.global("collections", "OrderedDict")
    pickle.opcode(")")
    pickle.opcode("R")
  }

  /// The entries of the archive.
  var entries: [Entry] {
    [
      Entry(name: "model/data.pkl", bytes: object(isLegacy: false)),
      Entry(name: "model/byteorder", bytes: Array(byteOrder.utf8)),
    ]
      + storages.sorted { $0.key < $1.key }.map { Entry(name: "model/data/\($0.key)", bytes: $0.value.bytes) }
      + [Entry(name: "model/version", bytes: Array("3\n".utf8))]
  }

  /// A zip archive.
  var archive: [UInt8] { Self.archive(entries) }

  /// The five pickles of old files and the storages.
  var legacy: [UInt8] {
    var bytes: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    bytes.append(UInt8(ascii: "."))
    var pickle = PickleWriter()
    pickle.integer(1001)
    pickle.opcode(".")
    bytes += pickle.bytes
    pickle = PickleWriter()
    pickle.opcode("}")
    pickle.string("little_endian")
    pickle.boolean(byteOrder == "little")
    pickle.opcode("s")
    pickle.opcode(".")
    bytes += pickle.bytes
    bytes += object(isLegacy: true)
    pickle = PickleWriter()
    pickle.opcode("]")
    pickle.mark()
    let sorted = storages.sorted { $0.key < $1.key }
    for (key, _) in sorted { pickle.string(key) }
    pickle.opcode("e")
    pickle.opcode(".")
    bytes += pickle.bytes
    for (_, storage) in sorted { bytes += PickleWriter.littleEndian(Int64(storage.count)) + storage.bytes }
    return bytes
  }

  /// A zip archive of stored entries, their checksums right.
  static func archive(_ entries: [Entry]) -> [UInt8] {
    var bytes: [UInt8] = []
    var directory: [UInt8] = []
    for entry in entries {
      let size = PickleWriter.littleEndian(UInt32(entry.claimedSize ?? entry.bytes.count))
      let fields: [UInt8] =
        PickleWriter.littleEndian(UInt16(20)) + PickleWriter.littleEndian(entry.flags)
        + PickleWriter.littleEndian(entry.method) + [0, 0, 0x21, 0]
        + PickleWriter.littleEndian(checksum(entry.bytes)) + size + size
        + PickleWriter.littleEndian(UInt16(entry.name.utf8.count)) + [0, 0]
      directory +=
        [0x50, 0x4B, 1, 2, 20, 0] + fields + [UInt8](repeating: 0, count: 10)
        + PickleWriter.littleEndian(UInt32(bytes.count)) + Array(entry.name.utf8)
      bytes += [0x50, 0x4B, 3, 4] + fields + Array(entry.name.utf8) + entry.bytes
    }
    let start = UInt32(bytes.count)
    let count = PickleWriter.littleEndian(UInt16(entries.count))
    bytes += directory
    bytes += [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + count + count
    bytes += PickleWriter.littleEndian(UInt32(directory.count)) + PickleWriter.littleEndian(start) + [0, 0]
    return bytes
  }

  /// CRC-32 of zip.
  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var sum = ~UInt32(0)
    for byte in bytes { sum = sum >> 8 ^ table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] }
    return ~sum
  }

  private static let table = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0) }
  }
}
