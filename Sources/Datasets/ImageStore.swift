import Synchronization

/// What one thread needs to turn files into pixels.
final class ImageWorkspace {
  let decoder = ImageDecoder()
  let resizer = ImageResizer()
  var file: [UInt8] = []
  var image = RGBImage(width: 1, height: 1)
  var resized: [Float] = []
}

/// The images of a folder, decoded and resized to side x side, kept in memory up to a limit.
///
/// When the memory is full, what is in it stays: every epoch visits all images once, so throwing old ones out would
/// only lose them before their turn. Safe to use from many threads.
public final class ImageStore: Sendable {
  /// The folder whose images these are.
  public let folder: ImageFolder
  /// Extent of every image after resizing, in pixels.
  public let side: Int
  /// Most bytes of pixels kept.
  public let cacheBytes: Int
  private let cache: Mutex<Cache>

  // @unchecked: an image's pixels are written before they enter the cache and never again.
  private struct Cache: @unchecked Sendable {
    var images: [UnsafeMutablePointer<Float>?]
    var bytes = 0
  }

  /// A store of images of side x side pixels, empty at first.
  public init(_ folder: ImageFolder, side: Int, cacheBytes: Int = 1 << 30) {
    precondition(side > 0, "ImageStore: side \(side)")
    self.folder = folder
    self.side = side
    self.cacheBytes = cacheBytes
    cache = Mutex(Cache(images: [UnsafeMutablePointer<Float>?](repeating: nil, count: folder.samples.count)))
  }

  deinit {
    cache.withLock { for image in $0.images { image?.deallocate() } }
  }

  /// Bytes of pixels kept now.
  public var cachedBytes: Int { cache.withLock { $0.bytes } }

  /// Values of one image: side · side · 3.
  var imageCount: Int { side * side * 3 }

  /// Lends the pixels [side, side, 3] (0...255, not rounded) of a sample. Throws `DatasetError` if the file is
  /// missing or no image.
  func withImage<R>(
    _ sample: Int, _ workspace: ImageWorkspace, _ body: (UnsafePointer<Float>) -> R
  ) throws(DatasetError) -> R {
    if let cached = cache.withLock({ $0.images[sample] }) { return body(cached) }
    try decode(sample, workspace)
    let count = imageCount, bytes = count * MemoryLayout<Float>.stride
    let isRoom = cache.withLock { cache in
      guard cache.images[sample] == nil, cache.bytes + bytes <= cacheBytes else { return false }
      cache.bytes += bytes
      return true
    }
    if workspace.resized.count < count { workspace.resized = [Float](repeating: 0, count: count) }
    return workspace.resized.withUnsafeMutableBufferPointer { pixels in
      workspace.resizer.resize(workspace.image, width: side, height: side, into: pixels.baseAddress!)
      if isRoom {
        let copy = UnsafeMutablePointer<Float>.allocate(capacity: count)
        copy.initialize(from: pixels.baseAddress!, count: count)
        // Another thread may have decoded the same image meanwhile.
        let isFirst = cache.withLock { cache in
          guard cache.images[sample] == nil else {
            cache.bytes -= bytes
            return false
          }
          cache.images[sample] = copy
          return true
        }
        if !isFirst { copy.deallocate() }
      }
      return body(pixels.baseAddress!)
    }
  }

  /// Decodes a sample's file into the workspace, at its own size. Throws `DatasetError.badImages`, or `.otherFiles` if
  /// this host does not have the file that was listed.
  func decode(_ sample: Int, _ workspace: ImageWorkspace) throws(DatasetError) {
    let sample = folder.samples[sample]
    do throws(DatasetError) {
      try folder.read(sample.path, into: &workspace.file)
    } catch {
      guard case .unreadable(_, let reason) = error else { throw error }
      // A link to nowhere was listed as such.
      if sample.fileBytes == 0 { throw .badImages([BadImage(path: sample.path, reason: reason)]) }
      throw .otherFiles([folder.differing(sample, reason)])
    }
    guard workspace.file.count == sample.fileBytes else {
      throw .otherFiles([folder.differing(sample, foundBytes: workspace.file.count)])
    }
    do throws(ImageError) {
      try workspace.decoder.decode(workspace.file, into: &workspace.image)
    } catch {
      throw .badImages([BadImage(path: sample.path, reason: error.description)])
    }
  }
}
