import Foundation

#if canImport(FoundationNetworking)
  import FoundationNetworking
#endif

/// A headless Chromium, driven through chromedriver and the W3C's WebDriver protocol.
///
///     let browser = try Browser()
///     try browser.open(page)
///     #expect(try browser.evaluate("return document.title") as? String == "…")
///     browser.close()
public final class Browser {
  /// What the browser or its driver refused.
  public struct Failure: Error, CustomStringConvertible {
    /// The driver's words.
    public let description: String
  }

  private let driver: ProcessRun
  private let server: LoopbackHTTP
  private var session = ""

  /// True where Debian's chromium and chromium-driver are installed.
  public static let isInstalled = executable("chromedriver") != nil && executable("chromium") != nil

  /// Starts a browser with an empty page.
  public init() throws {
    guard let chromedriver = Self.executable("chromedriver"), let chromium = Self.executable("chromium")
    else {
      throw Failure(description: "chromium or chromedriver is not installed")
    }
    let (driver, port) = try Self.start(chromedriver)
    self.driver = driver
    server = LoopbackHTTP(port: port)
    // Containers have neither user namespaces nor a large /dev/shm.
    let options: [String: Any] = [
      "binary": chromium.path,
      "args": [
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
      ],
    ]
    let capabilities: [String: Any] = [
      "goog:chromeOptions": options, "goog:loggingPrefs": ["browser": "ALL"],
    ]
    let result = try post("session", ["capabilities": ["alwaysMatch": capabilities]]) as? [String: Any]
    guard let identifier = result?["sessionId"] as? String else {
      throw Failure(description: "no session: \(String(describing: result))")
    }
    session = "session/\(identifier)/"
  }

  /// The driver on a free port. It lets the system choose one for IPv4 and then wants the same for IPv6, which another
  /// program may have taken: then it is asked again.
  private static func start(_ chromedriver: URL) throws -> (driver: ProcessRun, port: UInt16) {
    let started = /started successfully on port (\d+)/
    var complaint = ""
    for _ in 0..<8 {
      let driver = try ProcessRun(chromedriver, ["--port=0"], timeoutSeconds: 300)
      if driver.wait(until: { driver.stdoutSoFar.contains(started) }),
        let port = driver.stdoutSoFar.firstMatch(of: started).flatMap({ UInt16($0.1) })
      {
        return (driver, port)
      }
      driver.signal(SIGKILL)
      complaint = driver.wait().stderr
      guard complaint.contains("Address already in use") else { break }
    }
    throw Failure(description: "chromedriver does not start: \(complaint)")
  }

  /// Loads a file and waits until it is complete.
  public func open(_ file: URL, fragment: String? = nil) throws {
    let url = file.absoluteString + (fragment.map { "#" + $0 } ?? "")
    _ = try post(session + "url", ["url": url])
  }

  /// Runs a function's body in the page and gives back what it returns: strings, numbers, arrays, dictionaries.
  public func evaluate(_ body: String) throws -> Any? {
    try post(session + "execute/sync", ["script": body, "args": [Any]()])
  }

  /// Errors and warnings on the page's console since the last call.
  public func consoleMessages() throws -> [String] {
    let entries = try post(session + "se/log", ["type": "browser"]) as? [[String: Any]] ?? []
    return entries.filter { ["SEVERE", "WARNING"].contains($0["level"] as? String) }.map {
      "\($0["message"] ?? "")"
    }
  }

  /// Width and height of the window in CSS pixels, dark or light, as a phone or not.
  public func emulate(width: Int, height: Int, isPhone: Bool = false, isDark: Bool = false) throws {
    try command(
      "Emulation.setDeviceMetricsOverride",
      ["width": width, "height": height, "deviceScaleFactor": isPhone ? 2 : 1, "mobile": isPhone])
    let scheme = ["name": "prefers-color-scheme", "value": isDark ? "dark" : "light"]
    // Movement would make tests wait.
    let motion = ["name": "prefers-reduced-motion", "value": "reduce"]
    try command("Emulation.setEmulatedMedia", ["features": [scheme, motion]])
  }

  /// Presses a key: a character, or one of WebDriver's code points such as "\u{E014}", the right arrow.
  public func press(_ key: String) throws {
    let actions = ["keyDown", "keyUp"].map { ["type": $0, "value": key] }
    _ = try post(
      session + "actions",
      ["actions": [["type": "key", "id": "keyboard", "actions": actions] as [String: Any]]])
  }

  /// What is seen, as PNG.
  public func screenshot() throws -> Data {
    let text = try request("GET", session + "screenshot") as? String
    guard let data = text.flatMap({ Data(base64Encoded: $0) }) else {
      throw Failure(description: "no screenshot")
    }
    return data
  }

  /// Ends the browser.
  public func close() {
    _ = try? request("DELETE", String(session.dropLast()))
    driver.signal(SIGTERM)
    _ = driver.wait()
  }

  private func command(_ name: String, _ parameters: [String: Any]) throws {
    _ = try post(session + "goog/cdp/execute", ["cmd": name, "params": parameters])
  }

  private func post(_ path: String, _ body: [String: Any]) throws -> Any? {
    try request("POST", path, JSONSerialization.data(withJSONObject: body))
  }

  private func request(_ method: String, _ path: String, _ body: Data = Data()) throws -> Any? {
    let answer = try server.request(method, path, body)
    let object = try JSONSerialization.jsonObject(with: answer.body) as? [String: Any]
    let value = object?["value"]
    guard answer.status == 200 else {
      let message = (value as? [String: Any])?["message"] ?? String(decoding: answer.body, as: UTF8.self)
      throw Failure(description: "\(path): \(message)")
    }
    return value is NSNull ? nil : value
  }

  private static func executable(_ name: String) -> URL? {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }.first {
      FileManager.default.isExecutableFile(atPath: $0)
    }.map { URL(fileURLWithPath: $0) }
  }
}
