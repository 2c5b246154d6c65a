/// A misclassified image in the template `mistakes`.
struct MistakeView {
  /// One class.
  struct Probability {
    let className: String
    let isTrue: Bool
    let bar: String
    let number: NumberView
  }

  /// One filter.
  struct Vote {
    let filter: Int
    let meaning: String
    /// Identifier of its card, if the report shows it.
    let link: String?
    let bar: String
    let number: NumberView
  }

  /// The filters of one opinion.
  struct Ballot {
    let title: String, kind: String
    let votes: [Vote]
    let hasVotes: Bool
  }

  let id: String, image: String, networkName: String
  let network: Int, trueIndex: Int, predictedIndex: Int
  let trueClass: String, predictedClass: String
  let picture: PictureView
  let probabilities: [Probability]
  let ballots: [Ballot]
}

/// All mistakes of a report.
struct MistakeViews {
  let mistakes: [MistakeView]
  let trueClasses: [Choice], predictedClasses: [Choice]

  init(_ networks: [ReportContents.Network]) {
    let all = networks.flatMap(\.mistakes)
    let trueClasses = Choice.all(all.map(\.trueClass))
    let predictedClasses = Choice.all(all.map(\.predictedClass))
    self.trueClasses = trueClasses
    self.predictedClasses = predictedClasses
    mistakes = networks.enumerated().flatMap { number, network in
      let filters = Set(network.filters.map(\.index))
      return network.mistakes.enumerated().map { index, mistake in
        MistakeView(
          id: "m\(number)-\(index)", image: mistake.image, networkName: network.name, network: number,
          trueIndex: trueClasses.index(of: mistake.trueClass),
          predictedIndex: predictedClasses.index(of: mistake.predictedClass), trueClass: mistake.trueClass,
          predictedClass: mistake.predictedClass, picture: PictureView(mistake.picture),
          probabilities: mistake.probabilities.map { probability in
            MistakeView.Probability(
              className: probability.className, isTrue: probability.className == mistake.trueClass,
              bar: bar(probability.value.finite), number: NumberView(probability.value, inPercent: true))
          }, ballots: Self.ballots(mistake, network: number, filters))
      }
    }
  }

  private static func ballots(
    _ mistake: ReportContents.Mistake, network: Int, _ filters: Set<Int>
  ) -> [MistakeView.Ballot] {
    let loudest =
      (mistake.votesFor + mistake.votesAgainst).compactMap { $0.weight.finite.map(abs) }.max() ?? 0
    let ballot = { (title: String, kind: String, votes: [ReportContents.Mistake.Vote]) in
      MistakeView.Ballot(
        title: title, kind: kind,
        votes: votes.map { vote in
          MistakeView.Vote(
            filter: vote.filter, meaning: vote.meaning,
            link: filters.contains(vote.filter)
              ? FilterView.identifier(network: network, filter: vote.filter) : nil,
            bar: bar(loudest > 0 ? vote.weight.finite.map { abs($0) / loudest } : nil),
            number: NumberView(vote.weight))
        }, hasVotes: !votes.isEmpty)
    }
    return [
      ballot("Filters for \(mistake.predictedClass)", "for", mistake.votesFor),
      ballot("Filters against it", "against", mistake.votesAgainst),
    ]
  }
}
