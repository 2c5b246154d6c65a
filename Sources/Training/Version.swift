/// The program's version, kept in step with CHANGELOG.
public enum Version {
  /// Semantic version.
  public static let current = "0.1.0"
}
