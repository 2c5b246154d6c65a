import Foundation
import Testing

@testable import Communication

/// The tree by its definition: the first half, a power of two, and the rest.
private func tree<Element: ReducibleElement>(
  _ values: ArraySlice<Element>, _ operation: ReductionOperation
) -> Element {
  guard values.count > 1 else { return values.first! }
  var half = 1
  while 2 * half < values.count { half *= 2 }
  let (a, b) = (tree(values.prefix(half), operation), tree(values.dropFirst(half), operation))
  switch operation {
  case .sum: return a + b
  case .minimum: return Swift.min(a, b)
  case .maximum: return Swift.max(a, b)
  case .logSumExp: return logAddExp(a, b)
  }
}

/// Numbers whose sums depend on the order of additions.
private func number(_ buffer: Int, _ index: Int) -> Double {
  Double((buffer * 131 + index * 37) % 101 - 50) * pow(2, Double((buffer * 5 + index) % 30)) + 1e-3
}

private func check<Element: ReducibleElement>(
  _: Element.Type, buffers: Int, count: Int, _ operation: ReductionOperation
) {
  let numbers = (0..<buffers).map { buffer in (0..<count).map { Element(number(buffer, $0)) } }
  let pointers = numbers.map { values in
    let pointer = UnsafeMutablePointer<Element>.allocate(capacity: max(count, 1))
    for (index, value) in values.enumerated() { (pointer + index).initialize(to: value) }
    return pointer
  }
  defer { for pointer in pointers { pointer.deallocate() } }
  ReductionTree.reduce(pointers, count: count, operation)
  for index in 0..<count {
    let expected = tree(numbers.map { $0[index] }[...], operation)
    #expect(pointers[0][index] == expected, "\(index)")
  }
}

@Suite struct ReductionTreeTests {
  @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 16], [ReductionOperation.sum, .minimum, .maximum, .logSumExp])
  func isTheTreeOfTheDefinition(buffers: Int, operation: ReductionOperation) {
    // Less and more than a block.
    for count in [0, 1, 23, 2048, 4099] {
      check(Float.self, buffers: buffers, count: count, operation)
      check(Double.self, buffers: buffers, count: count, operation)
    }
  }

  @Test func theNumbersTellTheTreeFromTheOrderOfRanks() {
    let differing = (0..<100).filter { index in
      let values = (0..<8).map { Float(number($0, index)) }
      return tree(values[...], .sum) != values.reduce(0, +)
    }
    #expect(differing.count > 20)
  }
}
