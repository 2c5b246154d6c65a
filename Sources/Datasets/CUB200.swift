import Foundation

/// Caltech-UCSD Birds-200-2011 (Wah, Branson, Welinder, Perona, Belongie 2011) as published: `CUB_200_2011/` with images.txt,
/// image_class_labels.txt, classes.txt, train_test_split.txt, bounding_boxes.txt, parts/ and images/.
///
/// Every bird is cut out of its photograph by its box, as in the code of interpretable CNNs: first pixel (x, y), last pixel
/// (x + width, y + height), counted from 1. Classes and split are the published ones.
public enum CUB200 {
  /// Reads all tables. Throws `DatasetError`.
  public static func plan(_ source: String) throws(DatasetError) -> ImportPlan {
    guard isFolder(source) else {
      throw .missingPiece(path: source, expected: "the folder that CUB_200_2011.tgz holds")
    }
    let root = isFolder(source + "/CUB_200_2011") ? source + "/CUB_200_2011" : source
    guard isFolder(root + "/images") else {
      throw .missingPiece(path: root + "/images", expected: "the folder of photographs")
    }
    let classes = try entries(root + "/classes.txt", fields: 2)
    let labels = try entries(root + "/image_class_labels.txt", fields: 2)
    let splits = try entries(root + "/train_test_split.txt", fields: 2)
    let boxes = try entries(root + "/bounding_boxes.txt", fields: 5)
    let parts = try parts(root + "/parts")
    var plan = ImportPlan(layout: "cub200", source: root)
    let images = root + "/images.txt"
    var paths: Set<String> = []
    for (line, fields) in try readTable(images) {
      guard fields.count == 2, let id = Int(fields[0]) else {
        throw .badSource(path: images, line: line, reason: "expected an image's number and path")
      }
      let components = fields[1].split(separator: "/", omittingEmptySubsequences: false).map(String.init)
      guard components.count == 2 else { throw .unsafeName(path: images, name: fields[1]) }
      for component in components { _ = try safeName(component, from: images) }
      guard let label = labels[id].flatMap({ Int($0[0]) }), let category = classes[label]?[0] else {
        throw .badSource(
          path: root + "/image_class_labels.txt", line: nil, reason: "no class for image \(id)")
      }
      guard let split = splits[id]?[0], split == "0" || split == "1" else {
        throw .badSource(path: root + "/train_test_split.txt", line: nil, reason: "no 0 or 1 for image \(id)")
      }
      let numbers = (boxes[id] ?? []).compactMap { Double($0) }
      guard numbers.count == 4,
        let box = PixelBox(
          xmin: numbers[0], ymin: numbers[1], xmax: numbers[0] + numbers[2], ymax: numbers[1] + numbers[3])
      else {
        throw .badSource(path: root + "/bounding_boxes.txt", line: nil, reason: "no box for image \(id)")
      }
      guard box.area >= ImportPlan.minimumArea else {
        plan.omit(fields[1], because: "an object of less than \(ImportPlan.minimumArea) pixels")
        continue
      }
      let item = ImportItem(
        source: "images/" + fields[1], box: box,
        category: try safeName(category, from: root + "/classes.txt"),
        stem: (components[1] as NSString).deletingPathExtension,
        split: split == "1" ? .training : .validation,
        group: nil, parts: parts[id] ?? [])
      guard paths.insert(item.path).inserted else {
        throw .badSource(path: images, line: line, reason: "a second image \(item.path)")
      }
      plan.items.append(item)
    }
    return plan
  }

  /// Lines by their first number.
  private static func entries(_ path: String, fields count: Int) throws(DatasetError) -> [Int: [String]] {
    var entries: [Int: [String]] = [:]
    for (line, fields) in try readTable(path) {
      guard fields.count == count, let id = Int(fields[0]) else {
        throw .badSource(path: path, line: line, reason: "expected \(count) fields, the first a number")
      }
      guard entries.updateValue(Array(fields.dropFirst()), forKey: id) == nil else {
        throw .badSource(path: path, line: line, reason: "a second entry \(id)")
      }
    }
    return entries
  }

  /// Visible parts of each image. Pixel i, counted from 1, has its centre at i - 0.5.
  private static func parts(_ folder: String) throws(DatasetError) -> [Int: [ImportPart]] {
    var names: [Int: String] = [:]
    for (line, fields) in try readTable(folder + "/parts.txt") {
      guard fields.count >= 2, let id = Int(fields[0]) else {
        throw .badSource(path: folder + "/parts.txt", line: line, reason: "expected a number and a name")
      }
      names[id] = fields.dropFirst().joined(separator: " ")
    }
    var parts: [Int: [ImportPart]] = [:]
    let path = folder + "/part_locs.txt"
    for (line, fields) in try readTable(path) {
      guard fields.count == 5, let image = Int(fields[0]), let part = Int(fields[1]),
        let x = Double(fields[2]),
        let y = Double(fields[3]), abs(x) < 1e6, abs(y) < 1e6, fields[4] == "0" || fields[4] == "1"
      else {
        throw .badSource(path: path, line: line, reason: "expected image, part, x, y and 0 or 1")
      }
      guard let name = names[part] else {
        throw .badSource(path: path, line: line, reason: "no part \(part) in parts.txt")
      }
      if fields[4] == "1" {
        parts[image, default: []].append(ImportPart(name: name, frame: .photograph, x: x - 0.5, y: y - 0.5))
      }
    }
    return parts
  }
}
