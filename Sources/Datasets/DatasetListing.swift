/// What rank 0 found in a data set, as it tells the other ranks.
package struct DatasetListing: Sendable {
  /// The images.
  package let folder: ImageFolder
  /// Of each image, whether it has been decoded once as it is now.
  package fileprivate(set) var isChecked: [Bool]

  init(_ folder: ImageFolder, isChecked: [Bool]) {
    self.folder = folder
    self.isChecked = isChecked
  }

  /// The list that `bytes` hold, for the data set that this host has at `directory`. Throws `DatasetError` if they hold none.
  package init(
    _ bytes: [UInt8], _ directory: String, _ files: any DataFiles
  ) throws(DatasetError) {
    var reader = ByteReader(bytes)
    do throws(ByteReader.Malformed) {
      try self.init(from: &reader, directory, files)
    } catch {
      throw .badListing(path: directory)
    }
  }

  init(from reader: inout ByteReader, _ directory: String, _ files: any DataFiles) throws(ByteReader
    .Malformed)
  {
    folder = try ImageFolder(from: &reader, directory, files)
    isChecked = []
    for _ in folder.samples.indices { isChecked.append(try reader.readNumber() == 1) }
  }

  func encode(to writer: inout ByteWriter) {
    folder.encode(to: &writer)
    for checked in isChecked { writer.write(checked ? 1 : 0) }
  }

  /// All of it, for `init`.
  package func encoded() -> [UInt8] {
    var writer = ByteWriter()
    encode(to: &writer)
    return writer.bytes
  }

  /// Indices of the images that have not been decoded yet.
  package var unchecked: [Int] { isChecked.indices.filter { !isChecked[$0] } }

  /// Notes that all images but these have been decoded.
  mutating func setChecked(except bad: [BadImage]) {
    let paths = Set(bad.map(\.path))
    for (index, sample) in folder.samples.enumerated() { isChecked[index] = !paths.contains(sample.path) }
  }
}
