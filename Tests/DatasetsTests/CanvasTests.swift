import Foundation
import Testing

@testable import Datasets

@Suite struct CanvasTests {
  @Test func distancesOfSimpleOutlines() {
    let circle = Outline.ellipse(center: Point(1, 2), radii: Point(3, 3), angle: 0.4)
    #expect(abs(circle.distance(Point(6, 2)) - 2) < 1e-5 && circle.distance(Point(1, 2)) == -3)
    let square = Outline.polygon([Point(-1, -1), Point(1, -1), Point(1, 1), Point(-1, 1)], radius: 0.25)
    #expect(square.distance(Point(0, 0)) == -1.25 && square.distance(Point(3, 0)) == 1.75)
    let stroke = Outline.stroke([Point(0, 0), Point(4, 0)], startRadius: 1, endRadius: 0)
    #expect(
      stroke.distance(Point(0, 3)) == 2 && stroke.distance(Point(2, 3)) == 2.5
        && stroke.distance(Point(4, 3)) == 3)
    let ellipse = Outline.ellipse(center: Point(0, 0), radii: Point(2, 1), angle: .pi / 2)
    #expect(abs(ellipse.distance(Point(0, 2))) < 1e-5 && ellipse.distance(Point(1.5, 0)) > 0.4)
  }

  /// Coverage of a disc adds up to its area, wherever it lies between the pixels.
  @Test(arguments: [Float(16), 16.3, 15.75]) func edgesAreSmooth(center: Float) {
    var canvas = Canvas(size: 32)
    let disc = Figure(
      outline: .ellipse(center: Point(0, 0), radii: Point(1, 1), angle: 0), color: Color(1, 1, 1), part: 3)
    canvas.draw(disc, Placement(origin: Point(center, center), scale: 8), light: Point(0, 0))
    let area = stride(from: 0, to: canvas.values.count, by: 3).reduce(Float(0)) { $0 + canvas.values[$1] }
    #expect(abs(area - .pi * 64) < 1.5)
    #expect(abs(Float(canvas.parts.count { $0 == 3 }) - .pi * 64) < 8)
  }

  @Test func placementsMirrorAndTurn() {
    let turned = Placement(origin: Point(10, 20), scale: 2, angle: .pi / 2)
    let mirrored = Placement(origin: Point(10, 20), scale: 2, isMirrored: true)
    #expect((turned.toPixels(Point(1, 0)) - Point(10, 22)).length < 1e-5)
    #expect((mirrored.toPixels(Point(1, 1)) - Point(8, 22)).length < 1e-5)
    // Drawing uses the inverse.
    let dot = Figure(
      outline: .ellipse(center: Point(3, 1), radii: Point(1, 1), angle: 0), color: Color(1, 1, 1), part: 1)
    for placement in [turned, mirrored] {
      var canvas = Canvas(size: 40)
      canvas.draw(dot, placement)
      let p = placement.toPixels(Point(3, 1))
      #expect(canvas.parts[Int(p.y) * 40 + Int(p.x)] == 1)
      #expect(canvas.parts.count { $0 == 1 } <= 16)
    }
  }

  @Test func figuresBeyondTheEdgeAreCut() {
    var canvas = Canvas(size: 8)
    let disc = Figure(
      outline: .ellipse(center: Point(0, 0), radii: Point(1, 1), angle: 0), color: Color(1, 0, 0), part: 1)
    for origin in [Point(-100, 4), Point(4, 900), Point(-1, -1)] {
      canvas.draw(disc, Placement(origin: origin, scale: 3))
    }
    #expect(canvas.parts[0] == 1 && canvas.parts[63] == 0)
  }

  @Test func hues() {
    for (hue, expected) in [
      (Float(0), (1, 0, 0)), (1.0 / 3, (0, 1, 0)), (2.0 / 3, (0, 0, 1)), (1.5, (0, 1, 1)),
    ]
      as [(Float, (Float, Float, Float))]
    {
      let color = Color(hue: hue, saturation: 1, value: 1)
      #expect(abs(color.r - expected.0) + abs(color.g - expected.1) + abs(color.b - expected.2) < 1e-5)
    }
  }
}
