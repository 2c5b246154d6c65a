@testable import Weights

/// Every byte that is an instruction to Python, whether it is carried out here or refused.
enum PickleOpcodes {
  static let all = Set((UInt8.min...UInt8.max).filter { PickleOpcode(rawValue: $0) != nil }).union(
    PickleOpcode.refused.keys)
}
