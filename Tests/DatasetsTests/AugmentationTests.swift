import Testing

@testable import Datasets

@Suite struct AugmentationTests {
  func draws(_ augmentation: Augmentation, _ count: Int = 400, seed: UInt64 = 3, epoch: Int = 1)
    -> [Augmentation.Draw]
  {
    (0..<count).map { augmentation.draw(seed: seed, epoch: epoch, position: $0, imageSize: 32) }
  }

  @Test func nothingByDefault() {
    #expect(draws(Augmentation()).allSatisfy { $0 == Augmentation.Draw(side: 32) })
    #expect(draws(Augmentation()).allSatisfy { $0.colorChange == nil })
    #expect(Augmentation().resizedSide(imageSize: 96) == 96)
  }

  @Test func windowsReachEveryCornerAndStayInside() {
    let augmentation = Augmentation(cropMargin: 0.125)
    #expect(augmentation.resizedSide(imageSize: 32) == 36)
    let list = draws(augmentation)
    #expect(Set(list.map(\.x)) == [0, 1, 2, 3, 4] && Set(list.map(\.y)) == [0, 1, 2, 3, 4])
    #expect(list.contains { $0.x != $0.y })
    #expect(list.allSatisfy { $0.side == 32 })
    #expect(augmentation.centered(imageSize: 32) == Augmentation.Draw(x: 2, y: 2, side: 32))
  }

  @Test func windowsOfRandomSizesStayInside() {
    let augmentation = Augmentation(cropMargin: 0.125, scaleJitter: 0.25)
    let list = draws(augmentation)
    #expect(list.allSatisfy { (24...36).contains($0.side) })
    // A quarter of the draws want more than the image has and get all of it.
    #expect((50...150).contains(list.count { $0.side == 36 }))
    #expect(list.map(\.side).min()! < 25)
    for draw in list {
      #expect(draw.x >= 0 && draw.y >= 0 && draw.x + draw.side <= 36 && draw.y + draw.side <= 36)
    }
    // All the room is used.
    let room = list.filter { $0.side < 30 }.map { $0.x / (36 - $0.side) }
    #expect(room.min()! < 0.1 && room.max()! > 0.9)
    #expect(augmentation.centered(imageSize: 32) == Augmentation.Draw(x: 2, y: 2, side: 32))
  }

  @Test func halfOfTheImagesAreMirrored() {
    let count = draws(Augmentation(horizontalFlip: true)).count(where: \.isFlipped)
    // Five standard deviations of a fair coin.
    #expect((150...250).contains(count))
  }

  @Test(arguments: [\Augmentation.Draw.brightness, \.contrast, \.saturation])
  func colorsSpanTheirRange(factor: any KeyPath<Augmentation.Draw, Float> & Sendable) {
    let factors = draws(Augmentation(colorJitter: 0.2)).map { $0[keyPath: factor] }
    #expect(factors.allSatisfy { (0.8...1.2).contains($0) })
    #expect(factors.min()! < 0.82 && factors.max()! > 1.18)
    #expect(draws(Augmentation(colorJitter: 0.2)).allSatisfy { $0.brightness != $0.contrast })
  }

  @Test func aColorChangeIsSaturationThenContrastThenBrightness() throws {
    let draw = Augmentation.Draw(side: 1, saturation: 0.6, contrast: 1.3, brightness: 0.9)
    let change = try #require(draw.colorChange)
    let m = change.matrix
    let rows = [[m.0, m.1, m.2], [m.3, m.4, m.5], [m.6, m.7, m.8]]
    let pixel: [Float] = [200, 90, 30]
    let luminance = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
    for c in 0..<3 {
      let saturated = 0.6 * pixel[c] + 0.4 * luminance
      let expected = 0.9 * (1.3 * (saturated - 127.5) + 127.5)
      let found = zip(rows[c], pixel).reduce(change.offset) { $0 + $1.0 * $1.1 }
      #expect(abs(found - expected) < 1e-3)
    }
  }

  @Test func drawsDependOnSeedEpochAndPositionAlone() {
    let all = Augmentation(horizontalFlip: true, cropMargin: 0.5, scaleJitter: 0.2, colorJitter: 0.3)
    #expect(draws(all) == draws(all))
    #expect(draws(all) != draws(all, seed: 4) && draws(all) != draws(all, epoch: 2))
    // Switching an option off leaves the other draws alone.
    #expect(draws(all).map(\.side) == draws(Augmentation(cropMargin: 0.5, scaleJitter: 0.2)).map(\.side))
    #expect(draws(all).map(\.isFlipped) == draws(Augmentation(horizontalFlip: true)).map(\.isFlipped))
    #expect(draws(all).map(\.contrast) == draws(Augmentation(colorJitter: 0.3)).map(\.contrast))
  }
}
