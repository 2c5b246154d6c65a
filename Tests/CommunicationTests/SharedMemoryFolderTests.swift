import Foundation
import Testing

@testable import Communication

@Suite struct SharedMemoryFolderTests {
  @Test func aFolderWithRoomIsNoObstacle() throws {
    let folder = SharedMemoryFolder(path: NSTemporaryDirectory())
    let free = try #require(folder.freeBytes)
    #expect(folder.obstacle(to: 4096) == nil)
    #expect(folder.obstacle(to: free + 1)?.hasPrefix("\(folder.path) has ") == true)
  }

  @Test func aFolderThatIsMissingIsAnObstacle() {
    let folder = SharedMemoryFolder(path: "/nonexistent/folder")
    #expect(folder.freeBytes == nil)
    #expect(folder.obstacle(to: 0) == "/nonexistent/folder cannot be written")
  }
}
