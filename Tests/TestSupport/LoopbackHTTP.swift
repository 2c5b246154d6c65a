import Foundation
import Glibc

/// Requests to a server on this machine, one connection each. Foundation's URLSession cannot read what chromedriver
/// answers ("Failed writing header").
struct LoopbackHTTP {
  /// An answer.
  struct Answer {
    let status: Int
    let body: Data
  }

  /// What the system refused.
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  let port: UInt16

  /// Sends a request with a JSON body and waits for the whole answer.
  func request(_ method: String, _ path: String, _ body: Data, timeoutSeconds: Int = 120) throws -> Answer {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Self.failure("socket") }
    defer { close(descriptor) }
    var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else { throw Self.failure("connect") }
    let head =
      "\(method) /\(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n"
      + "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n"
    try Self.send(Data(head.utf8) + body, to: descriptor)
    return try Self.receive(from: descriptor)
  }

  private static func send(_ data: Data, to descriptor: Int32) throws {
    var done = 0
    while done < data.count {
      let count = data.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + done, data.count - done, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw failure("send") }
      done += count
    }
  }

  private static func receive(from descriptor: Int32) throws -> Answer {
    var data = Data()
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      if let end = data.range(of: Data("\r\n\r\n".utf8)) {
        let head = String(decoding: data[..<end.lowerBound], as: UTF8.self)
        guard let status = head.firstMatch(of: /^HTTP\/1.1 (\d+)/).flatMap({ Int($0.1) }),
          let length = head.firstMatch(of: /(?i)content-length: *(\d+)/).flatMap({ Int($0.1) })
        else { throw Failure(description: "an answer without status or length: \(head)") }
        if data.count - end.upperBound >= length {
          return Answer(status: status, body: Data(data[end.upperBound..<end.upperBound + length]))
        }
      }
      let count = recv(descriptor, &chunk, chunk.count, 0)
      guard count > 0 else { throw failure("recv") }
      data.append(contentsOf: chunk[..<count])
    }
  }

  private static func failure(_ call: String) -> Failure {
    Failure(description: "\(call): \(String(cString: strerror(errno)))")
  }
}
