import Testing

@testable import Weights

@Suite("Pickles") struct PickleInterpreterTests {
  private func run(_ build: (inout PickleWriter) -> Void) throws -> (PickleValue, PickleArena) {
    var pickle = PickleWriter()
    build(&pickle)
    pickle.opcode(".")
    var interpreter = PickleInterpreter(pickle.bytes)
    let value = try interpreter.next()
    return (value, interpreter.arena)
  }

  private func fault(_ build: (inout PickleWriter) -> Void) -> PickleInterpreter.Fault? {
    #expect(throws: PickleInterpreter.Fault.self) { try run(build) }
  }

  @Test(
    "numbers", arguments: [0, 1, 255, 256, 70_000, -1, -70_000, Int(Int32.min), 1 << 40, Int.min, Int.max])
  func integers(_ value: Int) throws {
    guard case .integer(value) = try run({ $0.integer(value) }).0 else {
      Issue.record("\(value) is not read")
      return
    }
  }

  @Test(
    "short long integers carry their sign",
    arguments: [([], 0), ([0x80], -128), ([0xFF, 0], 255)] as [([UInt8], Int)])
  func longs(_ bytes: [UInt8], _ value: Int) throws {
    guard case .integer(value) = try run({ $0.bytes += [0x8A, UInt8(bytes.count)] + bytes }).0 else {
      Issue.record("\(value) is not read")
      return
    }
  }

  @Test("containers keep their order")
  func containers() throws {
    let (value, arena) = try run {
      $0.opcode("}")
      $0.mark()
      $0.string("a")
      $0.tuple([1, 2, 3])
      $0.string("b")
      $0.opcode("]")
      $0.mark()
      $0.boolean(true)
      $0.opcode("N")
      $0.opcode("e")
      $0.opcode("u")
    }
    guard case .dictionary(let index) = value, case .tuple(let tuple)? = arena.value("a", in: index),
      case .list(let list)? = arena.value("b", in: index)
    else {
      Issue.record("not the dictionary that was written")
      return
    }
    #expect(arena.tuples[tuple].map { if case .integer(let value) = $0 { value } else { -1 } } == [1, 2, 3])
    #expect(arena.lists[list].map(\.kind) == ["a bool", "None"])
  }

  @Test(
    "any other name is refused, and named",
    arguments: [
      ("os", "system"), ("builtins", "eval"), ("__builtin__", "getattr"), ("torch", "load"),
      ("torch._utils", "_rebuild_device_tensor_from_numpy"), ("torchvision.models.vgg", "VGG"),
      ("numpy.core.multiarray", "scalar"), ("collections", "defaultdict"), ("torch.FloatStorage", ""),
    ])
  func globals(_ module: String, _ name: String) {
    let fault = fault {
      $0.global(module, name)
      $0.opcode(")")
      $0.opcode("R")
    }
    #expect(fault?.isRefusal == true)
    #expect(fault?.reason.contains("\(module).\(name)") == true)
    let onStack = self.fault {
      $0.string(module)
      $0.string(name)
      $0.bytes.append(0x93)
    }
    #expect(onStack?.isRefusal == true && onStack?.reason.contains("\(module).\(name)") == true)
  }

  @Test(
    "instructions that build objects are refused by name",
    arguments: [
      ("o", "OBJ"), ("i", "INST"), ("\u{81}", "NEWOBJ"), ("\u{92}", "NEWOBJ_EX"), ("2", "DUP"),
      ("P", "PERSID"),
      ("\u{82}", "EXT1"), ("\u{8B}", "LONG4"), ("B", "BINBYTES"),
    ] as [(Unicode.Scalar, String)])
  func opcodes(_ opcode: Unicode.Scalar, _ name: String) {
    let fault = fault { $0.bytes.append(UInt8(opcode.value)) }
    #expect(fault?.isRefusal == true)
    #expect(fault?.reason.contains("instruction \(name) ") == true)
  }

  @Test("only names are called, and state is set of dictionaries alone")
  func calls() {
    #expect(
      fault {
        $0.integer(1); $0.opcode(")"); $0.opcode("R")
      }?.reason == "the pickle calls an int")
    #expect(
      fault {
        $0.global("torch", "FloatStorage"); $0.opcode(")"); $0.opcode("R")
      }?.isRefusal == true)
    #expect(
      fault {
        $0.opcode("]"); $0.opcode("}"); $0.opcode("b")
      }?.reason == "the pickle sets the state of a list")
    #expect(
      fault {
        $0.opcode("}"); $0.integer(1); $0.opcode("b")
      }?.isRefusal == true)
  }

  @Test("a stack that is too short, a mark that is missing, and texts beyond the end are faults")
  func malformed() {
    for build: (inout PickleWriter) -> Void in [
      { $0.opcode("R") }, { $0.opcode("t") }, { $0.opcode("u") }, { $0.opcode("Q") },
      {
        $0.mark(); $0.opcode("0")
      },
      {
        $0.integer(1); $0.mark(); $0.opcode("a")
      }, { $0.bytes += [UInt8(ascii: "h"), 7] },
      { $0.bytes += [UInt8(ascii: "X"), 0xFF, 0xFF, 0xFF, 0xFF] },
      { $0.bytes += [UInt8(ascii: "X"), 1, 0, 0, 0, 0xFF] },
      { $0.bytes += [0x8A, 200, 1] }, { $0.bytes += [0xFE] },
      { $0.bytes += [UInt8(ascii: "c"), UInt8(ascii: "x")] },
      {
        $0.opcode("}"); $0.mark(); $0.integer(1); $0.opcode("u")
      },
      {
        $0.string("storage"); $0.opcode("Q")
      },
      {
        $0.opcode("}"); $0.integer(1); $0.opcode("a")
      },
      {
        $0.opcode("]"); $0.integer(1); $0.integer(1); $0.opcode("s")
      },
    ] {
      #expect(fault(build)?.isRefusal == false)
    }
    #expect(fault { $0.bytes += [0x80, 9] }?.reason == "pickle protocol 9")
  }

  @Test("half a million tuples in each other do not exhaust the machine's stack")
  func depth() throws {
    let (value, arena) = try run {
      $0.opcode("N")
      $0.bytes += [UInt8](repeating: 0x85, count: 500_000)
    }
    #expect(arena.tuples.count == 500_000)
    #expect(value.kind == "a tuple")
  }

  @Test("what holds itself is read")
  func cycle() throws {
    let (value, arena) = try run {
      $0.opcode("]")
      $0.bytes += [UInt8(ascii: "q"), 0]
      $0.bytes += [UInt8(ascii: "h"), 0]
      $0.opcode("a")
    }
    guard case .list(let outer) = value, case .list(outer)? = arena.lists[outer].first else {
      Issue.record("not the list that was written")
      return
    }
  }

  @Test("lists that double by reference stay small")
  func sharing() throws {
    let (_, arena) = try run {
      $0.opcode("]")
      for level in 0..<200 {
        $0.bytes += [UInt8(ascii: "q"), UInt8(level), UInt8(ascii: "]"), UInt8(ascii: "(")]
        $0.bytes += [UInt8(ascii: "h"), UInt8(level), UInt8(ascii: "h"), UInt8(level), UInt8(ascii: "e")]
      }
    }
    #expect(arena.lists.count == 201)
    #expect(arena.lists.reduce(0) { $0 + $1.count } == 400)
  }

  @Test("a small pickle cannot have a large list copied again and again")
  func copies() {
    let fault = fault {
      $0.opcode("]")
      $0.bytes += [UInt8(ascii: "q"), 0]
      $0.mark()
      for _ in 0..<1000 { $0.tuple([1, 2]) }
      $0.opcode("e")
      for _ in 0..<10_000 {
        $0.global("collections", "OrderedDict")
        $0.bytes += [UInt8(ascii: "h"), 0, 0x85]
        $0.opcode("R")
      }
    }
    #expect(fault?.reason.contains("more than") == true)
  }

  @Test("an OrderedDict of pairs, as Python 2 wrote it")
  func pairs() throws {
    let (value, arena) = try run {
      $0.global("collections", "OrderedDict")
      $0.opcode("]")
      $0.opcode("]")
      $0.mark()
      $0.string("key")
      $0.integer(5)
      $0.opcode("e")
      $0.opcode("a")
      $0.bytes.append(0x85)
      $0.opcode("R")
    }
    guard case .dictionary(let index) = value, case .integer(5)? = arena.value("key", in: index) else {
      Issue.record("not the dictionary that was written")
      return
    }
  }

  @Test("a call of OrderedDict, tensor or parameter with other arguments is a fault")
  func arguments() {
    for name in ["_rebuild_tensor_v2", "_rebuild_tensor", "_rebuild_parameter"] {
      #expect(
        fault {
          $0.global("torch._utils", name); $0.tuple([1, 2, 3]); $0.opcode("R")
        } != nil)
    }
    #expect(
      fault {
        $0.global("collections", "OrderedDict"); $0.tuple([1]); $0.opcode("R")
      } != nil)
    #expect(
      fault {
        $0.global("collections", "OrderedDict")
        $0.opcode("]")
        $0.integer(1)
        $0.opcode("a")
        $0.bytes.append(0x85)
        $0.opcode("R")
      } != nil)
  }
}
