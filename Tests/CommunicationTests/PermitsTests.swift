import Foundation
import Testing

@testable import Communication

@Suite struct PermitsTests {
  @Test(arguments: 1...3)
  func noMoreThanThatManyAtATime(count: Int) {
    let permits = Permits(count: count)
    let inside = Mutexed((now: 0, most: 0))
    let threads = (0..<6).map { _ in
      PthreadHandle(blockingSignals: false) {
        for _ in 0..<20 {
          permits.acquire()
          inside.withLock {
            $0.now += 1
            $0.most = max($0.most, $0.now)
          }
          usleep(200)
          inside.withLock { $0.now -= 1 }
          permits.release()
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(inside.withLock { $0.most } == count)
    #expect(inside.withLock { $0.now } == 0)
  }
}
