import Foundation

@testable import Datasets

/// Samples of published layouts are in the folder that the environment variable ICNN_DATA_DIR names, or in `data` of a directory
/// beside the package.
func sampleFolder(_ name: String) -> String? {
  var candidates: [String] = []
  if let data = ProcessInfo.processInfo.environment["ICNN_DATA_DIR"] {
    candidates = [data]
  } else {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let beside = package.deletingLastPathComponent().path
    let names = (try? FileManager.default.contentsOfDirectory(atPath: beside)) ?? []
    candidates = names.sorted().map { "\(beside)/\($0)/data" }
  }
  return candidates.map { $0 + "/" + name }.first { FileManager.default.fileExists(atPath: $0) }
}

/// A sample's expected.json.
func expectedValues(_ sample: String) throws -> [String: Any] {
  let data = try Data(contentsOf: URL(fileURLWithPath: sample + "/expected.json"))
  return try JSONSerialization.jsonObject(with: data) as! [String: Any]
}

/// The lines of a data set's annotations.
func importedLines(_ folder: String) throws -> [ImportLine] {
  let text = try String(contentsOfFile: folder + "/annotations.jsonl", encoding: .utf8)
  return try text.split(separator: "\n").map {
    try JSONDecoder().decode(ImportLine.self, from: Data($0.utf8))
  }
}

/// Paths and contents of all files of a folder.
func contents(_ folder: String) throws -> [String: Data] {
  var files: [String: Data] = [:]
  for path in try FileManager.default.subpathsOfDirectory(atPath: folder) {
    var isFolder: ObjCBool = false
    FileManager.default.fileExists(atPath: folder + "/" + path, isDirectory: &isFolder)
    if !isFolder.boolValue { files[path] = FileManager.default.contents(atPath: folder + "/" + path) }
  }
  return files
}
