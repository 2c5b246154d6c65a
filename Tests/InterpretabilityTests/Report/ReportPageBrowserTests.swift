import Foundation
import TestSupport
import Testing

@testable import Interpretability

/// The page in a real browser. With ICNN_SCREENSHOTS=DIR pictures of it, and itself, are left there.
@Suite(
  "The report's page in a browser", .serialized,
  .enabled(
    if: Browser.isInstalled, "needs chromium and chromedriver: deploy/install-dependencies.sh --checks"))
struct ReportPageBrowserTests {
  private static let keptFolder = ProcessInfo.processInfo.environment["ICNN_SCREENSHOTS"]

  /// Opens a report in a browser of its own.
  private func withPage(
    filters: Int = 200, mistakes: Int = 30, comparing: Bool = true, fragment: String? = nil,
    width: Int = 1280,
    height: Int = 900, isPhone: Bool = false, isDark: Bool = false, _ body: (Browser) throws -> Void
  ) throws {
    var synthetic = SyntheticReport()
    let contents = synthetic.contents(filters: filters, mistakes: mistakes, comparing: comparing)
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(
      "report-\(UUID().uuidString).html")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data(ReportPage(contents).html().utf8).write(to: file)
    if let folder = Self.keptFolder {
      try? FileManager.default.copyItem(atPath: file.path, toPath: "\(folder)/report-\(filters).html")
    }
    let browser = try Browser()
    defer { browser.close() }
    try browser.emulate(width: width, height: height, isPhone: isPhone, isDark: isDark)
    try browser.open(file, fragment: fragment)
    try body(browser)
    let messages = try browser.consoleMessages()
    #expect(messages.isEmpty, "\(messages)")
  }

  private func keep(_ browser: Browser, _ name: String) throws {
    guard let folder = Self.keptFolder else { return }
    try browser.screenshot().write(to: URL(fileURLWithPath: "\(folder)/\(name).png"))
  }

  private func numbers(_ browser: Browser, _ body: String) throws -> [Double] {
    try #require(try browser.evaluate(body) as? [NSNumber]).map(\.doubleValue)
  }

  private func count(_ browser: Browser, _ selector: String) throws -> Int {
    let value = try browser.evaluate(
      "return [...document.querySelectorAll('\(selector)')].filter(e => e.checkVisibility()).length")
    return try #require(value as? NSNumber).intValue
  }

  @Test("every picture is decoded, nothing else is loaded, no name became markup")
  func loads() throws {
    try withPage { browser in
      let broken = try numbers(
        browser,
        """
        const images = [...document.images];
        return [images.length, images.filter(i => i.complete && i.naturalWidth > 0).length,
          images.filter(i => !i.alt).length, performance.getEntriesByType('resource').filter(
            e => !e.name.startsWith('data:')).length, document.querySelectorAll('script').length,
          document.querySelectorAll('[onload]').length];
        """)
      let pictures = 2 * (4 * (200 - 4) + 30)
      #expect(broken == [Double(pictures), Double(pictures), 0, 0, 1, 0])
    }
  }

  @Test(
    "a click on a head sorts by its column, a second one the other way; what does not exist stays at the end")
  func sorting() throws {
    try withPage { browser in
      let click = { (key: String) in
        _ = try browser.evaluate("document.querySelector('th button[data-key=\(key)]').click()")
      }
      _ = try browser.evaluate("document.querySelector('[data-view=table]').click()")
      let read = { (key: String) in
        try numbers(
          browser,
          "return [...document.querySelectorAll('table.filters tbody tr:not([hidden])')].map("
            + "r => r.dataset.\(key) === '' ? -1 : Number(r.dataset.\(key)))")
      }
      for (key, firstIsAscending) in [
        ("purity", false), ("instability", true), ("rate", false), ("index", true),
      ] {
        for isAscending in [firstIsAscending, !firstIsAscending] {
          try click(key)
          let values = try read(key)
          let present = values.filter { $0 >= 0 }
          #expect(values.count == 200 && present.count > 50)
          #expect(present == present.sorted { isAscending ? $0 < $1 : $0 > $1 }, "\(key)")
          #expect(values.suffix(values.count - present.count).allSatisfy { $0 == -1 }, "\(key)")
          let state = try browser.evaluate(
            "return [...document.querySelectorAll('table.filters th[aria-sort]:not([aria-sort=none])')].map("
              + "h => h.querySelector('button').dataset.key + ' ' + h.getAttribute('aria-sort'))")
          #expect(state as? [String] == ["\(key) \(isAscending ? "ascending" : "descending")"])
        }
      }
      // One network is chosen: its name is no column.
      let networks = try count(browser, "table.filters td.network")
      #expect(networks == 0)
      _ = try browser.evaluate("document.getElementById('table').scrollIntoView({ block: 'center' })")
      try keep(browser, "table")
    }
  }

  @Test("search, class, purity, instability and network choose filters; the words say how many")
  func searching() throws {
    try withPage { browser in
      let set = { (name: String, value: String) in
        _ = try browser.evaluate(
          "const e = document.getElementById('filter-controls').elements['\(name)']; e.value = '\(value)'; "
            + "e.dispatchEvent(new Event('input', { bubbles: true }))")
      }
      let status = { () throws -> String? in
        try browser.evaluate("return document.getElementById('filter-status').textContent") as? String
      }
      #expect(try count(browser, ".card") == 200)
      #expect(try status() == "200 of 200 filters")
      try set("query", "head crane")
      let found = try count(browser, ".card")
      #expect(found > 3 && found < 60)
      #expect(try status() == "\(found) of 200 filters")
      let texts = try browser.evaluate(
        "return [...document.querySelectorAll('table.filters tbody tr:not([hidden])')].map(r => r.textContent)"
      )
      for text in try #require(texts as? [String]) {
        #expect(text.contains("head") && text.contains("crane"))
      }
      #expect(try count(browser, ".group") == 1)
      try set("query", "no such thing")
      #expect(try count(browser, ".card") == 0)
      #expect(try count(browser, "#no-filters") == 1)
      _ = try browser.evaluate("document.querySelector('#no-filters button').click()")
      #expect(try count(browser, ".card") == 200)

      try set("purity", "0.8")
      let pure = try numbers(
        browser,
        "return [...document.querySelectorAll('table.filters tbody tr:not([hidden])')].map(r => r.dataset.purity === '' ? 0 : Number(r.dataset.purity))"
      )
      #expect(!pure.isEmpty && pure.count < 200 && pure.allSatisfy { $0 >= 0.8 })
      try set("purity", "0")
      try set("instability", "0.1")
      let steady = try numbers(
        browser,
        "return [...document.querySelectorAll('table.filters tbody tr:not([hidden])')].map(r => r.dataset.instability === '' ? 9 : Number(r.dataset.instability))"
      )
      #expect(!steady.isEmpty && steady.count < 200 && steady.allSatisfy { $0 <= 0.1 })
      try set("instability", "9")
      try set("network", "")
      #expect(try count(browser, ".card") == 400)
      try set("category", "0")
      let one = try count(browser, ".card")
      #expect(one > 20 && one < 200 && one % 2 == 0)
      #expect(try count(browser, ".group") == 2)
    }
  }

  @Test("mistakes: an overview, then one at a time by address, buttons and keys; votes lead to filters")
  func mistakes() throws {
    try withPage { browser in
      let status = { () throws -> String? in
        try browser.evaluate("return document.getElementById('mistake-status').textContent") as? String
      }
      #expect(try count(browser, ".mistake") == 30)
      #expect(try count(browser, ".mistake .why") == 0)
      _ = try browser.evaluate("document.querySelector('#m0-3 .open').click()")
      #expect(try status() == "4 of 30")
      #expect(try count(browser, ".mistake") == 1)
      #expect(try count(browser, "#m0-3 .why") == 1)
      #expect(try browser.evaluate("return document.activeElement.id") as? String == "m0-3")
      try browser.press("\u{E014}")
      #expect(try status() == "5 of 30")
      _ = try browser.evaluate("document.getElementById('mistake-previous').click()")
      _ = try browser.evaluate("document.getElementById('mistake-previous').click()")
      #expect(try status() == "3 of 30")
      try keep(browser, "mistake")
      _ = try browser.evaluate("document.querySelector('.mistake:not([hidden]) .votes a').click()")
      #expect(try browser.evaluate("return document.activeElement.className") as? String == "card")
      _ = try browser.evaluate("document.getElementById('mistake-all').click()")
      #expect(try count(browser, ".mistake") == 30)
      _ = try browser.evaluate(
        "const e = document.getElementById('mistake-controls').elements.true; e.value = '0'; "
          + "e.dispatchEvent(new Event('input', { bubbles: true }))")
      #expect(try count(browser, ".mistake") == 5)
      #expect(try status() == "5 pictures")
    }
  }

  @Test("an address with a mistake of the other network opens it")
  func deepLink() throws {
    try withPage(fragment: "m1-2") { browser in
      let all = try count(browser, ".mistake")
      let wanted = try count(browser, "#m1-2")
      #expect(all == 1 && wanted == 1)
    }
  }

  @Test("390 pixels are enough, in light and dark", arguments: [false, true])
  func phone(isDark: Bool) throws {
    try withPage(width: 390, height: 844, isPhone: true, isDark: isDark) { browser in
      let name = isDark ? "dark" : "light"
      for (place, action) in [
        ("overview", ""), ("measures", "document.getElementById('measures').scrollIntoView()"),
        ("filters", "document.getElementById('filters').scrollIntoView()"),
        ("table", "document.querySelector('[data-view=table]').click()"),
        ("mistakes", "document.getElementById('mistakes').scrollIntoView()"),
        ("mistake", "location.hash = 'm0-1'"),
      ] {
        _ = try browser.evaluate(action)
        let widths = try numbers(
          browser,
          "return [document.documentElement.scrollWidth, document.documentElement.clientWidth, innerWidth]")
        #expect(widths == [390, 390, 390], "\(place)")
        try keep(browser, "phone-\(name)-\(place)")
      }
    }
  }

  @Test(
    "dark where the reader wants it dark, light elsewhere; text is readable on both",
    arguments: [false, true])
  func scheme(isDark: Bool) throws {
    try withPage(isDark: isDark) { browser in
      let luminance = try numbers(
        browser,
        """
        const light = (color) => {
          const [r, g, b] = color.match(/[0-9.]+/g).map(v => v / 255).map(
            v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = light(getComputedStyle(document.body).backgroundColor);
        return [ground, ...['h1', '.subtitle', '.card dt', '.mistake .predicted', '.sections a', '.direction'].map(s => {
          const text = light(getComputedStyle(document.querySelector(s)).color);
          return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
        })];
        """)
      #expect(isDark ? luminance[0] < 0.05 : luminance[0] > 0.8)
      // WCAG 2.2, 1.4.3: at least 4.5 : 1.
      for contrast in luminance.dropFirst() { #expect(contrast >= 4.5) }
      let name = isDark ? "dark" : "light"
      for place in ["overview", "training", "measures", "filters", "mistakes"] {
        _ = try browser.evaluate("document.getElementById('\(place)').scrollIntoView()")
        try keep(browser, "desktop-\(name)-\(place)")
      }
    }
  }

  @Test("what assistive technology needs: captions, scopes, names, one main heading, a skip link first")
  func accessibility() throws {
    try withPage { browser in
      let faults = try browser.evaluate(
        """
        const faults = [];
        const check = (holds, fault) => { if (!holds) faults.push(fault); };
        check(document.documentElement.lang === 'en', 'language');
        check(document.querySelectorAll('h1').length === 1, 'h1');
        for (const table of document.querySelectorAll('table')) check(table.caption?.textContent.trim(), 'caption');
        for (const head of document.querySelectorAll('th')) check(head.scope, 'scope of ' + head.textContent);
        for (const field of document.querySelectorAll('input, select')) check(field.labels.length, 'label ' + field.name);
        for (const button of document.querySelectorAll('button')) check(button.textContent.trim(), 'button');
        for (const plot of document.querySelectorAll('svg.plot')) {
          const ids = plot.getAttribute('aria-labelledby').split(' ');
          check(ids.every(id => document.getElementById(id)?.textContent.length > 10), 'plot');
        }
        const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
        check(new Set(ids).size === ids.length, 'identifiers twice');
        for (const link of document.querySelectorAll('a[href^="#"]')) check(document.getElementById(link.hash.slice(1)), link.hash);
        for (const part of document.querySelectorAll('[aria-labelledby]')) {
          for (const id of part.getAttribute('aria-labelledby').split(' ')) check(document.getElementById(id), id);
        }
        return faults;
        """)
      #expect(faults as? [String] == [])
      try browser.press("\u{E004}")
      #expect(try browser.evaluate("return document.activeElement.className") as? String == "skip")
      let outline = try browser.evaluate("return getComputedStyle(document.activeElement).outlineStyle")
      #expect(outline as? String == "solid")
    }
  }

  @Test("a report of 512 filters and 900 mistakes opens, sorts and searches")
  func large() throws {
    try withPage(filters: 512, mistakes: 900, comparing: false) { browser in
      #expect(try count(browser, ".card") == 512)
      #expect(try count(browser, ".mistake") == 900)
      _ = try browser.evaluate("document.querySelector('th button[data-key=purity]').click()")
      _ = try browser.evaluate("location.hash = 'm0-899'")
      let text = try browser.evaluate("return document.getElementById('mistake-status').textContent")
      #expect(text as? String == "900 of 900")
    }
  }
}
