import Foundation

/// Pythons with packages that only tests want; without them these tests are skipped.
public enum PythonEnvironment {
  /// The Python that an environment variable names, or the one that `make NAME-environment` makes in `.build-NAME` of the
  /// package; nil if it is not there.
  public static func python(variable: String, name: String) -> URL? {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let path =
      ProcessInfo.processInfo.environment[variable] ?? package.path + "/.build-\(name)/bin/python"
    return FileManager.default.isExecutableFile(atPath: path) ? URL(fileURLWithPath: path) : nil
  }
}
