import CMatIO
import Foundation

/// A small file with every kind of value, written by libmatio in a folder that is gone with the fixture.
final class MATFixture {
  ///
  /// Compressed files are read in the tests of weights and importers: libmatio 1.5.23 cannot read what it compresses itself.
  enum Format: CaseIterable {
    case version5, version73
  }

  let folder: String
  let path: String
  let bytes: [UInt8]

  /// Written before any test reads: HDF5 has a lock, and a child that is forked while a thread writes would wait for it for ever.
  private static let originals = Dictionary(
    uniqueKeysWithValues: Format.allCases.map { format in
      let path = NSTemporaryDirectory() + "icnn-mat-" + UUID().uuidString + ".mat"
      defer { unlink(path) }
      write(path, format)
      return (format, try! Data(contentsOf: URL(fileURLWithPath: path)))
    })

  init(_ format: Format) throws {
    folder = NSTemporaryDirectory() + "icnn-mat-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    path = folder + "/fixture.mat"
    let original = Self.originals[format]!
    try original.write(to: URL(fileURLWithPath: path))
    bytes = Array(original)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private static func write(_ path: String, _ format: Format) {
    let file = Mat_CreateVer(path, nil, format == .version73 ? MAT_FT_MAT73 : MAT_FT_MAT5)!
    defer { Mat_Close(file) }
    let root = structure(
      "root", ["count", "size", "mask", "name", "nothing", "list", "cells", "small"], count: 1)
    func set(_ field: String, _ value: UnsafeMutablePointer<matvar_t>?) {
      Mat_VarSetStructFieldByName(root, field, 0, value)
    }
    set("count", numbers([7], [1, 1]))
    set("size", numbers([1, 2, 3, 4, 5, 6.5], [2, 3]))
    var mask: [UInt8] = [1, 0, 0, 1]
    var maskSize = [2, 2]
    set(
      "mask", Mat_VarCreate(nil, MAT_C_UINT8, MAT_T_UINT8, 2, &maskSize, &mask, Int32(MAT_F_LOGICAL.rawValue))
    )
    set("name", text("n02084071_100360"))
    set("nothing", numbers([], [0, 0]))
    let list = structure(nil, ["id"], count: 2)
    Mat_VarSetStructFieldByName(list, "id", 0, numbers([11], [1, 1]))
    Mat_VarSetStructFieldByName(list, "id", 1, numbers([12], [1, 1]))
    set("list", list)
    var cellSize = [1, 2]
    let cells = Mat_VarCreate(nil, MAT_C_CELL, MAT_T_CELL, 2, &cellSize, nil, 0)
    Mat_VarSetCell(cells, 0, numbers([5], [1, 1]))
    Mat_VarSetCell(cells, 1, text("cell"))
    set("cells", cells)
    var small: [Int16] = [-3, 200]
    var smallSize = [1, 2]
    set("small", Mat_VarCreate(nil, MAT_C_INT16, MAT_T_INT16, 2, &smallSize, &small, 0))
    let code = Mat_VarWrite(file, root, MAT_COMPRESSION_NONE)
    precondition(code == 0, "libmatio wrote nothing: \(code)")
    Mat_VarFree(root)
  }

  private static func structure(
    _ name: String?, _ fields: [String], count: Int
  ) -> UnsafeMutablePointer<matvar_t>? {
    var size = [1, count]
    var names = fields.map { UnsafePointer(strdup($0)) }
    defer { for name in names { free(UnsafeMutablePointer(mutating: name)) } }
    return names.withUnsafeMutableBufferPointer {
      Mat_VarCreateStruct(name, 2, &size, $0.baseAddress, UInt32(fields.count))
    }
  }

  private static func numbers(_ values: [Double], _ size: [Int]) -> UnsafeMutablePointer<matvar_t>? {
    var values = values
    var size = size
    return Mat_VarCreate(nil, MAT_C_DOUBLE, MAT_T_DOUBLE, 2, &size, &values, 0)
  }

  private static func text(_ text: String) -> UnsafeMutablePointer<matvar_t>? {
    var values = Array(text.utf8)
    var size = [1, values.count]
    return Mat_VarCreate(nil, MAT_C_CHAR, MAT_T_UINT8, 2, &size, &values, 0)
  }
}
