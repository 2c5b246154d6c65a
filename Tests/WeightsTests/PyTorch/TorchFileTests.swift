import Foundation
import Testing

@testable import Weights

@Suite("Files of PyTorch") struct TorchFileTests {
  /// How a file is written.
  enum Form: CaseIterable { case archive, legacy }

  private static func writer() -> TorchFileWriter {
    let ramp = (0..<24).map { Float($0) }
    return TorchFileWriter(
      tensors: [
        .init(name: "a.weight", key: "0", shape: [2, 3, 4], strides: [12, 4, 1]),
        // Transposed, and a part of the same storage.
        .init(name: "b.weight", key: "0", shape: [4, 3], strides: [1, 4], offset: 12, isParameter: true),
        .init(name: "c.bias", key: "1", shape: [2], strides: [2]),
        .init(name: "scalar", key: "2", shape: [], strides: []),
        .init(name: "empty", key: "1", shape: [0, 5], strides: [5, 1]),
      ],
      storages: [
        "0": .init(ramp), "1": .init([7, 8, 9]),
        "2": .init(type: "LongStorage", count: 1, bytes: PickleWriter.littleEndian(Int64(-1234))),
      ])
  }

  private func read(_ bytes: [UInt8]) throws -> WeightsFile {
    try Samples.withFolder { folder in
      let path = folder + "/model.pth"
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      return try WeightsFile(path: path)
    }
  }

  private func bytes(_ writer: TorchFileWriter, _ form: Form) -> [UInt8] {
    form == .archive ? writer.archive : writer.legacy
  }

  /// The error's text; records an issue if the file is read.
  private func refusal(_ bytes: [UInt8]) throws -> String {
    try Samples.withFolder { folder in
      let path = folder + "/model.pth"
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: WeightsError.self) {
        let file = try WeightsFile(path: path)
        for tensor in file.tensors { _ = try tensor.doubles() }
      }
      #expect(error?.exitCode == 65)
      return error?.description ?? ""
    }
  }

  @Test("views, strides, parameters, shared storages, single numbers", arguments: Form.allCases)
  func views(_ form: Form) throws {
    try Samples.withFolder { folder in
      let path = folder + "/model.pth"
      try Data(bytes(Self.writer(), form)).write(to: URL(fileURLWithPath: path))
      let file = try WeightsFile(path: path)
      #expect(file.format == .torch)
      #expect(file.tensors.map(\.name) == ["a.weight", "b.weight", "c.bias", "scalar", "empty"])
      #expect(try file["a.weight"]?.floats() == (0..<24).map { Float($0) })
      #expect(try file["b.weight"]?.floats() == [12, 16, 20, 13, 17, 21, 14, 18, 22, 15, 19, 23])
      #expect(file["b.weight"]?.shape == [4, 3])
      #expect(try file["c.bias"]?.floats() == [7, 9])
      #expect(try file["scalar"]?.doubles() == [-1234])
      #expect(file["scalar"]?.shape == [])
      #expect(try file["empty"]?.floats() == [])
    }
  }

  @Test("a view of a storage, as old files have it")
  func storageViews() throws {
    try Samples.withFolder { folder in
      var writer = Self.writer()
      writer.tensors = [.init(name: "a", key: "0", shape: [3], strides: [1], offset: 1, view: [10, 5])]
      writer.storages = ["0": writer.storages["0"]!]
      let path = folder + "/model.pth"
      try Data(writer.legacy).write(to: URL(fileURLWithPath: path))
      #expect(try WeightsFile(path: path)["a"]?.floats() == [11, 12, 13])
      writer.tensors[0].offset = 3
      #expect(try refusal(writer.legacy).contains("goes beyond its 5 values"))
      writer.tensors[0].view = [20, 5]
      #expect(try refusal(writer.legacy).contains("a view of storage '0' is malformed"))
    }
  }

  @Test("dictionaries in checkpoints of training scripts, prefixes of wrappers", arguments: Form.allCases)
  func wrappers(_ form: Form) throws {
    for wrapper in StateDictionary.wrappers {
      var writer = Self.writer()
      writer.wrapper = wrapper
      writer.prefix = "module._orig_mod."
      #expect(try read(bytes(writer, form)).tensors.map(\.name).first == "a.weight")
    }
    // A prefix that only some names have is part of these names.
    var writer = Self.writer()
    writer.tensors[0].name = "module.a.weight"
    #expect(try read(bytes(writer, form)).tensors.map(\.name).first == "module.a.weight")
  }

  @Test(
    "every element type",
    arguments: [
      ("DoubleStorage", PickleWriter.littleEndian((-0.1).bitPattern), -0.1),
      ("FloatStorage", PickleWriter.littleEndian(Float(-2.5).bitPattern), -2.5),
      ("HalfStorage", PickleWriter.littleEndian(Float16(0.3333).bitPattern), Double(Float16(0.3333))),
      ("BFloat16Storage", [0x49, 0x40], 3.140625), ("LongStorage", PickleWriter.littleEndian(Int64(-5)), -5),
      ("IntStorage", PickleWriter.littleEndian(Int32(-6)), -6),
      ("ShortStorage", PickleWriter.littleEndian(Int16(-7)), -7),
      ("CharStorage", [0xF8], -8), ("ByteStorage", [0xF8], 248), ("BoolStorage", [1], 1),
    ] as [(String, [UInt8], Double)])
  func elementTypes(_ type: String, _ bytes: [UInt8], _ value: Double) throws {
    try Samples.withFolder { folder in
      let writer = TorchFileWriter(
        tensors: [.init(name: "x", key: "0", shape: [1], strides: [1])],
        storages: ["0": .init(type: type, count: 1, bytes: bytes)])
      for form in Form.allCases {
        let path = folder + "/\(form)"
        try Data(self.bytes(writer, form)).write(to: URL(fileURLWithPath: path))
        let tensor = try #require(try WeightsFile(path: path)["x"])
        #expect(try tensor.doubles() == [value])
        #expect(try tensor.floats() == [Float(value)])
        #expect(try [UInt8](tensor.contiguousBytes()) == bytes)
      }
    }
  }

  @Test(
    "views beyond their storage, values repeated by strides, sizes beyond all bounds",
    arguments: Form.allCases)
  func impossibleViews(_ form: Form) throws {
    for (shape, strides, offset) in [
      ([25], [1], 0), ([24], [1], 1), ([2, 3, 4], [12, 4, 2], 0), ([1_000_000_000], [0], 0), ([25], [0], 0),
      ([Int.max, Int.max], [1, 1], 0), ([2, 2], [Int.max, 1], 0), ([2], [1], Int.max), ([2], [-1], 5),
      ([-1], [1], 0),
      ([2], [1], -1), ([2, 2], [1], 0), ([Int](repeating: 1, count: 17), [Int](repeating: 1, count: 17), 0),
    ] {
      var writer = Self.writer()
      writer.tensors[0].shape = shape
      writer.tensors[0].strides = strides
      writer.tensors[0].offset = offset
      let text = try refusal(bytes(writer, form))
      #expect(text.contains("'a.weight' of shape") || text.contains("at most 16"), "\(text)")
    }
  }

  @Test("storages that are not as long as the pickle says", arguments: Form.allCases)
  func lies(_ form: Form) throws {
    var writer = Self.writer()
    writer.storages["1"]?.bytes.removeLast(4)
    _ = try refusal(bytes(writer, form))
    for count in [4, 1 << 40, Int.max] {
      writer = Self.writer()
      writer.storages["1"]?.count = count
      _ = try refusal(bytes(writer, form))
    }
    writer = Self.writer()
    writer.tensors[0].key = "absent"
    _ = try refusal(bytes(writer, form))
    writer = Self.writer()
    writer.byteOrder = "big"
    #expect(try refusal(bytes(writer, form)).contains("byte order"))
    writer = Self.writer()
    writer.tensors[1].name = "a.weight"
    #expect(try refusal(bytes(writer, form)).contains("two tensors are named 'a.weight'"))
    writer.tensors = []
    writer.storages = [:]
    #expect(try refusal(bytes(writer, form)).contains("no dict of tensors"))
  }

  @Test("cut anywhere, a file is refused", arguments: Form.allCases)
  func cut(_ form: Form) throws {
    let whole = bytes(Self.writer(), form)
    for length in stride(from: 0, to: whole.count, by: 7) { _ = try refusal(Array(whole[..<length])) }
    if form == .legacy { #expect(try refusal(whole + [0]).contains("1 bytes follow")) }
  }

  @Test("entries of the archive that PyTorch does not write")
  func archives() throws {
    var entries = Self.writer().entries
    entries[2].method = 8
    #expect(try refusal(TorchFileWriter.archive(entries)).contains("'model/data/0' is compressed"))
    entries = Self.writer().entries
    entries[2].flags = 1
    #expect(try refusal(TorchFileWriter.archive(entries)).contains("'model/data/0' is encrypted"))
    entries = Self.writer().entries
    entries[2].claimedSize = 1 << 31
    #expect(try refusal(TorchFileWriter.archive(entries)).contains("'model/data/0'"))
    entries = Self.writer().entries
    entries.append(entries[2])
    #expect(try refusal(TorchFileWriter.archive(entries)).contains("two entries are named 'model/data/0'"))
    entries = Self.writer().entries
    entries.append(.init(name: "other/data.pkl", bytes: []))
    #expect(try refusal(TorchFileWriter.archive(entries)).contains("2 files named"))
    // A flipped bit of a storage is found by its checksum.
    var bytes = Self.writer().archive
    let last = Data(PickleWriter.littleEndian(Float(23).bitPattern))
    let place = try #require(Data(bytes).firstRange(of: last)).lowerBound
    bytes[place] ^= 1
    #expect(try refusal(bytes).contains("'data/0': CRC error"))
  }

  @Test("a model instead of its state_dict is refused by name")
  func models() throws {
    var pickle = PickleWriter()
    pickle.global("torchvision.models.vgg", "VGG")
    pickle.opcode(")")
    pickle.bytes += [0x81, UInt8(ascii: ".")]
    let text = try refusal(TorchFileWriter.archive([.init(name: "m/data.pkl", bytes: pickle.bytes)]))
    #expect(text.contains("torchvision.models.vgg.VGG") && text.contains("save the state_dict()"))
    #expect(try refusal(pickle.bytes).contains("torchvision.models.vgg.VGG"))
  }

  @Test(
    "real files: names, shapes, values",
    arguments: [
      ("alexnet_w16_checkpoint.pth", "alexnet"), ("resnet18_w16_legacy_parameters.pth", "resnet18"),
    ])
  func bundled(_ name: String, _ network: String) throws {
    try check(Samples.bundled(name), network)
  }

  @Test(
    "all sample files", .enabled(if: Samples.folder != nil, "needs weights-sample in ICNN_DATA_DIR"),
    arguments: [
      ("alexnet_w16.pth", "alexnet"), ("vgg16_w16.pth", "vgg16"), ("vgg16_w16_legacy.pth", "vgg16"),
      ("resnet18_w16.pth", "resnet18"), ("alexnet_w16.safetensors", "alexnet"),
      ("vgg16_w16.safetensors", "vgg16"),
      ("resnet18_w16.safetensors", "resnet18"),
    ])
  func samples(_ name: String, _ network: String) throws {
    try check(try #require(Samples.folder) + "/" + name, network)
  }

  private func check(_ path: String, _ network: String) throws {
    let file = try WeightsFile(path: path)
    let expected = try Samples.tensors(network)
    let names = Set(file.tensors.map(\.name))
    #expect(names.subtracting(expected.keys) == [])
    // Old files do not count batches.
    #expect(Set(expected.keys).subtracting(names).allSatisfy { $0.hasSuffix("num_batches_tracked") })
    for tensor in file.tensors {
      let values = try tensor.doubles()
      let known = try #require(expected[tensor.name])
      #expect(tensor.shape == known.shape)
      #expect(abs(values.reduce(0, +) - known.sum) <= 1e-6 * max(abs(known.sum), 1), "\(tensor.name)")
      for (mine, theirs) in zip(values, known.first) { #expect(abs(mine - theirs) <= 1e-6) }
      for (mine, theirs) in zip(values.reversed(), known.last.reversed()) {
        #expect(abs(mine - theirs) <= 1e-6)
      }
    }
  }
}
