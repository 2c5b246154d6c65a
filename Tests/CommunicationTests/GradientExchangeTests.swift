import Foundation
import Testing

@testable import Communication

/// Numbers whose sums depend on the order of additions.
private func gradient(_ rank: Int, _ index: Int) -> Float {
  Float((rank * 131 + index * 37) % 101 - 50)
    * Float(sign: .plus, exponent: (index + rank) % 24, significand: 1.001)
}

/// Round to nearest bfloat16, ties to even; finite numbers.
private func bfloat16(_ x: Float) -> Float {
  let lower = Float(bitPattern: x.bitPattern & 0xFFFF_0000)
  let upper = Float(bitPattern: (x.bitPattern & 0xFFFF_0000) + 0x1_0000)
  let (a, b) = (abs(Double(x) - Double(lower)), abs(Double(upper) - Double(x)))
  return a < b || (a == b && lower.bitPattern >> 16 & 1 == 0) ? lower : upper
}

@Suite struct GradientExchangeTests {
  @Test func oneProcessHasNothingToExchange() throws {
    let exchange = SingleProcess().gradientExchange(.window, .bfloat16)
    #expect(exchange.route == .none && exchange.storage == nil)
    var values: [Float] = [1.0001, 2]
    values.withUnsafeMutableBufferPointer { exchange.start($0) }
    try exchange.finish()
    try exchange.requireRoute()
    #expect(values == [1.0001, 2])
  }

  @Test(arguments: 1...5, ExchangePrecision.allCases)
  func sumsAreThoseOfTheDefinitionOnAllRanks(ranks: Int, precision: ExchangePrecision) throws {
    let count = 1037
    let results = try InProcessGroup.run(size: ranks) { communicator -> [[Float]] in
      let exchange = communicator.gradientExchange(.automatic, precision)
      #expect(exchange.storage == nil)
      return try (0..<2).map { step in
        var values = (0..<count).map { gradient(communicator.rank, $0 + step) }
        try values.withUnsafeMutableBufferPointer { values in
          for range in [600..<count, 599..<600, 600..<600, 0..<599] {
            exchange.start(UnsafeMutableBufferPointer(rebasing: values[range]))
          }
          try exchange.finish()
        }
        return values
      }
    }
    for step in 0..<2 {
      let expected = (0..<count).map { index -> Float in
        let values = (0..<ranks).map { gradient($0, index + step) }
        if ranks == 1 || precision == .float32 { return values.dropFirst().reduce(values[0], +) }
        return bfloat16(values.dropFirst().reduce(bfloat16(values[0])) { $0 + bfloat16($1) })
      }
      for result in results { #expect(result[step].map(\.bitPattern) == expected.map(\.bitPattern)) }
    }
  }

  @Test func aWindowThatCannotBeHadIsAnErrorOnlyIfItIsInsistedOn() throws {
    let errors = try InProcessGroup.run(size: 2) { communicator -> CommunicationError? in
      let automatic = communicator.gradientExchange(.automatic, .float32)
      try automatic.requireRoute()
      #expect(automatic.route == .plain(reason: "ranks are threads of one process"))
      let plain = communicator.gradientExchange(.plain, .float32)
      try plain.requireRoute()
      #expect("\(plain.route)" == "plain all-reduce")
      do throws(CommunicationError) {
        try communicator.gradientExchange(.window, .float32).requireRoute()
        return nil
      } catch { return error }
    }
    for error in errors {
      #expect(error == .windowUnavailable(reason: "ranks are threads of one process"))
      #expect(error?.exitCode == 78)
    }
  }

  @Test func ranksThatSumDifferentRangesAreAnErrorOnAll() throws {
    let errors = try InProcessGroup.run(size: 3) { communicator -> CommunicationError? in
      let exchange = communicator.gradientExchange(.automatic, .bfloat16)
      var values = [Float](repeating: 1, count: communicator.rank == 1 ? 8 : 9)
      return values.withUnsafeMutableBufferPointer { values in
        exchange.start(values)
        do throws(CommunicationError) {
          try exchange.finish()
          return nil
        } catch { return error }
      }
    }
    for error in errors {
      #expect(error?.exitCode == 70)
      #expect(
        error?.description.contains("sum of 9 Float as bfloat16 (bucket 1), rank 1 calls sum of 8 Float")
          == true)
    }
  }

  @Test func anExchangeThatIsLetGoWaitsForWhatItStarted() throws {
    struct Failed: Error {}
    #expect(throws: Failed.self) {
      try InProcessGroup.run(size: 2) { communicator in
        let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: 1 << 16)
        values.initialize(repeating: 1)
        // The other rank is late: who does not wait for it finds its own numbers.
        if communicator.rank == 1 { usleep(200_000) }
        do {
          let exchange = communicator.gradientExchange(.plain, .float32)
          exchange.start(values)
        }
        #expect(values.allSatisfy { $0 == 2 })
        values.deallocate()
        throw Failed()
      }
    }
  }
}
