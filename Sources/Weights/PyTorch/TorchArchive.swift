import CZip
import Foundation

/// The zip archive that `torch.save` writes since PyTorch 1.6: STEM/data.pkl, STEM/data/KEY, STEM/byteorder, …, none of
/// them compressed, so that an entry takes as many bytes of the file as it has.
final class TorchArchive {
  private let archive: OpaquePointer
  private let path: String
  private let fileBytes: Int
  private var entries: [String: (index: UInt64, byteCount: Int)] = [:]
  private var stem = ""

  /// Opens the archive at `path`, a file of `fileBytes` bytes.
  ///
  /// - Throws: `WeightsError.damaged`, or `.unsupported` for what PyTorch does not write.
  init(_ path: String, fileBytes: Int) throws(WeightsError) {
    self.path = path
    self.fileBytes = fileBytes
    var code: Int32 = 0
    guard let archive = zip_open(path, Int32(ZIP_RDONLY), &code) else {
      var error = zip_error_t()
      zip_error_init_with_code(&error, code)
      defer { zip_error_fini(&error) }
      throw .damaged(path: path, reason: "no zip archive: \(String(cString: zip_error_strerror(&error)))")
    }
    self.archive = archive
    try list()
    let pickles = entries.keys.filter { $0.hasSuffix("/data.pkl") && $0.split(separator: "/").count == 2 }
    guard let pickle = pickles.first, pickles.count == 1 else {
      throw .unsupported(
        path: path, reason: "the archive holds \(pickles.count) files named */data.pkl, not one")
    }
    stem = String(pickle.dropLast("data.pkl".count))
  }

  deinit { zip_discard(archive) }

  private func list() throws(WeightsError) {
    for index in 0..<UInt64(max(zip_get_num_entries(archive, 0), 0)) {
      var status = zip_stat_t()
      zip_stat_init(&status)
      let wanted = UInt64(ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD)
      // Raw: names are compared byte by byte, whatever character set they claim.
      guard zip_stat_index(archive, index, UInt32(ZIP_FL_ENC_RAW), &status) == 0,
        status.valid & wanted == wanted,
        let name = String(validatingCString: status.name)
      else { throw .damaged(path: path, reason: "entry \(index) of the archive is malformed") }
      if status.valid & UInt64(ZIP_STAT_ENCRYPTION_METHOD) != 0,
        status.encryption_method != UInt16(ZIP_EM_NONE)
      {
        throw .unsupported(path: path, reason: "the entry '\(quoted(name))' is encrypted")
      }
      guard status.comp_method == UInt16(ZIP_CM_STORE) else {
        throw .unsupported(path: path, reason: "the entry '\(quoted(name))' is compressed; PyTorch stores")
      }
      guard status.size == status.comp_size, status.size <= UInt64(fileBytes) else {
        throw .damaged(
          path: path, reason: "the entry '\(quoted(name))' claims \(status.size) of \(fileBytes) bytes")
      }
      guard entries.updateValue((index, Int(status.size)), forKey: name) == nil else {
        throw .damaged(path: path, reason: "two entries are named '\(quoted(name))'")
      }
    }
  }

  /// Length of STEM/`name`; nil if there is no such entry.
  func byteCount(_ name: String) -> Int? { entries[stem + name]?.byteCount }

  /// A range of the bytes of STEM/`name`; its checksum is verified if the whole entry is read.
  func bytes(_ name: String, _ range: Range<Int>) throws(WeightsError) -> Data {
    guard let entry = entries[stem + name], range.upperBound <= entry.byteCount else {
      throw .damaged(path: path, reason: "the archive lacks '\(quoted(name))', or a part of it")
    }
    guard let file = zip_fopen_index(archive, entry.index, 0) else {
      throw damage(name, zip_strerror(archive))
    }
    defer { zip_fclose(file) }
    guard range.lowerBound == 0 || zip_fseek(file, Int64(range.lowerBound), SEEK_SET) == 0 else {
      throw damage(name, zip_file_strerror(file))
    }
    var result = Data(count: range.count)
    let isRead = result.withUnsafeMutableBytes { buffer in
      var done = 0
      while done < range.count {
        let count = zip_fread(file, buffer.baseAddress! + done, UInt64(range.count - done))
        guard count > 0 else { return false }
        done += Int(count)
      }
      return true
    }
    // The checksum is looked at when the end is met, one byte after the last.
    var beyond: UInt8 = 0
    guard isRead, range != 0..<entry.byteCount || zip_fread(file, &beyond, 1) == 0 else {
      throw damage(name, zip_file_strerror(file))
    }
    return result
  }

  private func damage(_ name: String, _ reason: UnsafePointer<CChar>) -> WeightsError {
    .damaged(path: path, reason: "the entry '\(quoted(name))': \(String(cString: reason))")
  }
}

/// One block of numbers in an archive.
struct ArchivedStorage: TensorStorage {
  let archive: TorchArchive
  let name: String
  let byteCount: Int

  func bytes(_ range: Range<Int>) throws(WeightsError) -> Data { try archive.bytes(name, range) }
}
