import Foundation
import Synchronization
import Tensors

/// Decodes every image once before training, so that a broken file is known on the first minute and not in the
/// tenth epoch.
///
/// Each rank may check its share (`ShardedSampler.share`) and send what it found as bytes; the joined lists, ordered
/// by rank, are the same everywhere, and with them `ImageFolder.excluding`.
public enum DatasetCheck {
  /// Decodes `samples` (indices; all if nil) on the process's thread pool and returns the unusable ones in that order:
  /// empty, cut short, corrupt, no image at all, of another extent than the annotations say, or not as listed
  /// (`BadImage.host`).
  ///
  /// - Parameter progress: called with the number of images done so far, on any of the threads, one call at a time.
  public static func verify(
    _ folder: ImageFolder, samples: [Int]? = nil, progress: (@Sendable (Int) -> Void)? = nil
  ) -> [BadImage] {
    let samples = samples ?? Array(folder.samples.indices)
    let store = ImageStore(folder, side: 1, cacheBytes: 0)
    let chunkLength = 16
    let chunkCount = (samples.count + chunkLength - 1) / chunkLength
    let done = Mutex(0)
    var found = [[BadImage]](repeating: [], count: chunkCount)
    found.withUnsafeMutableBufferPointer { found in
      parallel(chunkCount) { chunk in
        let workspace = ImageWorkspace()
        let share = samples[chunk * chunkLength..<min((chunk + 1) * chunkLength, samples.count)]
        for index in share {
          if let bad = verify(folder.samples[index], index, store, workspace) { found[chunk].append(bad) }
        }
        guard let progress else { return }
        done.withLock {
          $0 += share.count
          progress($0)
        }
      }
    }
    return found.flatMap { $0 }
  }

  /// Asks the system for the length of up to `count` files, spread over the whole list, and returns those that are not as
  /// listed: a host with other data is found at once, before it reads its first image.
  package static func spotCheck(_ folder: ImageFolder, count: Int = 16) -> [BadImage] {
    let total = folder.samples.count
    return (0..<min(count, total)).compactMap { i in
      let sample = folder.samples[i * total / min(count, total)]
      do throws(DatasetError) {
        let bytes = try folder.files.status(folder.directory + "/" + sample.path)?.bytes
        if bytes ?? 0 == sample.fileBytes { return nil }
        return bytes.map { folder.differing(sample, foundBytes: $0) }
          ?? folder.differing(sample, "no such file")
      } catch {
        return folder.differing(sample, "\(error)")
      }
    }
  }

  /// Throws `DatasetError.badImages` if there are any.
  public static func requireNone(_ images: [BadImage]) throws(DatasetError) {
    if !images.isEmpty { throw .badImages(images) }
  }

  /// A list as bytes that another rank can read.
  public static func encode(_ images: [BadImage]) -> [UInt8] {
    // Two strings each: there is nothing that JSON could refuse.
    Array(try! JSONEncoder().encode(images))
  }

  /// A list from another rank's bytes; nil if they are no such list.
  public static func decode(_ bytes: [UInt8]) -> [BadImage]? {
    try? JSONDecoder().decode([BadImage].self, from: Data(bytes))
  }

  private static func verify(
    _ sample: Sample, _ index: Int, _ store: ImageStore, _ workspace: ImageWorkspace
  ) -> BadImage? {
    do throws(DatasetError) {
      try store.decode(index, workspace)
    } catch {
      return error.badImages.first ?? BadImage(path: sample.path, reason: "\(error)")
    }
    let width = workspace.image.width, height = workspace.image.height
    guard width == sample.width ?? width, height == sample.height ?? height else {
      return BadImage(
        path: sample.path,
        reason: "the image is \(width) x \(height), its annotation says \(sample.width ?? width) x "
          + "\(sample.height ?? height)")
    }
    return nil
  }
}
