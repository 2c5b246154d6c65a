import Foundation

/// A report as one HTML page that needs nothing else: pictures, styles and script are inside, and a content security
/// policy forbids it to load anything.
public struct ReportPage {
  private let contents: ReportContents
  private let nonce: String

  /// A page of `contents`.
  ///
  /// - Parameter nonce: marks the page's own style and script; markup that got into a text by whatever way cannot know
  ///   it. By default random, so that pages of equal contents differ in it alone.
  public init(_ contents: ReportContents, nonce: String? = nil) {
    self.contents = contents
    self.nonce = nonce ?? String(UInt64.random(in: .min ... .max), radix: 16)
    for network in contents.networks {
      let indices = network.filters.map(\.index)
      precondition(
        Set(indices).count == indices.count, "ReportPage: two filters of \(network.name) have one index")
    }
  }

  /// The whole page.
  public func html() -> String {
    guard let html = ReportTemplates.library.render(PageView(contents, nonce: nonce), withTemplate: "page")
    else {
      preconditionFailure("ReportPage: no template named page")
    }
    return html
  }
}

/// What the template `page` asks for.
private struct PageView {
  let nonce: String
  let style = ReportTemplates.style, script = ReportTemplates.script
  let title: String, subtitle: String
  let summary: [ReportContents.Fact], configuration: [ReportContents.Fact], notes: [String]
  let hasSummary: Bool, hasConfiguration: Bool, hasNotes: Bool
  let compares: Bool
  let networks: [Choice]
  let plots: [PlotView], lineNames: [LineName]
  let hasPlots: Bool
  let metrics: [MetricView]
  let hasMetrics: Bool
  // Of the template `filters`.
  let groups: [FilterGroupView], columns: [FilterColumn], categories: [Choice], missing: [String]
  let instabilityLimit: String
  let filterCount: Int
  let hasFilters: Bool, hasMissing: Bool
  // Of the template `mistakes`.
  let mistakes: [MistakeView], trueClasses: [Choice], predictedClasses: [Choice]
  let mistakeCount: Int
  let hasMistakes: Bool

  init(_ contents: ReportContents, nonce: String) {
    self.nonce = nonce
    title = contents.title
    subtitle = contents.subtitle
    summary = contents.summary
    configuration = contents.configuration
    notes = contents.notes + Self.unreadableLines(contents.networks)
    hasSummary = !summary.isEmpty
    hasConfiguration = !configuration.isEmpty
    hasNotes = !notes.isEmpty
    compares = contents.networks.count > 1
    networks = contents.networks.enumerated().map { Choice(index: $0, name: $1.name) }
    plots = PlotView.all(contents.networks)
    lineNames = LineName.all(contents.networks)
    hasPlots = !plots.isEmpty
    metrics = contents.metrics.map { MetricView($0, networks: contents.networks.map(\.name)) }
    hasMetrics = !metrics.isEmpty

    let filters = FilterViews(contents.networks)
    groups = filters.groups
    columns = FilterColumn.all(comparing: compares)
    categories = filters.categories
    missing = filters.missing
    instabilityLimit = filters.instabilityLimit
    filterCount = groups.reduce(0) { $0 + $1.filters.count }
    hasFilters = filterCount > 0
    hasMissing = !missing.isEmpty

    let errors = MistakeViews(contents.networks)
    mistakes = errors.mistakes
    trueClasses = errors.trueClasses
    predictedClasses = errors.predictedClasses
    mistakeCount = mistakes.count
    hasMistakes = mistakeCount > 0
  }

  private static func unreadableLines(_ networks: [ReportContents.Network]) -> [String] {
    networks.filter { $0.curves.unreadableLines > 0 }.map {
      "\($0.curves.unreadableLines) lines of the training log of \($0.name) cannot be read and are left out."
    }
  }
}

/// An entry of a menu; `index` stands for it in data attributes.
struct Choice {
  let index: Int
  let name: String

  /// The different ones of `names`, by the alphabet.
  static func all(_ names: some Sequence<String>) -> [Choice] {
    Set(names).sorted { $0.localizedStandardCompare($1) == .orderedAscending }.enumerated().map {
      Choice(index: $0, name: $1)
    }
  }
}

extension [Choice] {
  func index(of name: String) -> Int { first { $0.name == name }?.index ?? -1 }
}

/// A number in a template.
struct NumberView {
  let text: String, reason: String
  let isMissing: Bool

  init(_ number: ReportNumber, inPercent: Bool = false) {
    text = inPercent ? number.percent : number.text
    reason = number.reason
    isMissing = number.finite == nil
  }
}

/// A horizontal bar of a share 0...1; nothing for a number that does not exist. The number stands beside it.
func bar(_ share: Double?) -> String {
  guard let share, share.isFinite else { return "<span></span>" }
  let width = String(format: "%.1f", min(max(share, 0), 1) * 100)
  return "<svg class=\"bar\" viewBox=\"0 0 100 5\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    + "<rect width=\"\(width)\" height=\"5\"/></svg>"
}
