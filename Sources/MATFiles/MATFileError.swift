/// What can be wrong with a MATLAB file. The description reads: what failed – where (expected, found) – what to do.
public enum MATFileError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Not there.
  case missing(path: String)
  /// There, but the system refuses to read it.
  case unreadable(path: String, reason: String)
  /// No MATLAB file, or one of a version that is not read.
  case notMATLAB(path: String, found: String)
  /// Damaged: libmatio says so, crashed, or met its limits of memory and time.
  case damaged(path: String, reason: String)
  /// No variable of that name.
  case noVariable(path: String, name: String, found: [String])
  /// A value of another kind than expected; `place` reads like MATLAB: `samples(3).obj.bndbox`.
  case unexpected(path: String, place: String, expected: String, found: String)

  /// The process's exit code (sysexits): 65 bad data, 66 missing input, 74 input or output.
  public var exitCode: Int32 {
    switch self {
    case .missing, .unreadable: 66
    case .notMATLAB, .damaged, .noVariable, .unexpected: 65
    }
  }

  /// What failed – where – what to do.
  public var description: String {
    switch self {
    case .missing(let path):
      "a MATLAB file is missing – \(path) – take it from the published data set"
    case .unreadable(let path, let reason):
      "a MATLAB file cannot be read – \(path) (\(reason)) – check its permissions and the disk"
    case .notMATLAB(let path, let found):
      "no MATLAB file of version 5 or 7.3 – \(path) (found \(found)) – take it from the published data set, or save it "
        + "again in MATLAB with -v7"
    case .damaged(let path, let reason):
      "a damaged MATLAB file – \(path) (\(reason)) – fetch it again"
    case .noVariable(let path, let name, let found):
      "a variable is missing from a MATLAB file – \(path) (expected \(name), found "
        + "\(found.isEmpty ? "none" : found.joined(separator: ", "))) – check that it is the file that was published"
    case .unexpected(let path, let place, let expected, let found):
      "a MATLAB file holds something else than expected – \(path), \(place) (expected \(expected), found \(found)) – "
        + "check that it is the file that was published"
    }
  }
}
