import Datasets
import Networks
import Tensors
import TestSupport
import Testing

@testable import Interpretability

@Suite("Explainer") struct ExplainerTests {
  private struct Case {
    let network: Network
    let context = StepContext()
    let input: Tensor
    let frame = InputFrame(imageSize: 32, Augmentation(cropMargin: 0))

    init(outputs: Int, interpretable: Bool) throws {
      var options = NetworkOptions(
        outputs: outputs, imageSize: 32, interpretable: interpretable ? InterpretableOptions() : nil)
      options.widthDivisor = 4
      network = try #require(Architecture.named("compact")).build(options)
      network.store.initialize(seed: 4)
      input = Tensor(Shape(batch: 1, channels: 3, height: 32, width: 32), .interleaved)
      for (index, value) in randomValues(32 * 32 * 3, seed: 2).enumerated() { input.pointer[index] = value }
      context.mode = .evaluation
    }

    func explainer(_ names: [String]) throws -> Explainer {
      try Explainer(network, context, classNames: names, frame)
    }
  }

  @Test("the evidence and the rest sum to the logit; shares to 1; loudest first", arguments: [true, false])
  func sums(interpretable: Bool) throws {
    let test = try Case(outputs: 3, interpretable: interpretable)
    let explainer = try test.explainer(["a", "b", "c"])
    for index in 0..<3 {
      let result = try explainer.explain(test.input, width: 32, height: 32, classIndex: index)
      let explanation = result.explanation
      #expect(explanation.className == ["a", "b", "c"][index])
      #expect(explanation.logit == Double(result.logits[index]))
      let sum = explanation.evidence.reduce(explanation.rest) { $0 + $1.contribution }
      #expect(abs(sum - explanation.logit) < 1e-5)
      #expect(abs(explanation.evidence.reduce(0) { $0 + $1.share } - 1) < 1e-9)
      let loudness = explanation.evidence.map { abs($0.contribution) }
      #expect(loudness == loudness.sorted(by: >))
      #expect(explanation.supporting.count + explanation.opposing.count == explanation.evidence.count)
      #expect(explanation.supporting.allSatisfy { $0.contribution > 0 })
    }
  }

  @Test("a single output speaks for the category and, turned round, for everything else")
  func single() throws {
    let test = try Case(outputs: 1, interpretable: true)
    let explainer = try test.explainer(["bird", "negative"])
    let own = try explainer.explain(test.input, width: 32, height: 32, classIndex: 0).explanation
    let other = try explainer.explain(test.input, width: 32, height: 32, classIndex: 1).explanation
    #expect(own.logit == -other.logit && own.rest == -other.rest)
    #expect(own.evidence.map(\.contribution) == other.evidence.map { -$0.contribution })
    let predicted = try explainer.explain(test.input, width: 32, height: 32).explanation
    #expect(predicted.className == (own.logit >= 0 ? "bird" : "negative"))
    #expect(predicted.logit >= 0)
  }

  @Test("places are where the strongest cell looks, in pixels of the image")
  func places() throws {
    let test = try Case(outputs: 3, interpretable: true)
    let explainer = try test.explainer(["a", "b", "c"])
    // The stored image is three times as wide and twice as high as the input.
    let result = try explainer.explain(test.input, width: 96, height: 64)
    let layer = explainer.layer
    try #require(!result.explanation.evidence.isEmpty)
    for one in result.explanation.evidence {
      let map = result.maps[one.filter]
      let peak = try #require(map.firstIndex(of: map.max()!))
      let centre = layer.field.centre(row: peak / layer.width, column: peak % layer.width)
      #expect(abs(one.x - centre.x * 3) < 1e-9 && abs(one.y - centre.y * 2) < 1e-9)
      #expect(one.activation == Double(map.max()!) && one.activation > 0)
    }
  }

  @Test("filters have the category whose images activated them most in training; ordinary ones have none")
  func categories() throws {
    let test = try Case(outputs: 3, interpretable: true)
    let layer = try #require(test.network.interpretableLayers.last)
    let means = try #require(layer.states.first { $0.name.hasSuffix(".category_means") })
    let filters = means.shape[0]
    for filter in 0..<filters {
      for category in 0..<3 {
        means.values[filter * 3 + category] = filter == 5 ? 0 : Double((filter + category * 2) % 3)
      }
    }
    let found = FilterCategories.of(test.network, filters: filters)
    #expect(found[5] == nil)
    for filter in 0..<filters where filter != 5 {
      let row = (0..<3).map { (filter + $0 * 2) % 3 }
      #expect(found[filter] == row.firstIndex(of: row.max()!))
    }
    let explanation = try test.explainer(["a", "b", "c"]).explain(test.input, width: 32, height: 32)
      .explanation
    for one in explanation.evidence {
      #expect(one.category == found[one.filter].map { ["a", "b", "c"][$0] })
    }
    let ordinary = try Case(outputs: 3, interpretable: false)
    let plain = try ordinary.explainer(["a", "b", "c"]).explain(ordinary.input, width: 32, height: 32)
    #expect(plain.explanation.evidence.allSatisfy { $0.category == nil })
  }

  @Test("an image that says nothing has no evidence, and no NaN")
  func silence() throws {
    let test = try Case(outputs: 3, interpretable: true)
    for parameter in test.network.store.parameters where parameter.name.hasPrefix("interpretable") {
      parameter.importValues(Array(repeating: 0, count: parameter.count))
    }
    let explainer = try test.explainer(["a", "b", "c"])
    let result = try explainer.explain(test.input, width: 32, height: 32)
    #expect(result.explanation.evidence.isEmpty)
    #expect(abs(result.explanation.rest - result.explanation.logit) < 1e-9)
    let picture = ExplanationPicture.draw(
      RGBImage(width: 32, height: 32), result, explainer.layer, evidence: [], test.frame, width: 32,
      height: 32,
      shortestSide: 64)
    #expect((picture.width, picture.height) == (2 * 64 + 8, 64))
  }
}
