import Foundation

/// Everything that a report shows: plain values, so that any program can fill them and any test can compare them.
public struct ReportContents: Codable, Sendable, Equatable {
  /// Heading of the page.
  public var title: String
  /// One line below it: data set, date, program version.
  public var subtitle: String
  /// The first figures a reader sees, such as accuracy and number of filters.
  public var summary: [Fact] = []
  /// Configuration of the runs.
  public var configuration: [Fact] = []
  /// One network, or two to be compared; where a choice is needed the first is shown.
  public var networks: [Network]
  /// Figures about the networks.
  public var metrics: [Metric] = []
  /// What a reader should know, such as what could not be measured.
  public var notes: [String] = []

  /// A report about `networks`, one or two of different names.
  public init(title: String, subtitle: String, networks: [Network]) {
    precondition(
      (1...2).contains(networks.count) && Set(networks.map(\.name)).count == networks.count,
      "ReportContents: \(networks.map(\.name)), expected one or two networks of different names")
    self.title = title
    self.subtitle = subtitle
    self.networks = networks
  }
}

extension ReportContents {
  /// A name and what it is.
  public struct Fact: Codable, Sendable, Equatable {
    /// What is told.
    public var name: String
    /// Its value as text.
    public var value: String
    /// More about it, in small print.
    public var remark: String?

    /// A fact.
    public init(_ name: String, _ value: String, remark: String? = nil) {
      self.name = name
      self.value = value
      self.remark = remark
    }
  }

  /// A network and what is known of it.
  public struct Network: Codable, Sendable, Equatable {
    /// How it is called on the page: "interpretable".
    public var name: String
    /// How it learned; empty if no log is there.
    public var curves = TrainingCurves()
    /// Its filters.
    public var filters: [Filter] = []
    /// By category: where the parts of all its filters lie on one of its images.
    public var categoryPictures: [String: ReportPicture] = [:]
    /// Images that it takes for something else, worst first.
    public var mistakes: [Mistake] = []

    /// A network of which nothing is known yet.
    public init(name: String) { self.name = name }
  }

  /// A figure about the networks.
  public struct Metric: Codable, Sendable, Equatable {
    /// Whether larger is better.
    public enum Direction: String, Codable, Sendable { case lowerIsBetter, higherIsBetter }

    /// The figure for one network.
    public struct Estimate: Codable, Sendable, Equatable {
      /// Name of the network.
      public var network: String
      /// The figure.
      public var value: ReportNumber
      /// Its confidence interval, if there is one.
      public var lower: ReportNumber?, upper: ReportNumber?
      /// What filters that look at random places, or always at the centre, would get.
      public var random: ReportNumber?, centre: ReportNumber?

      /// A figure without interval and controls.
      public init(network: String, value: ReportNumber) {
        self.network = network
        self.value = value
      }
    }

    /// Its name.
    public var name: String
    /// What it means, in a sentence.
    public var explanation: String
    /// Whether larger is better.
    public var direction: Direction
    /// For one network, or for both.
    public var estimates: [Estimate]

    /// A metric.
    public init(name: String, explanation: String, direction: Direction, estimates: [Estimate]) {
      self.name = name
      self.explanation = explanation
      self.direction = direction
      self.estimates = estimates
    }
  }

  /// A filter and what it looks for.
  public struct Filter: Codable, Sendable, Equatable {
    /// From 0.
    public var index: Int
    /// The category it belongs to; nil for none.
    public var category: String?
    /// Share of its category in its activations, 0...1.
    public var purity: ReportNumber
    /// Location instability; lower is better.
    public var instability: ReportNumber
    /// The part that it finds most often, nil for none, and how often, 0...1.
    public var part: String?, partRate: ReportNumber
    /// What it looks at; one, or four in a square.
    public var pictures: [ReportPicture]
    /// More about it, in one line below: a square picture, then perhaps one three times as wide as high.
    public var details: [ReportPicture] = []

    /// A filter; `partRate` belongs to `part`.
    public init(
      index: Int, category: String?, purity: ReportNumber, instability: ReportNumber, part: String?,
      partRate: ReportNumber, pictures: [ReportPicture]
    ) {
      self.index = index
      self.category = category
      self.purity = purity
      self.instability = instability
      self.part = part
      self.partRate = partRate
      self.pictures = pictures
    }
  }

  /// An image that a network takes for something else.
  public struct Mistake: Codable, Sendable, Equatable {
    /// Probability of one class.
    public struct Probability: Codable, Sendable, Equatable {
      /// The class.
      public var className: String
      /// 0...1.
      public var value: ReportNumber

      /// A class's probability.
      public init(_ className: String, _ value: ReportNumber) {
        self.className = className
        self.value = value
      }
    }

    /// What one filter contributed to the prediction.
    public struct Vote: Codable, Sendable, Equatable {
      /// Index of the filter.
      public var filter: Int
      /// What it stands for: its part or category.
      public var meaning: String
      /// Its contribution; positive speaks for the predicted class.
      public var weight: ReportNumber

      /// A filter's vote.
      public init(filter: Int, meaning: String, weight: ReportNumber) {
        self.filter = filter
        self.meaning = meaning
        self.weight = weight
      }
    }

    /// Path of the image in the data set.
    public var image: String
    /// The image itself.
    public var picture: ReportPicture
    /// What it shows and what the network says.
    public var trueClass: String, predictedClass: String
    /// The likeliest classes, likeliest first.
    public var probabilities: [Probability]
    /// The filters that spoke for the prediction and against it, loudest first.
    public var votesFor: [Vote], votesAgainst: [Vote]

    /// A mistake.
    public init(
      image: String, picture: ReportPicture, trueClass: String, predictedClass: String,
      probabilities: [Probability], votesFor: [Vote], votesAgainst: [Vote]
    ) {
      self.image = image
      self.picture = picture
      self.trueClass = trueClass
      self.predictedClass = predictedClass
      self.probabilities = probabilities
      self.votesFor = votesFor
      self.votesAgainst = votesAgainst
    }
  }
}
