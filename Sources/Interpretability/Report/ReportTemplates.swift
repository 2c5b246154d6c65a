import Foundation
import Mustache

/// The files of `Page`, which lie in the executable itself.
enum ReportTemplates {
  /// The page and its parts.
  static let library: MustacheLibrary = {
    MustacheContentTypes.register(HTMLText(), named: HTMLText.name)
    return MustacheLibrary(templates: [
      "page": template(PackageResources.page_mustache),
      "metrics": template(PackageResources.metrics_mustache),
      "number": template(PackageResources.number_mustache), "dash": template(PackageResources.dash_mustache),
      "filters": template(PackageResources.filters_mustache),
      "mistakes": template(PackageResources.mistakes_mustache),
    ])
  }()

  /// Style sheet and script.
  static let style = text(PackageResources.page_css)
  static let script = text(PackageResources.page_js)

  private static func template(_ bytes: [UInt8]) -> MustacheTemplate {
    // In every template: Mustache goes back to its own escaping in each partial.
    do { return try MustacheTemplate(string: "{{% CONTENT_TYPE:\(HTMLText.name)}}" + text(bytes)) } catch {
      preconditionFailure("ReportTemplates: \(error)")
    }
  }

  // No part ends with a line of its own: "number" stands inside sentences.
  private static func text(_ bytes: [UInt8]) -> String {
    var text = String(decoding: bytes, as: UTF8.self)
    while text.last == "\n" { text.removeLast() }
    return text
  }
}
