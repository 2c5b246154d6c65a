import ArgumentParser
import Interpretability
import Training

extension InterpretabilityError: ErrorWithExitCode {}
extension LocationInstability.Divisor: ExpressibleByArgument {}
extension PartInterpretability.Upscaling: ExpressibleByArgument {}
extension MeasuredLayer.Feature: ExpressibleByArgument {}

/// How filters are measured.
struct MetricsOptions: ParsableArguments {
  @Flag(help: "Accuracy and confusion only: leave the filters alone.") var accuracyOnly = false
  @Option(
    help: ArgumentHelp(
      "Convolution whose filters are measured, or the mask after it. Default: the last convolution.",
      valueName: "name"))
  var layer: String?
  @Option(
    help: ArgumentHelp(
      "Parts looked at, separated by commas. Default: all that are annotated.", valueName: "names"))
  var parts: String?
  @Option(
    help: "Location instability: divide squared differences by m - 1 (sample) or m (population).")
  var divisor = LocationInstability.Divisor.sample
  @Option(help: "Location instability: images with the highest peaks that count for a filter and part.")
  var top = 100
  @Option(help: "Location instability: peaks before the ReLU, after it, or after the mask.")
  var peakFeature = MeasuredLayer.Feature.preactivation
  @Option(
    help: "Part interpretability: nearest (threshold, then enlarge) or bilinear (enlarge, then threshold).")
  var upscaling = PartInterpretability.Upscaling.nearest
  @Option(help: "Part interpretability: activations before the ReLU, after it, or after the mask.")
  var regionFeature = MeasuredLayer.Feature.masked
  @Option(help: "Part interpretability: share of a filter's activations above its threshold.")
  var tailProbability = 0.005
  @Option(help: "Part interpretability: intersection over union above which filter and part are associated.")
  var overlapThreshold = 0.2
  @Flag(
    inversion: .prefixedNo, help: "Entropies of the filter loss; they need a second pass over the images.")
  var entropies = true
  @Option(help: "Seed of controls and bootstrap.") var metricsSeed: UInt64 = 1

  func validate() throws {
    guard top >= 2 else { throw ValidationError("--top \(top): a deviation needs at least 2 images") }
    guard (0..<1).contains(tailProbability) else {
      throw ValidationError("--tail-probability \(tailProbability): expected 0 or more and less than 1")
    }
    guard (0..<1).contains(overlapThreshold) else {
      throw ValidationError("--overlap-threshold \(overlapThreshold): expected 0 or more and less than 1")
    }
  }

  var options: FilterMetrics.Options {
    var options = FilterMetrics.Options()
    options.records.peakFeature = peakFeature
    options.records.regionFeature = regionFeature
    options.records.tailProbability = tailProbability
    options.instability = LocationInstability(divisor: divisor, top: top)
    options.interpretability = PartInterpretability(
      upscaling: upscaling, overlapThreshold: overlapThreshold)
    options.parts = parts?.split(separator: ",").map { String($0) }
    options.measuresEntropies = entropies
    options.seed = metricsSeed
    return options
  }
}
