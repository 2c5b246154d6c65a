import Foundation
import Tensors
import Testing

@testable import Weights

@Suite("SafeTensors") struct SafeTensorsTests {
  private func write(_ path: String) throws {
    let floats: [Float] = [1, -2.5, 3e-20]
    let doubles = [0.1, .pi]
    _ = try SafeTensors.write(
      [
        SafeTensors.Entry("floats", .float32, shape: [3, 1]) { bytes in
          floats.withUnsafeBytes { bytes.copyMemory(from: $0) }
        },
        SafeTensors.Entry("doubles", .float64, shape: [2]) { bytes in
          doubles.withUnsafeBytes { bytes.copyMemory(from: $0) }
        },
        SafeTensors.Entry("empty", .float32, shape: [0]) { _ in },
      ], metadata: ["key": "value"], to: path)
  }

  @Test("what is written is read")
  func roundTrip() throws {
    try Samples.withFolder { folder in
      try write(folder + "/a")
      let reader = try SafeTensors.Reader(path: folder + "/a")
      #expect(try reader.floats("floats") == [1, -2.5, 3e-20])
      #expect(try reader.doubles("doubles") == [0.1, .pi])
      #expect(try reader.floats("doubles") == [0.1, Float(Double.pi)])
      #expect(try reader.floats("empty") == [])
      #expect(reader.tensors["floats"]?.shape == [3, 1])
      #expect(reader.metadata == ["key": "value"])
      #expect(throws: WeightsError.self) { try reader.floats("missing") }
    }
  }

  @Test("the values start at a multiple of eight bytes")
  func alignment() throws {
    try Samples.withFolder { folder in
      try write(folder + "/a")
      let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/a")))
      let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      #expect(length % 8 == 0)
      #expect(bytes.count == 8 + length + 3 * 4 + 2 * 8)
    }
  }

  @Test("damage of any kind is refused or harmless, never a crash")
  func damage() throws {
    try Samples.withFolder { folder in
      try write(folder + "/a")
      let original = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/a")))
      var random = RandomSource(seed: 5, purpose: .test)
      var refused = 0
      for round in 0..<2000 {
        var bytes = original
        if round % 4 == 0 { bytes.removeLast(1 + random.index(below: bytes.count)) }
        for _ in 0..<(1 + random.index(below: 4)) where !bytes.isEmpty {
          bytes[random.index(below: bytes.count)] = UInt8(truncatingIfNeeded: random.next())
        }
        try Data(bytes).write(to: URL(fileURLWithPath: folder + "/b"))
        do throws(WeightsError) {
          let reader = try SafeTensors.Reader(path: folder + "/b")
          for name in reader.tensors.keys { _ = try reader.floats(name) }
        } catch {
          refused += 1
          #expect(error.exitCode == 65)
        }
      }
      #expect(refused > 800)
    }
  }
}
