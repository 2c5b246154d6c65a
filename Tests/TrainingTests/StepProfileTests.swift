import Networks
import Testing

@testable import Tensors
@testable import Training

@Suite("Profiles") struct StepProfileTests {
  private static let limits = MachineLimits(operationsPerSecond: 400e9, copyBytesPerSecond: 20e9)

  /// Three steps of a network of one convolution, an absorbed rectifier and a pooling, with given times.
  private static func profile() -> StepProfile {
    let geometry = ConvolutionGeometry(inputChannels: 16, outputChannels: 16, kernel: 1)
    let x = Tensor(Shape(batch: 1, channels: 16, height: 50, width: 50), .blocked)
    let layers: [(any Layer, [Double], [Double])] = [
      // 1.28e6 operations forward, twice that backward.
      (Convolution("conv", geometry), [10e-6, 8e-6, 90e-6], [40e-6, 20e-6, 30e-6]),
      (ReLU("relu"), [0, 0, 0], [0, 0, 0]),
      (Dropout("dropout", rate: 0.5), [16e-6, 16e-6, 16e-6], [32e-6, 32e-6, 32e-6]),
    ]
    let rows = layers.map { layer, forward, backward in
      LayerTimer.Row(
        name: layer.name, output: x.shape, work: LayerWork(layer, input: x, output: x), forward: forward,
        backward: backward)
    }
    var times = StepTimes()
    (times.forward, times.backward, times.communication, times.update) = (126e-6, 102e-6, 5e-6, 10e-6)
    return StepProfile(
      rows, handOver: [2e-6, 2e-6, 2e-6], [times, times, times], limits: limits, updateBytes: 20_000)
  }

  private static func isClose(_ a: Double?, _ b: Double) -> Bool {
    a.map { abs($0 - b) < 1e-9 * abs(b) } ?? false
  }

  @Test("times are medians; rates follow from the work of the layer")
  func layers() {
    let rows = Self.profile().layers
    #expect(rows.map(\.name) == ["conv", "relu", "dropout"])
    #expect(rows[0].output == [1, 16, 50, 50])
    #expect(Self.isClose(rows[0].forward.milliseconds, 0.01) && Self.isClose(rows[0].forward.gigaflops, 128))
    #expect(Self.isClose(rows[0].forward.peakShare, 0.32) && rows[0].forward.gigabytesPerSecond == nil)
    #expect(Self.isClose(rows[0].backward.milliseconds, 0.03))
    #expect(Self.isClose(rows[0].backward.gigaflops, 2.56e-3 / 30e-6))
    // 40,000 floats, read and written.
    #expect(Self.isClose(rows[2].forward.gigabytesPerSecond, 20) && rows[2].forward.gigaflops == nil)
  }

  @Test("a layer that another one has absorbed costs nothing and has no rate")
  func absorbed() {
    let relu = Self.profile().layers[1]
    #expect(relu.share == 0 && relu.forward.milliseconds == 0)
    #expect(relu.forward.gigabytesPerSecond == nil && relu.backward.gigabytesPerSecond == nil)
  }

  @Test("kinds and what lies outside the layers make up the whole step, the most expensive first")
  func kinds() {
    let kinds = Self.profile().kinds
    // Medians of the time outside the layers: 128, 150 and 58 µs of 226.
    #expect(kinds.map(\.kind) == ["other", "dropout", "convolution", "update", "communication", "relu"])
    #expect(Self.isClose(kinds.reduce(0) { $0 + $1.share }, 1))
    #expect(Self.isClose(kinds[0].total.milliseconds, 0.128))
    #expect(Self.isClose(kinds[2].total.milliseconds, 0.04))
    #expect(Self.isClose(kinds[2].total.gigaflops, 3.84e-3 / 40e-6))
    // Gradients, velocities and values are read, the last two written.
    #expect(Self.isClose(kinds[3].total.gigabytesPerSecond, 2))
    #expect(Self.isClose(kinds[4].total.milliseconds, 0.007))
  }

  @Test("the timer sees every layer of every recorded step, both passes, and nothing of the warm-up")
  func timer() throws {
    let geometry = ConvolutionGeometry(inputChannels: 3, outputChannels: 4, kernel: 3, padding: 1)
    let network = Network(
      name: "small", inputShape: Shape(batch: 1, channels: 3, height: 6, width: 6),
      layers: [
        Convolution("conv", geometry, input: .interleaved), ReLU("relu"), Flatten("flatten"),
        Linear("fc", inputs: 4 * 36, outputs: 3),
      ])
    let context = StepContext()
    let timer = LayerTimer(steps: 2)
    network.observer = timer
    let images = Tensor(Shape(batch: 2, channels: 3, height: 6, width: 6), .interleaved)
    for step in 0..<3 {
      timer.isRecording = step > 0
      timer.beginStep()
      let logits = try network.forward(images, context)
      let gradient = Tensor(logits.shape, .flat)
      try network.backward(gradient, context) { _ in }
      #expect(timer.rows.count == (step == 0 ? 0 : 4))
    }
    #expect(timer.rows.map(\.name) == ["conv", "relu", "flatten", "fc"])
    #expect(timer.rows.allSatisfy { $0.forward.count == 2 && $0.backward.count == 2 })
    #expect(timer.rows.allSatisfy { $0.forward.allSatisfy { $0 > 0 } && $0.backward.allSatisfy { $0 > 0 } })
    #expect(timer.handOver.count == 2 && timer.handOver.allSatisfy { $0 > 0 })
    #expect(timer.rows[3].output == Shape(batch: 2, features: 3))
  }

  @Test("median")
  func medians() {
    #expect(median([3, 1, 2]) == 2)
    #expect(median([4, 1, 2, 3]) == 2.5)
    #expect(median([]) == 0)
  }
}
