import Tensors
import Testing

@Suite struct WorkspaceTests {
  @Test("grows to the largest request and then stays where it is")
  func growsOnly() {
    let workspace = Workspace()
    #expect(workspace.count == 0)
    let small = workspace.floats(10)
    #expect(UInt(bitPattern: small) % 64 == 0)
    #expect(workspace.count == 10)
    let large = workspace.floats(100_000)
    large[99_999] = 1
    #expect(workspace.count == 100_000)
    #expect(workspace.floats(10) == large)
    #expect(workspace.floats(100_000) == large)
    #expect(workspace.count == 100_000)
  }

  @Test("what is reserved needs not to be grown")
  func reserve() {
    let workspace = Workspace()
    workspace.reserve(1000)
    let reserved = workspace.floats(1)
    #expect(workspace.count == 1000 && workspace.floats(1000) == reserved)
    workspace.reserve(10)
    #expect(workspace.count == 1000)
  }
}
