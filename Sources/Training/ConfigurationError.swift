/// What can be wrong with a configuration. Exit code 78, or 66 for a missing file.
public enum ConfigurationError: Error, Sendable, CustomStringConvertible {
  /// The file is not there.
  case missingFile(path: String)
  /// An option nobody knows; `nearest` is a known one of nearly the same name.
  case unknownOption(source: String, option: String, nearest: String?)
  /// A value that cannot be.
  case invalid(source: String, option: String, reason: String)

  /// sysexits: 66 EX_NOINPUT, 78 EX_CONFIG.
  public var exitCode: Int32 {
    if case .missingFile = self { return 66 }
    return 78
  }

  /// What failed – where – what to do.
  public var description: String {
    switch self {
    case .missingFile(let path): "the configuration file is missing – \(path) – check --config"
    case .unknownOption(let source, let option, let nearest):
      "unknown option '\(option)' – \(source) – "
        + (nearest.map { "did you mean '\($0)'?" } ?? "`icnn train --help` lists them")
    case .invalid(let source, let option, let reason):
      "invalid value" + (option.isEmpty ? "" : " of '\(option)'") + " – \(source): \(reason) – "
        + "`icnn train --help` explains the options"
    }
  }
}
