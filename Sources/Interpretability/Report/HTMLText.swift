import Mustache

/// Text → HTML in which nothing of it is markup.
///
/// Works on Unicode scalars. Mustache's own escaping compares characters: a quote that a combining accent follows is one
/// character, no quote to it, and would end an attribute.
struct HTMLText: MustacheContentType {
  /// Name in templates: {{% CONTENT_TYPE:REPORT}}.
  static let name = "REPORT"

  func escapeText(_ text: String) -> String { Self.escape(text) }

  /// Escapes for text and for attributes in quotes. Characters that HTML does not allow become U+FFFD.
  static func escape(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar {
      case "<": result.append(contentsOf: "&lt;".unicodeScalars)
      case ">": result.append(contentsOf: "&gt;".unicodeScalars)
      case "&": result.append(contentsOf: "&amp;".unicodeScalars)
      case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
      case "'": result.append(contentsOf: "&#39;".unicodeScalars)
      case "\t", "\n": result.append(scalar)
      case "\0"..<" ", "\u{7f}"..."\u{9f}": result.append("\u{fffd}")
      default: result.append(scalar)
      }
    }
    return String(result)
  }
}
