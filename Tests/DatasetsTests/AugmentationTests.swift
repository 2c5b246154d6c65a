import Testing

@testable import Datasets

@Suite struct AugmentationTests {
  func draws(_ augmentation: Augmentation, _ count: Int = 400, seed: UInt64 = 3, epoch: Int = 1)
    -> [Augmentation.Draw]
  {
    (0..<count).map { augmentation.draw(seed: seed, epoch: epoch, position: $0, imageSize: 32) }
  }

  @Test func nothingByDefault() {
    #expect(draws(Augmentation()).allSatisfy { $0 == Augmentation.Draw() })
    #expect(Augmentation().resizedSide(imageSize: 96) == 96)
  }

  @Test func windowsReachEveryCornerAndStayInside() {
    let augmentation = Augmentation(cropMargin: 0.125)
    #expect(augmentation.resizedSide(imageSize: 32) == 36)
    let list = draws(augmentation)
    #expect(Set(list.map(\.x)) == Set(0...4) && Set(list.map(\.y)) == Set(0...4))
    #expect(list.contains { $0.x != $0.y })
    #expect(augmentation.centered(imageSize: 32) == Augmentation.Draw(x: 2, y: 2))
  }

  @Test func halfOfTheImagesAreMirrored() {
    let count = draws(Augmentation(horizontalFlip: true)).count(where: \.isFlipped)
    // Five standard deviations of a fair coin.
    #expect((150...250).contains(count))
  }

  @Test func brightnessSpansItsRange() {
    let gains = draws(Augmentation(brightness: 0.2)).map(\.gain)
    #expect(gains.allSatisfy { (0.8...1.2).contains($0) })
    #expect(gains.min()! < 0.82 && gains.max()! > 1.18)
  }

  @Test func drawsDependOnSeedEpochAndPositionAlone() {
    let all = Augmentation(horizontalFlip: true, cropMargin: 0.5, brightness: 0.3)
    #expect(draws(all) == draws(all))
    #expect(draws(all) != draws(all, seed: 4) && draws(all) != draws(all, epoch: 2))
    // Switching an option off leaves the other draws alone.
    #expect(draws(all).map(\.x) == draws(Augmentation(cropMargin: 0.5)).map(\.x))
    #expect(draws(all).map(\.isFlipped) == draws(Augmentation(horizontalFlip: true)).map(\.isFlipped))
  }
}
