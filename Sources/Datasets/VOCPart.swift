import Foundation
import MATFiles
import Synchronization
import Tensors

/// PASCAL-Part (Chen, Mottaghi, Liu, Fidler, Urtasun, Yuille 2014) as published: `Annotations_Part/<id>.mat` beside the photographs
/// of VOC 2010, `VOCdevkit/VOC2010/JPEGImages/<id>.jpg`.
///
/// Every object of a wanted class is cut out by the bounds of its mask. A part lies in the middle of the bounds of its mask, as in
/// the code of interpretable CNNs.
public enum VOCPart {
  /// The classes of the paper.
  public static let animals = ["bird", "cat", "cow", "dog", "horse", "sheep"]

  /// Which parts are told apart.
  public enum PartRule: String, Sendable, CaseIterable {
    /// The groups of the authors' code (getPart.m), the neck apart from the torso because the paper measures both.
    case merged
    /// As published: left eye, right eye, …
    case separate
  }

  /// Reads all annotations that have an object of `classes`, on the process's thread pool.
  ///
  /// - Parameter progress: called with the number of files read and of all, on any of the threads, one call at a time.
  /// - Throws: `DatasetError`.
  public static func plan(
    _ source: String, classes: [String] = animals, parts rule: PartRule = .merged,
    split: ImportPlan.SplitRule = .photographs, progress: (@Sendable (Int, Int) -> Void)? = nil
  ) throws(DatasetError) -> ImportPlan {
    guard isFolder(source) else { throw .missingFolder(path: source) }
    let root = isFolder(source + "/VOC_part") ? source + "/VOC_part" : source
    let annotations = root + "/Annotations_Part"
    guard isFolder(annotations) else {
      throw .missingPiece(path: annotations, expected: "the folder that PASCAL-Part's trainval.tar.gz holds")
    }
    let places = ["VOCdevkit/VOC2010/JPEGImages", "VOC2010/JPEGImages", "JPEGImages"]
    guard let images = places.first(where: { isFolder(root + "/" + $0) }) else {
      throw .missingPiece(path: root + "/" + places[0], expected: "the photographs of VOC 2010")
    }
    let names = try listFolder(annotations).filter { $0.hasSuffix(".mat") && !$0.hasPrefix(".") }.sorted()
    guard !names.isEmpty else {
      throw .missingPiece(path: annotations, expected: "files like 2008_000008.mat")
    }
    for name in names { _ = try safeName(name, from: annotations) }
    let found = try read(names, annotations, classes, rule, progress)
    var plan = ImportPlan(layout: "voc-part", source: root)
    for (name, objects) in zip(names, found) {
      let id = String(name.dropLast(4))
      for object in objects {
        guard object.box.area >= ImportPlan.minimumArea else {
          plan.omit(
            "\(object.category) \(object.number) of \(id)",
            because: "an object of less than \(ImportPlan.minimumArea) pixels")
          continue
        }
        plan.items.append(
          ImportItem(
            source: "\(images)/\(id).jpg", box: object.box, category: object.category,
            stem: "\(id)_\(object.number)", split: .training, group: id, parts: object.parts))
      }
    }
    divide(&plan, split)
    return plan
  }

  // MARK: - Files

  private struct Object {
    let category: String
    /// In its file, from 1.
    let number: Int
    let box: PixelBox
    let parts: [ImportPart]
  }

  private static func read(
    _ names: [String], _ folder: String, _ classes: [String], _ rule: PartRule,
    _ progress: (@Sendable (Int, Int) -> Void)?
  ) throws(DatasetError) -> [[Object]] {
    let done = Mutex(0)
    let hasFailed = Atomic(false)
    var results = [Result<[Object], DatasetError>?](repeating: nil, count: names.count)
    results.withUnsafeMutableBufferPointer { results in
      parallel(names.count) { i in
        guard !hasFailed.load(ordering: .relaxed) else { return }
        do throws(MATFileError) {
          results[i] = .success(
            try objects(try MATFile(folder + "/" + names[i]).read("anno"), Set(classes), rule))
        } catch {
          results[i] = .failure(.matlab(error))
          hasFailed.store(true, ordering: .relaxed)
        }
        guard let progress else { return }
        done.withLock {
          $0 += 1
          progress($0, names.count)
        }
      }
    }
    for result in results { if case .failure(let error) = result { throw error } }
    var found: [[Object]] = []
    for result in results { found.append(try result?.get() ?? []) }
    return found
  }

  private static func objects(
    _ annotation: MATNode, _ classes: Set<String>, _ rule: PartRule
  ) throws(MATFileError) -> [Object] {
    var objects: [Object] = []
    for (index, object) in try annotation.field("objects").elements().enumerated() {
      let category = try object.field("class").text()
      guard classes.contains(category) else { continue }
      let mask = try Mask(try object.field("mask"))
      // An object without a pixel has no place.
      guard let box = mask.bounds else { continue }
      var bounds: [(name: String, box: PixelBox)] = []
      for part in try object.field("parts").elements() {
        let name = try part.field("part_name").text()
        let partMask = try Mask(try part.field("mask"))
        guard partMask.extents == mask.extents else {
          throw try part.field("mask").unexpected("a mask of the object's size")
        }
        guard let partBox = partMask.bounds else { continue }
        let group = rule == .merged ? mergedName(name, category) : name
        guard let group else { continue }
        if let known = bounds.firstIndex(where: { $0.name == group }), rule == .merged {
          bounds[known].box = bounds[known].box.union(partBox)
        } else {
          bounds.append((group, partBox))
        }
      }
      objects.append(
        Object(category: category, number: index + 1, box: box, parts: bounds.map { part($0.name, $0.box) }))
    }
    return objects
  }

  /// The middle and the edges of pixels counted from 1, both ends inside.
  private static func part(_ name: String, _ box: PixelBox) -> ImportPart {
    let x0 = Double(box.xmin - 1), y0 = Double(box.ymin - 1), x1 = Double(box.xmax), y1 = Double(box.ymax)
    return ImportPart(
      name: name, frame: .photograph, x: (x0 + x1) / 2, y: (y0 + y1) / 2, box: [x0, y0, x1, y1])
  }

  // MARK: - Parts

  /// The group of a part; nil for parts that belong to none (tails of hoofed animals, numbered parts of vehicles stay).
  static func mergedName(_ part: String, _ category: String) -> String? {
    guard animals.contains(category) else { return part }
    switch part {
    case "head", "leye", "reye", "lear", "rear", "nose", "muzzle", "lhorn", "rhorn", "beak": return "head"
    case "torso", "lwing", "rwing": return "torso"
    case "neck": return "neck"
    case "tail": return ["bird", "cat", "dog"].contains(category) ? "tail" : nil
    case "lleg", "rleg", "lfoot", "rfoot": return "legs"
    default:
      // lfleg, rfpa, lfuleg, rflleg, lfho …: the second letter tells front from back.
      switch part.dropFirst().first {
      case "f": return "front legs"
      case "b": return "back legs"
      default: return part
      }
    }
  }

  /// Each class by itself; a photograph that shows several keeps the side on which it came first.
  private static func divide(_ plan: inout ImportPlan, _ rule: ImportPlan.SplitRule) {
    var splits: [String: Split] = [:]
    var items: [ImportItem] = []
    for category in Set(plan.items.map(\.category)).sorted() {
      var list = plan.items.filter { $0.category == category }
      let photographs = list.map(\.group)
      ImportPlan.divide(&list, by: rule, numbers: Array(1...list.count), of: list.count)
      if rule == .photographs {
        for (i, photograph) in photographs.enumerated() {
          guard let photograph else { continue }
          list[i].split = splits[photograph] ?? list[i].split
          splits[photograph] = list[i].split
        }
      }
      items += list
    }
    plan.items = items
  }
}

/// Where an object or a part is seen: a logical matrix.
private struct Mask {
  let extents: [Int]
  /// Nil if no pixel is set.
  let bounds: PixelBox?

  init(_ node: MATNode) throws(MATFileError) {
    let numbers = try node.numbers()
    guard numbers.extents.count == 2, numbers.count > 0 else { throw node.unexpected("a mask") }
    let values: [UInt8]
    switch numbers.storage {
    case .logical(let bytes), .bytes(let bytes): values = bytes
    case .doubles, .floats: values = numbers.floats.map { $0 != 0 ? 1 : 0 }
    }
    extents = numbers.extents
    let height = extents[0]
    var box: PixelBox?
    for column in 0..<extents[1] {
      let line = values[(column * height)..<((column + 1) * height)]
      guard let first = line.firstIndex(where: { $0 != 0 }), let last = line.lastIndex(where: { $0 != 0 })
      else {
        continue
      }
      let seen = PixelBox(
        xmin: column + 1, ymin: first - line.startIndex + 1, xmax: column + 1,
        ymax: last - line.startIndex + 1)
      box = box?.union(seen) ?? seen
    }
    bounds = box
  }
}

extension PixelBox {
  /// The smallest box around both.
  func union(_ other: PixelBox) -> PixelBox {
    PixelBox(
      xmin: min(xmin, other.xmin), ymin: min(ymin, other.ymin), xmax: max(xmax, other.xmax),
      ymax: max(ymax, other.ymax))
  }
}
