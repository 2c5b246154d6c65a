/// What is learned from a folder: which images, with which labels.
///
/// Multi-category: every class but `negative` is a label; counter-examples are left out. Single-category (Zhang et
/// al., CVPR 2018, section 5): one class against all other classes and the counter-examples. There the training
/// list follows the authors' protocol: for Q training counter-examples the list of positives is repeated and cut to
/// T = 3Q entries. Unlike the authors' code, which drops the positives beyond T, nothing is dropped when there are
/// more than T: each then occurs once. Validation holds every image exactly once.
public struct LearningTask: Sendable {
  /// Positives for each counter-example in the authors' training lists.
  public static let authorsPositives = 3

  /// Which question is asked.
  public enum Kind: Codable, Sendable, Equatable {
    /// Which of the classes is it?
    case multiCategory
    /// Is it the class of this name?
    case singleCategory(String)
  }

  /// One entry of a training or validation list.
  public struct Entry: Sendable, Equatable {
    /// Index into `ImageFolder.samples`.
    public let sample: Int
    /// Index into `classNames`; in a single-category task 0 is the class itself, 1 a counter-example.
    public let label: Int
  }

  /// Which question is asked.
  public let kind: Kind
  /// L, the number of network outputs: one per class, or one alone.
  public let outputs: Int
  /// Names of the labels: the classes, or the class and "other".
  public let classNames: [String]
  /// Entries to learn from; a sample may occur repeatedly.
  public let training: [Entry]
  /// Entries to measure on, in the order of the folder, each sample once.
  public private(set) var validation: [Entry]
  /// Share of entries with sign +1 for each of the L outputs, over training and validation together.
  public let density: [Float]

  /// The task on the images of `folder`. Throws `DatasetError` if a class is unknown, if fewer than two classes are
  /// there to be told apart, or if a label has no training image, or validation no image at all.
  ///
  /// - Parameter positivesPerCounterExample: 0 repeats nothing.
  public init(
    _ kind: Kind, on folder: ImageFolder, positivesPerCounterExample: Int = authorsPositives
  ) throws(DatasetError) {
    self.kind = kind
    let classes = folder.categories.filter { $0 != ImageFolder.negativeName }
    let labelOfCategory: [Int?]
    switch kind {
    case .multiCategory:
      guard classes.count > 1 else {
        throw .tooFewClasses(
          path: folder.directory, found: classes,
          needed: "at least two besides \(ImageFolder.negativeName), or a single-category task")
      }
      classNames = classes
      outputs = classes.count
      labelOfCategory = folder.categories.indices.map { $0 < classes.count ? $0 : nil }
    case .singleCategory(let name):
      guard let positive = classes.firstIndex(of: name) else {
        throw .unknownCategory(name: name, known: classes)
      }
      classNames = [name, "other"]
      outputs = 1
      labelOfCategory = folder.categories.indices.map { $0 == positive ? 0 : 1 }
    }
    func entries(_ split: Split) -> [Entry] {
      folder.samples.indices.compactMap { index in
        let sample = folder.samples[index]
        guard sample.split == split, let label = labelOfCategory[sample.category] else { return nil }
        return Entry(sample: index, label: label)
      }
    }
    var training = entries(.training)
    let validation = entries(.validation)
    let labels = Set(training.map(\.label))
    for (label, name) in classNames.enumerated() where !labels.contains(label) {
      throw .emptySplit(category: name, split: .training)
    }
    guard !validation.isEmpty else { throw .emptySplit(category: "all classes", split: .validation) }
    if outputs == 1 {
      let positives = training.filter { $0.label == 0 }
      let others = training.filter { $0.label == 1 }
      let target = max(positives.count, positivesPerCounterExample * others.count)
      training = (0..<target).map { positives[$0 % positives.count] } + others
    }
    self.training = training
    self.validation = validation
    var counts = [Int](repeating: 0, count: classNames.count)
    for entry in training + validation { counts[entry.label] += 1 }
    density = (0..<outputs).map { Float(counts[$0]) / Float(training.count + validation.count) }
  }

  /// The same question with the training images, each once, as its validation list.
  public var validatingOnTraining: LearningTask {
    var seen: Set<Int> = []
    var task = self
    task.validation = training.filter { seen.insert($0.sample).inserted }
    return task
  }

  /// The list of a split.
  public func entries(_ split: Split) -> [Entry] { split == .training ? training : validation }

  /// +1 if `label` is the class that `output` stands for, otherwise -1.
  public func sign(label: Int, output: Int) -> Float { label == output ? 1 : -1 }
}
