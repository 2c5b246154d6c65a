import Communication
import Foundation
import TestSupport
import Testing

@testable import Datasets
@testable import Training

/// 24 images for training and 6 for validation, opened by ranks that are each a host of their own.
@Suite("Training data") struct TrainingDataTests {
  /// What a rank found, or how it failed.
  private struct Outcome {
    var samples: [Sample] = []
    var fingerprint: UInt64 = 0
    var preprocessing: Preprocessing?
    var error: ExitError?
  }

  private static func open(
    _ data: String, _ hosts: [CountingFiles], rebuild: Bool = false, skip: Bool = false,
    mean: Preprocessing.MeanKind = .pixel
  ) throws -> [Outcome] {
    try InProcessGroup.run(size: hosts.count) { communicator in
      var configuration = SmallRun.configuration(steps: 1)
      configuration.data = data
      configuration.skipBadImages = skip
      configuration.mean = mean
      var outcome = Outcome()
      do {
        let opened = try TrainingData(
          configuration, imageSize: 13, known: nil, rebuildIndex: rebuild, files: hosts[communicator.rank],
          communicator, Console(isSpeaking: false))
        outcome.samples = opened.folder.samples
        outcome.fingerprint = opened.folder.fingerprint
        outcome.preprocessing = opened.preprocessing
      } catch {
        outcome.error = ExitError(error)
      }
      return outcome
    }
  }

  private static func hosts(_ count: Int) -> [CountingFiles] {
    (0..<count).map { CountingFiles(host: "h\($0)") }
  }

  /// A copy of the small data set, removed after `body`.
  private static func withData(_ body: (String) throws -> Void) throws {
    try SmallRun.withFolder { folder in
      try FileManager.default.copyItem(atPath: SmallRun.data, toPath: folder + "/data")
      try body(folder + "/data")
    }
  }

  private static func paths(_ data: String) throws -> [String] { try ImageFolder(data).samples.map(\.path) }

  @Test("ranks see the images and the bits of the mean that one sees", arguments: [2, 3, 4])
  func ranksEqualOne(count: Int) throws {
    try Self.withData { data in
      for kind in Preprocessing.MeanKind.allCases {
        let one = try Self.open(data, Self.hosts(1), rebuild: true, mean: kind)[0]
        #expect(one.samples == (try ImageFolder(data).samples) && one.preprocessing?.meanKind == kind)
        for outcome in try Self.open(data, Self.hosts(count), rebuild: true, mean: kind) {
          #expect(outcome.error == nil, "\(String(describing: outcome.error))")
          #expect(outcome.samples == one.samples && outcome.fingerprint == one.fingerprint)
          #expect(outcome.preprocessing == one.preprocessing)
        }
      }
    }
  }

  @Test("one rank lists; each reads its share alone; a second start reads nothing")
  func shares() throws {
    try Self.withData { data in
      let spotChecks = 16
      let cold = Self.hosts(3)
      let first = try Self.open(data, cold)
      // Folder, images, 3 classes, annotations; 30 images; 30 decoded once by all together, 24 of them for the mean.
      #expect(cold[0].counts == .init(statuses: 6 + 30 + spotChecks, listings: 4, reads: 1 + 10 + 8))
      for host in cold.dropFirst() {
        #expect(host.counts == .init(statuses: spotChecks, listings: 0, reads: 10 + 8))
      }
      let warm = Self.hosts(3)
      let second = try Self.open(data, warm)
      #expect(warm[0].counts == .init(statuses: 6 + spotChecks, listings: 4, reads: 0))
      for host in warm.dropFirst() { #expect(host.counts == .init(statuses: spotChecks)) }
      #expect(second.map(\.preprocessing) == first.map(\.preprocessing))
      #expect(second[2].samples == first[0].samples)
      // Only what is new is decoded; the mean is another one.
      try FileManager.default.copyItem(
        atPath: data + "/" + Self.paths(data)[0],
        toPath: data + "/" + ((Self.paths(data)[0] as NSString).deletingLastPathComponent) + "/zzz.png")
      try FileManager.default.removeItem(atPath: data + "/annotations.jsonl")
      let more = Self.hosts(2)
      let third = try Self.open(data, more)
      #expect(third[0].samples.count == 31 && third[0].preprocessing != first[0].preprocessing)
      let trained = third[0].samples.filter { $0.split == .training }.count
      #expect(more.map(\.counts.reads).reduce(0, +) == 1 + trained)
    }
  }

  @Test("a file that one host does not have is named with the host, on all ranks", arguments: [false, true])
  func missingFile(isKnown: Bool) throws {
    try Self.withData { data in
      // One of those that every start looks at; one of rank 1's share that is decoded at the first start alone.
      let paths = try Self.paths(data)
      if isKnown { _ = try Self.open(data, Self.hosts(1)) }
      let hosts = [
        CountingFiles(host: "h0"), CountingFiles(host: "h1", missing: [paths[isKnown ? 15 : 17]]),
      ]
      // Also where bad images are left out: it is none.
      for outcome in try Self.open(data, hosts, skip: true) {
        #expect(outcome.error?.code == 65 && outcome.error?.isShared == true)
        let words = outcome.error?.description ?? ""
        #expect(
          words.contains("1 file is not as listed")
            && words.contains("\(paths[isKnown ? 15 : 17]) on host h1: "))
      }
    }
  }

  @Test("a file of another length on one host is named with both lengths")
  func otherFile() throws {
    try Self.withData { data in
      let samples = try ImageFolder(data).samples
      let sample = samples[20]
      let hosts = [
        CountingFiles(host: "h0"), CountingFiles(host: "h1", replaced: [sample.path: [1, 2, 3]]),
      ]
      for outcome in try Self.open(data, hosts) {
        let words = outcome.error?.description ?? ""
        #expect(outcome.error?.code == 65)
        #expect(
          words.contains(
            "\(sample.path) on host h1: 3 bytes in \(data), listed with \(sample.fileBytes) bytes"))
      }
    }
  }

  @Test("a host without the data says so after a few looks")
  func missingFolder() throws {
    try Self.withData { data in
      let hosts = [CountingFiles(host: "h0"), CountingFiles(host: "h1", missing: [".png"])]
      let outcomes = try Self.open(data, hosts, skip: true)
      #expect(outcomes.allSatisfy { $0.error?.code == 65 && $0.error?.isShared == true })
      #expect(outcomes[0].error?.description.contains("16 files are not as listed") == true)
      #expect(hosts[1].counts == .init(statuses: 16))
    }
  }

  @Test("rank 0's errors reach all ranks")
  func noData() throws {
    let outcomes = try Self.open("/nonexistent", Self.hosts(3))
    #expect(outcomes.allSatisfy { $0.error?.code == 66 && $0.error?.isShared == true })
  }

  @Test("bad images are left out alike, and found again")
  func badImages() throws {
    try Self.withData { data in
      let path = try Self.paths(data)[3]
      try Data("no image".utf8).write(to: URL(fileURLWithPath: data + "/" + path))
      let cold = Self.hosts(2), again = Self.hosts(2)
      for hosts in [cold, again] {
        let refused = try Self.open(data, hosts)
        #expect(refused.allSatisfy { $0.error?.code == 65 && $0.error!.description.contains(path) })
      }
      // The annotations and all images; then the good ones are known.
      #expect(cold.map(\.counts.reads).reduce(0, +) == 31 && again.map(\.counts.reads).reduce(0, +) == 1)
      for _ in 1...2 {
        let outcomes = try Self.open(data, Self.hosts(2), skip: true)
        for outcome in outcomes {
          #expect(outcome.samples.count == 29 && !outcome.samples.contains { $0.path == path })
          #expect(outcome.preprocessing == outcomes[0].preprocessing && outcome.error == nil)
        }
        let refused = try Self.open(data, Self.hosts(2))
        #expect(refused.allSatisfy { $0.error?.code == 65 })
      }
    }
  }
}
