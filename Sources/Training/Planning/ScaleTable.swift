/// A plan for a person.
extension ScalePlan: CustomStringConvertible {
  /// Two tables and what to think of them.
  public var description: String {
    var lines = [heading, "", "the same batch (strong scaling): \(question.batchSize) images a step"]
    lines += table(strong)
    if strong.count < question.ranks.count {
      lines.append("more than \(question.batchSize) ranks would have no image each")
    }
    if let share = weak.first?.imagesPerRank {
      lines += ["", "the same share (weak scaling): \(share) image\(share == 1 ? "" : "s") a rank and step"]
      lines += table(weak)
    }
    let doubts = Set((strong + weak).flatMap(\.doubts))
    if !doubts.isEmpty {
      lines.append("")
      lines += Doubt.allCases.filter(doubts.contains).map { "\($0.letter)  \($0.words)" }
    }
    return lines.joined(separator: "\n")
  }

  private var heading: String {
    let m = measurement
    let shares = m.scripts.map { script in
      "\(script.images): \((1e3 * script.computeSeconds).fixed(1)) ms"
    }.joined(separator: ", ")
    let link = question.link
    var text = """
      \(m.network), \(m.interpretable ? "interpretable" : "ordinary"), \(m.parameters) parameters, \(m.imageSize) pixels
      a rank's computation by images, \(m.ranks) at a time with \(m.threads) thread\(m.threads == 1 ? "" : "s"), \
      medians of \(m.steps) steps: \(shares)
      link: \((1e6 * link.latency).fixed(0)) us, \((8e-6 / link.secondsPerByte).fixed(0)) Mbit/s, \
      \(question.linkIsMeasured ? "measured" : "as given"); gradients as \(question.precision.rawValue), \
      \(question.ranksPerNode) rank\(question.ranksPerNode == 1 ? "" : "s") a node, buckets of \
      \(question.bucketMebibytes.fixed(2)) MiB
      """
    if let fit = m.link, question.linkIsMeasured {
      text +=
        "\nall-reduces of \(fit.ranks) ranks: the link alone explains them within \((100 * fit.worstError).fixed(0)) %; "
        + "computation takes \(m.overlapSlowdown.fixed(2)) times as long beside them"
    }
    return text
  }

  private func table(_ rows: [Row]) -> [String] {
    let withCheckpoints = rows.contains { $0.checkpoint != nil }
    var cells = [
      ["ranks", "nodes", "images", "step ms", "images/s", "efficiency", "gradients", "statistics", "slowest"]
        + ["best bucket"] + (withCheckpoints ? ["checkpoint", "overhead"] : []) + ["doubts"]
    ]
    for row in rows {
      let bucket =
        row.bestBucketMebibytes >= 1024
        ? "one" : "\(row.bestBucketMebibytes.fixed(row.bestBucketMebibytes < 1 ? 2 : 0)) MiB"
      let gain = row.bestBucketStepMilliseconds / row.stepMilliseconds
      var line = [
        "\(row.ranks)", "\(row.nodes)", "\(row.imagesPerRank)", row.stepMilliseconds.fixed(1),
        row.imagesPerSecond.fixed(1), "\((100 * row.efficiency).fixed(0)) %",
        row.gradientWaitMilliseconds.fixed(1), row.statisticsWaitMilliseconds.fixed(1),
        row.stragglingMilliseconds.fixed(1),
        bucket + (gain < 0.995 ? " (−\((100 * (1 - gain)).fixed(0)) %)" : ""),
      ]
      if let checkpoint = row.checkpoint, let steps = row.checkpointEverySteps {
        line += ["\(steps) steps (\(Self.duration(checkpoint.dalySeconds)))"]
        line += ["\((100 * checkpoint.overhead).fixed(1)) %"]
      }
      line.append(row.doubts.map(\.letter).joined(separator: " "))
      cells.append(line)
    }
    let widths = cells[0].indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    return cells.map { line in
      zip(line, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined(separator: "  ")
    }
  }

  private static func duration(_ seconds: Double) -> String {
    seconds >= 5400
      ? "\((seconds / 3600).fixed(1)) h"
      : seconds >= 90 ? "\((seconds / 60).fixed(0)) min" : "\(seconds.fixed(0)) s"
  }
}
