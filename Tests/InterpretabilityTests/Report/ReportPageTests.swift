import Foundation
import Testing

@testable import Interpretability

@Suite("The report's page") struct ReportPageTests {
  @Test("names that are markup stay text, in text and in attributes")
  func escaping() throws {
    var synthetic = SyntheticReport(side: 32)
    let html = ReportPage(synthetic.contents(filters: 200, mistakes: 12), nonce: "n").html()
    #expect(!html.contains("<script>alert"))
    #expect(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
    // Bytes, not characters: to those an accent hides the quote before it.
    let accentedQuote = Data("\"\u{301}".utf8)
    #expect(Data(html.utf8).range(of: accentedQuote) == nil)
    #expect(Data(html.utf8).range(of: Data("&quot;\u{301} onload=&quot;x".utf8)) != nil)
    #expect(html.contains("/data/&lt;parts&gt; &amp; more"))
  }

  @Test(
    "escaping works on scalars and replaces what HTML forbids",
    arguments: [
      ("a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;"), ("\"\u{301}x", "&quot;\u{301}x"),
      ("<\u{338}", "&lt;\u{338}"),
      ("a\u{0}b\u{7f}\tc\n", "a\u{fffd}b\u{fffd}\tc\n"), ("Käfer – 甲虫 🪲", "Käfer – 甲虫 🪲"), ("", ""),
    ])
  func escape(_ text: String, _ html: String) {
    // Scalar by scalar: strings compare canonically.
    #expect(Array(HTMLText.escape(text).unicodeScalars) == Array(html.unicodeScalars))
  }

  @Test("the page loads nothing: no address but data and fragments, and a policy that forbids it")
  func selfContained() throws {
    var synthetic = SyntheticReport(side: 32)
    let html = ReportPage(synthetic.contents(filters: 20, mistakes: 4), nonce: "secret").html()
    for match in html.matches(of: /(?:src|href|url|action)\s*[=(]\s*["']?([^"' )>]*)/) {
      #expect(match.1.hasPrefix("data:") || match.1.hasPrefix("#"), "\(match.0)")
    }
    #expect(html.contains("default-src 'none'; img-src data:; style-src 'nonce-secret'"))
    #expect(!html.contains("http://") && !html.contains("https://"))
  }

  @Test("numbers that do not exist are dashes with reasons; NaN and infinity appear nowhere")
  func missingNumbers() throws {
    var synthetic = SyntheticReport(side: 32)
    var contents = synthetic.contents(filters: 50, mistakes: 3)
    contents.networks[0].filters[0].purity = .value(.nan)
    contents.networks[0].filters[1].instability = .value(.infinity)
    contents.networks[0].mistakes[0].probabilities[0].value = .value(-.infinity)
    contents.metrics[0].estimates[0].value = .value(.nan)
    contents.metrics[0].estimates[0].upper = .value(.infinity)
    contents.networks[0].curves.loss.values[3] = .nan
    let html = ReportPage(contents).html().replacing(/base64,[A-Za-z0-9+\/=]*/, with: "")
    #expect(html.firstMatch(of: /\b[Nn]a[Nn]\b/) == nil)
    #expect(html.firstMatch(of: /[^A-Za-z](inf|infinity|Infinity)[^A-Za-z]/) == nil)
    #expect(html.contains("the number is not finite"))
    #expect(html.contains("the filter fires on no image"))
    #expect(html.contains("purity does not depend on places"))
  }

  @Test("sections without contents are left out, and their links")
  func empty() {
    let contents = ReportContents(title: "Empty", subtitle: "nothing", networks: [.init(name: "one")])
    let html = ReportPage(contents).html()
    for section in ["training", "measures", "filters", "mistakes"] {
      #expect(!html.contains("id=\"\(section)\"") && !html.contains("href=\"#\(section)\""))
    }
    #expect(html.contains("<h1>Empty</h1>"))
  }

  @Test("contents survive JSON")
  func codable() throws {
    var synthetic = SyntheticReport(side: 32)
    let contents = synthetic.contents(filters: 9, mistakes: 3)
    let data = try JSONEncoder().encode(contents)
    #expect(try JSONDecoder().decode(ReportContents.self, from: data) == contents)
  }

  @Test("equal contents give equal pages but for the nonce")
  func repeatable() throws {
    var synthetic = SyntheticReport(side: 32)
    let contents = synthetic.contents(filters: 9, mistakes: 3)
    #expect(ReportPage(contents, nonce: "a").html() == ReportPage(contents, nonce: "a").html())
    #expect(ReportPage(contents).html() != ReportPage(contents).html())
  }

  @Test("512 filters of four pictures and 900 mistakes stay below 30 MB")
  func size() throws {
    var synthetic = SyntheticReport()
    let html = ReportPage(synthetic.contents(filters: 512, mistakes: 900, comparing: false)).html()
    #expect(html.utf8.count < 30_000_000, "\(html.utf8.count) bytes")
    #expect(html.split(separator: "<img ").count - 1 == 4 * (512 - 12) + 900)
  }
}
