import Datasets
import Foundation
import Glibc
import Networks
import Weights

/// A directory that holds a training run at one step.
///
///     checkpoints/step-00000120/
///       model.safetensors       weights in canonical order, running statistics, the mean image
///       optimizer.safetensors   momentum, same names
///       state.json              configuration, position, classes, preprocessing
///       CHECKSUMS               XXH128 of the three, as `xxh128sum --check` reads it
///
/// It is written beside and renamed when it is complete and synced, so that a directory of that name is whole or
/// damaged later, never half written.
public struct Checkpoint: Sendable {
  /// Path of the directory.
  public let directory: String
  /// What `state.json` says.
  public let state: CheckpointState
  /// XXH128 of each of its files, as they were found right.
  public let checksums: [String: String]
  /// When it was completed, by the file system; nil if that does not tell.
  public var written: Date? {
    let attributes = try? FileManager.default.attributesOfItem(atPath: directory + "/" + Self.checksumFile)
    return attributes?[.modificationDate] as? Date
  }

  private static let modelFile = "model.safetensors"
  private static let optimizerFile = "optimizer.safetensors"
  private static let stateFile = "state.json"
  private static let checksumFile = "CHECKSUMS"
  private static let meanName = WeightsFile.meanName

  /// The file of the weights and running statistics.
  var modelPath: String { directory + "/" + Self.modelFile }

  // MARK: reading

  /// Opens the checkpoint at `path` and verifies every checksum. `path` may also be a run folder or its
  /// `checkpoints` folder: then the newest valid checkpoint is meant.
  ///
  /// - Parameter onDamaged: told of each damaged checkpoint that was passed over.
  /// - Throws: `CheckpointError.missing`, `.damaged`, `.cannotRead`.
  public static func open(
    _ path: String, onDamaged: (CheckpointError) -> Void = { _ in }
  ) throws(CheckpointError) -> Checkpoint {
    if FileManager.default.fileExists(atPath: path + "/" + stateFile)
      || FileManager.default.fileExists(atPath: path + "/" + checksumFile)
    {
      return try Checkpoint(directory: path)
    }
    for folder in [path + "/checkpoints", path] {
      if let newest = try newest(in: folder, onDamaged: onDamaged) { return newest }
    }
    throw .missing(path: path)
  }

  /// The newest checkpoint in a `checkpoints` folder whose checksums are right; nil if there is no checkpoint at all.
  ///
  /// - Throws: the damage of the newest, if every one is damaged.
  public static func newest(in folder: String, onDamaged: (CheckpointError) -> Void = { _ in })
    throws(CheckpointError) -> Checkpoint?
  {
    var damage: CheckpointError?
    for name in names(in: folder).reversed() {
      do throws(CheckpointError) {
        return try Checkpoint(directory: folder + "/" + name)
      } catch {
        onDamaged(error)
        damage = damage ?? error
      }
    }
    if let damage { throw damage }
    return nil
  }

  /// Names of the complete checkpoints in a folder, oldest first.
  static func names(in folder: String) -> [String] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return entries.filter { $0.hasPrefix("step-") }.sorted()
  }

  /// Checkpoints that were not finished, or were to be replaced.
  private static func unfinished(in folder: String) -> [String] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return entries.filter { $0.hasPrefix(".step-") }
  }

  private init(directory: String) throws(CheckpointError) {
    self.directory = directory
    let checksumPath = directory + "/" + Self.checksumFile
    guard let listing = try? String(contentsOfFile: checksumPath, encoding: .utf8) else {
      throw .damaged(path: directory, reason: "it has no readable \(Self.checksumFile)")
    }
    var expected: [String: String] = [:]
    for line in listing.split(separator: "\n") {
      let parts = line.split(separator: " ", omittingEmptySubsequences: true)
      if parts.count == 2 { expected[String(parts[1])] = String(parts[0]) }
    }
    for file in [Self.modelFile, Self.optimizerFile, Self.stateFile] {
      guard let checksum = expected[file] else {
        throw .damaged(path: checksumPath, reason: "it does not list \(file)")
      }
      let path = directory + "/" + file
      let actual: String
      do throws(WeightsError) { actual = try ChecksummedFile.checksum(of: path) } catch {
        throw .damaged(path: path, reason: "the file is missing or unreadable")
      }
      guard actual == checksum else {
        throw .damaged(path: path, reason: "its checksum is \(actual), \(checksum) was written")
      }
    }
    guard listing == Self.listing(expected) else {
      throw .damaged(path: checksumPath, reason: "it is not as it was written")
    }
    let statePath = directory + "/" + Self.stateFile
    guard let json = try? Data(contentsOf: URL(fileURLWithPath: statePath)),
      let object = try? JSONSerialization.jsonObject(with: json) as? [String: Any],
      let version = object["formatVersion"] as? Int
    else { throw .damaged(path: statePath, reason: "it is no checkpoint state") }
    guard version <= CheckpointState.currentFormatVersion else {
      throw .mismatch(
        path: statePath,
        reason: "format version \(version); this program reads up to \(CheckpointState.currentFormatVersion)")
    }
    do {
      let upgraded = CheckpointState.upgraded(object, from: version)
      let current = try upgraded.map { try JSONSerialization.data(withJSONObject: $0) } ?? json
      var state = try JSONDecoder().decode(CheckpointState.self, from: current)
      let reader = try SafeTensors.Reader(path: directory + "/" + Self.modelFile)
      if reader.tensors[Self.meanName] != nil { state.preprocessing.mean = try reader.floats(Self.meanName) }
      try state.requireSense(path: statePath)
      self.state = state
      checksums = expected
    } catch let error as WeightsError {
      throw CheckpointError(error)
    } catch {
      throw .damaged(path: statePath, reason: "\(error)")
    }
  }

  /// The configuration with the network that it names.
  ///
  /// - Throws: `CheckpointError.mismatch` if this program does not know the network, or cannot build it so.
  func resolvedConfiguration() throws(CheckpointError) -> (TrainingConfiguration, Architecture) {
    do throws(ConfigurationError) { return try state.configuration.resolved() } catch {
      throw .mismatch(path: directory, reason: "\(error)")
    }
  }

  /// Restores weights and running statistics, and the momentum if asked for.
  ///
  /// - Parameter velocities: the optimiser's arena, ordered as the store's, or nil for inference.
  /// - Throws: `CheckpointError.mismatch` if the checkpoint is of another network; nothing is changed then.
  public func restore(_ network: Network, velocities: UnsafeMutableBufferPointer<Float>?)
    throws(CheckpointError)
  {
    let model = try Self.openArrays(directory + "/" + Self.modelFile)
    try Self.requireEqualNames(
      model.tensors.keys.filter { $0 != Self.meanName },
      network.store.parameters.map(\.name) + network.states.map(\.name), path: directory)
    for parameter in network.store.parameters {
      try requireShape(model, parameter.name, parameter.shape, Self.modelFile)
    }
    for state in network.states { try requireShape(model, state.name, state.shape, Self.modelFile) }
    try CheckpointError.rethrown { () throws(WeightsError) in
      for parameter in network.store.parameters { parameter.importValues(try model.floats(parameter.name)) }
      for state in network.states { _ = state.values.update(fromContentsOf: try model.doubles(state.name)) }
    }
    guard let velocities else { return }
    let optimizer = try Self.openArrays(directory + "/" + Self.optimizerFile)
    for parameter in network.store.parameters {
      try requireShape(optimizer, parameter.name, parameter.shape, Self.optimizerFile)
      let canonical = try CheckpointError.rethrown { () throws(WeightsError) in
        try optimizer.floats(parameter.name)
      }
      parameter.stored(from: canonical, into: velocities.baseAddress! + parameter.offset)
    }
  }

  /// Refuses data that are not those of the training: another fingerprint or other classes.
  func requireData(fingerprint: UInt64, classNames: [String]) throws(CheckpointError) {
    guard state.classNames == classNames else {
      throw .mismatch(
        path: directory, reason: "its classes are \(state.classNames), the data set's \(classNames)")
    }
    let found = String(fingerprint, radix: 16)
    guard state.dataFingerprint == found else {
      throw .mismatch(
        path: directory,
        reason: "it was trained on data with the fingerprint \(state.dataFingerprint), these have \(found)")
    }
  }

  private static func openArrays(_ path: String) throws(CheckpointError) -> SafeTensors.Reader {
    try CheckpointError.rethrown { () throws(WeightsError) in try SafeTensors.Reader(path: path) }
  }

  private static func writeArrays(
    _ entries: [SafeTensors.Entry], _ metadata: [String: String], _ path: String
  )
    throws(CheckpointError) -> String
  {
    try CheckpointError.rethrown { () throws(WeightsError) in
      try SafeTensors.write(entries, metadata: metadata, to: path)
    }
  }

  private func requireShape(_ reader: SafeTensors.Reader, _ name: String, _ shape: [Int], _ file: String)
    throws(CheckpointError)
  {
    let found = reader.tensors[name]?.shape
    guard found == shape else {
      let text = found.map(String.init(describing:)) ?? "missing"
      throw .mismatch(path: directory + "/" + file, reason: "'\(name)' is \(text), the network has \(shape)")
    }
  }

  private static func requireEqualNames(_ found: [String], _ expected: [String], path: String)
    throws(CheckpointError)
  {
    let missing = Set(expected).subtracting(found).sorted()
    let surplus = Set(found).subtracting(expected).sorted()
    if let name = missing.first {
      throw .mismatch(
        path: path, reason: "\(missing.count) arrays of the network are not in it, first '\(name)'")
    }
    if let name = surplus.first {
      throw .mismatch(
        path: path, reason: "\(surplus.count) of its arrays are not in the network, first '\(name)'")
    }
  }

  // MARK: writing

  /// Writes a checkpoint into RUN/checkpoints and removes all but the newest `keep`.
  ///
  /// - Parameter velocities: the optimiser's arena, ordered as the store's.
  /// - Throws: `CheckpointError.notFinite` before anything is written if a weight is NaN or infinite;
  ///   `.cannotWrite`, after which all earlier checkpoints are intact.
  @discardableResult
  public static func write(
    _ state: CheckpointState, of network: Network, velocities: UnsafeBufferPointer<Float>, run: String,
    keep: Int
  ) throws(CheckpointError) -> Checkpoint {
    let folder = run + "/checkpoints"
    let digits = String(state.step)
    let name = "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    let final = folder + "/" + name
    for parameter in network.store.parameters {
      let values = UnsafeBufferPointer(start: parameter.values, count: parameter.storedCount)
      // x·0 is NaN exactly for NaN and infinity.
      guard values.reduce(0, { $0 + $1 * 0 }) == 0 else {
        throw .notFinite(path: final, parameter: parameter.name)
      }
    }
    let partial = folder + "/.\(name).partial"
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      if FileManager.default.fileExists(atPath: partial) {
        try FileManager.default.removeItem(atPath: partial)
      }
      try FileManager.default.createDirectory(atPath: partial, withIntermediateDirectories: false)
    } catch {
      throw .cannotWrite(path: partial, reason: Self.reason(error))
    }
    let checksums: [String: String]
    do throws(CheckpointError) {
      checksums = try writeFiles(state, network, velocities, into: partial)
      try publish(partial, as: final, in: folder)
    } catch {
      try? FileManager.default.removeItem(atPath: partial)
      throw error
    }
    // What a process that was killed while it wrote has left may never be written again under the same name.
    for old in names(in: folder).dropLast(keep) + unfinished(in: folder) {
      try? FileManager.default.removeItem(atPath: folder + "/" + old)
    }
    return Checkpoint(written: final, state: state, checksums: checksums)
  }

  private init(written directory: String, state: CheckpointState, checksums: [String: String]) {
    self.directory = directory
    self.state = state
    self.checksums = checksums
  }

  private static func writeFiles(
    _ state: CheckpointState, _ network: Network, _ velocities: UnsafeBufferPointer<Float>,
    into folder: String
  ) throws(CheckpointError) -> [String: String] {
    var entries = network.store.parameters.map { parameter in
      SafeTensors.Entry(parameter.name, .float32, shape: parameter.shape) {
        parameter.canonical(
          from: parameter.values, into: $0.baseAddress!.assumingMemoryBound(to: Float.self))
      }
    }
    entries += network.states.map { state in
      SafeTensors.Entry(state.name, .float64, shape: state.shape) {
        $0.copyMemory(from: UnsafeRawBufferPointer(state.values))
      }
    }
    let mean = state.preprocessing.mean
    entries.append(
      SafeTensors.Entry(meanName, .float32, shape: [mean.count]) { bytes in
        mean.withUnsafeBytes { bytes.copyMemory(from: $0) }
      })
    var metadata = ["format": "icnn", "network": state.configuration.network, "step": String(state.step)]
    metadata.merge(state.preprocessing.metadata(includesPixelMean: false)) { $1 }
    let modelChecksum = try writeArrays(entries, metadata, folder + "/" + modelFile)

    let momentum = network.store.parameters.map { parameter in
      SafeTensors.Entry(parameter.name, .float32, shape: parameter.shape) {
        parameter.canonical(
          from: velocities.baseAddress! + parameter.offset,
          into: $0.baseAddress!.assumingMemoryBound(to: Float.self))
      }
    }
    let optimizerChecksum = try writeArrays(momentum, metadata, folder + "/" + optimizerFile)

    var stateWithoutMean = state
    stateWithoutMean.preprocessing.mean = []
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let json = try? encoder.encode(stateWithoutMean) else {
      throw .cannotWrite(path: folder + "/" + stateFile, reason: "the state cannot be encoded")
    }
    let stateChecksum = try writeFile(Array(json) + [0x0A], to: folder + "/" + stateFile)
    let checksums = [
      modelFile: modelChecksum, optimizerFile: optimizerChecksum, stateFile: stateChecksum,
    ]
    _ = try writeFile(Array(Self.listing(checksums).utf8), to: folder + "/" + checksumFile)
    return checksums
  }

  /// The text of CHECKSUMS, as xxh128sum writes it.
  private static func listing(_ checksums: [String: String]) -> String {
    checksums.sorted { $0.key < $1.key }.map { "\($0.value)  \($0.key)\n" }.joined()
  }

  private static func writeFile(_ bytes: [UInt8], to path: String) throws(CheckpointError) -> String {
    try CheckpointError.rethrown { () throws(WeightsError) in
      var file = try ChecksummedFile(path: path)
      try file.append(bytes)
      return try file.close()
    }
  }

  /// Syncs the directory, gives it its final name, syncs the folder. An older directory of that name (a damaged
  /// checkpoint, written again after a resume from an earlier one) is set aside first.
  private static func publish(_ partial: String, as final: String, in folder: String)
    throws(CheckpointError)
  {
    try syncDirectory(partial)
    let aside = folder + "/." + (final as NSString).lastPathComponent + ".replaced"
    if FileManager.default.fileExists(atPath: final) {
      try? FileManager.default.removeItem(atPath: aside)
      guard rename(final, aside) == 0 else {
        throw .cannotWrite(path: final, reason: String(cString: strerror(errno)))
      }
    }
    guard rename(partial, final) == 0 else {
      throw .cannotWrite(path: final, reason: String(cString: strerror(errno)))
    }
    try syncDirectory(folder)
    try? FileManager.default.removeItem(atPath: aside)
  }

  private static func syncDirectory(_ path: String) throws(CheckpointError) {
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .cannotWrite(path: path, reason: String(cString: strerror(errno))) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else {
      throw .cannotWrite(path: path, reason: String(cString: strerror(errno)))
    }
  }

  private static func reason(_ error: any Error) -> String {
    let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
    return underlying?.localizedDescription ?? error.localizedDescription
  }
}
