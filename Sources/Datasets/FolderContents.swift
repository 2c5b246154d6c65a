import CXXHash

/// What lies in the folder of a data set, by name: all that can be known of it without asking about single files.
struct FolderContents {
  /// Path of the annotations within a data set.
  static let annotationsName = "annotations.jsonl"

  /// Where the classes lie: "images/", or "" if the data set has no such folder.
  let prefix: String
  /// Names in the folder of each class, hidden ones too.
  let classes: [String: [String]]
  /// Beside the classes, relative to the data set.
  let strays: [String]
  /// Whether there are annotations.
  let hasAnnotations: Bool
  /// Changes whenever a file is added, removed, renamed or put in the place of another, when the annotations change,
  /// and in a copy of the folder: a hash over number and times of every class's folder, count and names of what is
  /// in it, and length, number and times of the annotations. A file that is written over in its place changes nothing here.
  let stamp: UInt64

  /// Reads the names. Throws `DatasetError.missingFolder` and `.unreadable`.
  init(_ directory: String, _ files: any DataFiles) throws(DatasetError) {
    guard try files.status(directory)?.isFolder == true else { throw .missingFolder(path: directory) }
    prefix = try files.status(directory + "/images")?.isFolder == true ? "images/" : ""
    var classes: [String: [String]] = [:]
    var strays: [String] = []
    var stamp = ByteWriter()
    stamp.write(prefix)
    for name in try files.names(directory + "/" + prefix).sorted() where !name.hasPrefix(".") {
      if let status = try files.status(directory + "/" + prefix + name), status.isFolder {
        let names = try files.names(directory + "/" + prefix + name)
        classes[name] = names
        stamp.write(name)
        stamp.write(status)
        stamp.write(names.count)
        // Their sum: a file system may give them in another order next time.
        stamp.write(names.reduce(UInt64(0)) { $0 &+ Self.hash($1) })
      } else if prefix + name != Self.annotationsName {
        strays.append(prefix + name)
      }
    }
    for stray in strays { stamp.write(stray) }
    let annotations = try files.status(directory + "/" + Self.annotationsName)
    hasAnnotations = annotations != nil
    if let annotations {
      stamp.write(annotations.bytes)
      stamp.write(annotations)
    }
    self.classes = classes
    self.strays = strays
    self.stamp = stamp.bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
  }

  private static func hash(_ name: String) -> UInt64 {
    var name = name
    return name.withUTF8 { XXH3_64bits($0.baseAddress, $0.count) }
  }
}

extension ByteWriter {
  fileprivate mutating func write(_ status: FileStatus) {
    write(status.inode)
    write(UInt64(bitPattern: status.modified))
    write(UInt64(bitPattern: status.changed))
  }
}
