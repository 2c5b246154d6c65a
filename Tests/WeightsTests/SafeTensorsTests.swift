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

  private func refusal(_ header: String, values: Int) throws -> String {
    try Samples.withFolder { folder in
      let bytes = PickleWriter.littleEndian(UInt64(header.utf8.count)) + Array(header.utf8)
      try Data(bytes + [UInt8](repeating: 0, count: values)).write(to: URL(fileURLWithPath: folder + "/a"))
      let error = #expect(throws: WeightsError.self) { try SafeTensors.Reader(path: folder + "/a") }
      #expect(error?.exitCode == 65)
      return error?.description ?? ""
    }
  }

  @Test("every byte belongs to one tensor")
  func places() throws {
    func entry(_ name: String, _ from: Int, _ to: Int, _ shape: String = "[1]") -> String {
      "\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(from),\(to)]}"
    }
    let (a, b) = (entry("a", 0, 4), entry("b", 4, 8))
    #expect(try refusal("{\(a)}", values: 8).contains("4 bytes belong to no tensor"))
    #expect(try refusal("{\(a),\(b)}", values: 4).contains("'b' claims bytes"))
    #expect(try refusal("{\(a),\(entry("b", 0, 4))}", values: 4).contains("'b' begins at byte 0, not at 4"))
    #expect(try refusal("{\(a),\(entry("b", 8, 12))}", values: 12).contains("'b' begins at byte 8, not at 4"))
    #expect(try refusal("{\(entry("a", 0, 4, "[2]"))}", values: 4).contains("needs 8"))
    #expect(try refusal("{\(entry("a", 0, 4, "[4611686018427387904,4]"))}", values: 4).contains("impossible"))
    let other = "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}"
    #expect(try refusal(other, values: 1).contains("'a' holds F8_E4M3"))
    // Where a factor is zero the others do not matter.
    let zero = "{\(entry("z", 0, 0, "[0,4611686018427387904,4611686018427387904]")),\(a)}"
    try Samples.withFolder { folder in
      let bytes = PickleWriter.littleEndian(UInt64(zero.utf8.count)) + Array(zero.utf8) + [0, 0, 0x80, 0x3F]
      try Data(bytes).write(to: URL(fileURLWithPath: folder + "/a"))
      let reader = try SafeTensors.Reader(path: folder + "/a")
      #expect(try reader.floats("a") == [1])
      #expect(try reader.floats("z") == [])
    }
  }

  @Test("a header may be as long as the first byte of a pickle or of an archive says")
  func sniffing() throws {
    try Samples.withFolder { folder in
      for lowByte in [0x80, 0x50] {
        var padding = ""
        repeat {
          padding += "x"
          _ = try SafeTensors.write(
            [SafeTensors.Entry("a", .float32, shape: [1]) { $0.storeBytes(of: 2.5, as: Float.self) }],
            metadata: ["padding": padding], to: folder + "/a")
        } while try Data(contentsOf: URL(fileURLWithPath: folder + "/a"))[0] != lowByte
        let file = try WeightsFile(path: folder + "/a")
        #expect(file.format == .safeTensors)
        #expect(try file["a"]?.floats() == [2.5])
      }
      try Data("some text, not weights".utf8).write(to: URL(fileURLWithPath: folder + "/b"))
      let error = #expect(throws: WeightsError.self) { try WeightsFile(path: folder + "/b") }
      #expect(error?.description.contains("neither safetensors nor") == true)
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
