import CXXHash
import Foundation
import MATFiles

/// The ILSVRC 2013 DET Animal-Part data set as published: the objects of github.com/zqs1022/detanimalpart
/// (`<wnid>_obj/img/img/00001.jpg`, `<wnid>_obj/img/data.mat`), the parts and negatives of
/// github.com/zqs1022/interpretableCNN (`data_input_DET-2015-subset-ILSVRC2013train/<wnid>/truth_part01.mat`, `neg/00001.JPEG`).
///
/// Object i is entry i of `samples` and `truth`. Boxes count pixels from 1, both ends inside. Part centres and sizes are measured
/// in the cut-out object stretched to 224 x 224; pixel i has its centre at i - 0.5.
public enum AnimalPart {
  /// Names of the published categories by their WordNet number; others keep the number.
  static let names = [
    "n01443537": "goldfish", "n01503061": "bird", "n01639765": "frog", "n01662784": "turtle",
    "n01674464": "lizard", "n01882714": "koala", "n01983481": "lobster", "n02084071": "dog",
    "n02118333": "fox",
    "n02121808": "cat", "n02129165": "lion", "n02129604": "tiger", "n02131653": "bear", "n02324045": "rabbit",
    "n02342885": "hamster", "n02355227": "squirrel", "n02374451": "horse", "n02391049": "zebra",
    "n02395003": "swine", "n02398521": "hippopotamus", "n02402425": "cattle", "n02411705": "sheep",
    "n02419796": "antelope", "n02437136": "camel", "n02444819": "otter", "n02454379": "armadillo",
    "n02484322": "monkey", "n02503517": "elephant", "n02509815": "red_panda", "n02510455": "giant_panda",
  ]

  /// Negatives of the published numbering that were seen to show a category; 275 to 1000 have not been looked at.
  private static let knownAnimals: [String: [Int]] = [
    "cat": [5, 7, 39, 125, 178], "zebra": [14, 165, 243], "goldfish": [16, 50, 238, 246],
    "giant_panda": [206],
    "red_panda": [3, 54, 123, 170], "koala": [37, 224], "hamster": [47], "lion": [89, 248], "horse": [152],
  ]

  private static let partNames = ["head", "leg"]

  /// Reads all categories and negatives that are there. Throws `DatasetError`.
  public static func plan(
    _ source: String, split rule: ImportPlan.SplitRule = .photographs
  ) throws(DatasetError) -> ImportPlan {
    guard isFolder(source) else { throw .missingFolder(path: source) }
    var plan = ImportPlan(layout: "animal-part", source: source)
    let objects = try objectFolders(source)
    guard !objects.isEmpty else {
      throw .missingPiece(
        path: source + "/<wnid>_obj", expected: "folders like n02503517_obj of detanimalpart")
    }
    let truth = try truthFolder(source)
    for folder in objects { try addCategory(folder, truth, rule, &plan) }
    try addNegatives(rule, &plan)
    return plan
  }

  // MARK: - Where things are

  private static func objectFolders(_ source: String) throws(DatasetError) -> [String] {
    for prefix in ["", "detanimalpart/"] where prefix.isEmpty || isFolder(source + "/" + prefix) {
      let names = try listFolder(source + "/" + prefix).filter { $0.hasSuffix("_obj") && $0.count > 4 }
      if !names.isEmpty { return names.sorted().map { prefix + $0 } }
    }
    return []
  }

  private static func truthFolder(_ source: String) throws(DatasetError) -> String {
    let name = "data_input_DET-2015-subset-ILSVRC2013train"
    let places = ["", "code/data_input/", "interpretableCNN/code/data_input/", "data_input/"].map {
      "\(source)/\($0)\(name)"
    }
    guard let folder = places.first(where: isFolder) else {
      throw .missingPiece(path: places[0], expected: "the folder of part annotations of interpretableCNN")
    }
    return folder
  }

  // MARK: - A category

  private static func addCategory(
    _ folder: String, _ truthFolder: String, _ rule: ImportPlan.SplitRule, _ plan: inout ImportPlan
  ) throws(DatasetError) {
    let wnid = try safeName(String(folder.split(separator: "/").last!.dropLast(4)), from: plan.source)
    let category = names[wnid] ?? wnid
    let images = folder + "/img/img"
    guard isFolder(plan.source + "/" + images) else {
      throw .missingPiece(
        path: plan.source + "/" + images, expected: "the folder of photographs 00001.jpg, …")
    }
    let files = try numberedFiles(plan.source + "/" + images)
    do {
      var truths: [[MATNode]] = []
      for part in 1...partNames.count {
        let path = "\(truthFolder)/\(wnid)/truth_part\(String(format: "%02d", part)).mat"
        // Goldfishes have no legs, and no file of them.
        truths.append(access(path, F_OK) == 0 ? try MATFile(path).read("truth").elements() : [])
      }
      if truths.allSatisfy(\.isEmpty) {
        plan.notes.append("\(category) has no part annotations in \(truthFolder)")
      }
      let boxes = try boxes(plan.source + "/" + folder + "/img/data.mat", truths, category, &plan)
      var items: [ImportItem] = []
      var numbers: [Int] = []
      for (number, name) in files {
        let what = "\(category) \(name)"
        guard let box = boxes[number] else {
          plan.omit(what, because: "an object whose box is not published")
          continue
        }
        guard box.area >= ImportPlan.minimumArea else {
          plan.omit(what, because: "an object of less than \(ImportPlan.minimumArea) pixels")
          continue
        }
        var parts: [ImportPart] = []
        for (part, truth) in truths.enumerated() where number <= truth.count {
          parts += try self.parts(truth[number - 1], partNames[part], what, &plan)
        }
        numbers.append(number)
        items.append(
          ImportItem(
            source: "\(images)/\(name)", box: box, category: category, stem: String(format: "%05d", number),
            split: .training, group: try photograph(plan.source + "/" + images + "/" + name, wnid),
            parts: parts))
      }
      ImportPlan.divide(&items, by: rule, numbers: numbers, of: files.count)
      plan.items += items
    } catch let error as MATFileError {
      throw .matlab(error)
    } catch let error as DatasetError {
      throw error
    } catch {
      fatalError("AnimalPart: \(error)")
    }
  }

  /// Files named by a number and .jpg, in the order of the numbers.
  private static func numberedFiles(_ folder: String) throws(DatasetError) -> [(number: Int, name: String)] {
    try listFolder(folder).compactMap { name in
      let parts = name.split(separator: ".")
      guard parts.count == 2, ["jpg", "jpeg"].contains(parts[1].lowercased()), let number = Int(parts[0]),
        number > 0
      else { return nil }
      return (number, name)
    }.sorted { $0.number < $1.number }
  }

  /// Objects of one photograph are byte-identical files.
  private static func photograph(_ path: String, _ wnid: String) throws(DatasetError) -> String {
    var bytes: [UInt8] = []
    try readFile(path, into: &bytes)
    let hash = bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
    return "\(wnid)/\(String(hash, radix: 16))-\(bytes.count)"
  }

  // MARK: - MATLAB files

  /// Boxes by number, from data.mat; where that was not published, from the annotated objects.
  private static func boxes(
    _ path: String, _ truths: [[MATNode]], _ category: String, _ plan: inout ImportPlan
  ) throws -> [Int: PixelBox] {
    var boxes: [Int: PixelBox] = [:]
    guard access(path, F_OK) == 0 else {
      guard truths.contains(where: { !$0.isEmpty }) else {
        throw DatasetError.missingPiece(path: path, expected: "the boxes of the objects")
      }
      plan.notes.append("\(path) is missing: only the annotated objects of \(category) have a box")
      for truth in truths {
        for (index, entry) in truth.enumerated() {
          guard let object = try entry.field("obj").nonEmptyElements().first else { continue }
          boxes[index + 1] = try box(object)
        }
      }
      return boxes
    }
    for (index, sample) in try MATFile(path).read("samples").elements().enumerated() {
      // An object may have lost its entry; the numbering stays.
      guard let object = try sample.field("obj").nonEmptyElements().first else { continue }
      boxes[index + 1] = try box(object)
    }
    return boxes
  }

  /// Numbers in data.mat, texts in the part files.
  private static func box(_ object: MATNode) throws -> PixelBox {
    let node = try object.field("bndbox")
    func edge(_ name: String) throws -> Double {
      let edge = try node.field(name)
      if case .text(let text) = edge.value {
        guard let number = Double(text), number.isFinite else { throw edge.unexpected("a number") }
        // The part files count 0 where data.mat has 1.
        return max(number, 1)
      }
      return try edge.number()
    }
    guard
      let box = PixelBox(
        xmin: try edge("xmin"), ymin: try edge("ymin"), xmax: try edge("xmax"), ymax: try edge("ymax"))
    else { throw node.unexpected("a box of pixels") }
    return box
  }

  /// No, one or several instances: centres [row; column] and sizes [height; width], 2 x k.
  private static func parts(
    _ entry: MATNode, _ name: String, _ what: String, _ plan: inout ImportPlan
  ) throws -> [ImportPart] {
    let center = try entry.field("pHW_center"), scale = try entry.field("pHW_scale")
    if center.isEmpty { return [] }
    let centers = try center.numbers(), scales = try scale.numbers()
    guard centers.count % 2 == 0, centers.extents.first == 2, centers.doubles.allSatisfy(\.isFinite) else {
      throw center.unexpected("2 x k finite numbers")
    }
    guard scales.extents == centers.extents, scales.doubles.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
      throw scale.unexpected("as many sizes as centres")
    }
    var parts: [ImportPart] = []
    for k in 0..<(centers.count / 2) {
      let y = centers.doubles[2 * k] - 0.5, x = centers.doubles[2 * k + 1] - 0.5
      let height = scales.doubles[2 * k], width = scales.doubles[2 * k + 1]
      guard (-16...240).contains(x), (-16...240).contains(y) else {
        plan.omit("\(name) of \(what)", because: "a part outside of its object")
        continue
      }
      parts.append(
        ImportPart(
          name: name, frame: .crop224, x: x, y: y,
          box: [x - width / 2, y - height / 2, x + width / 2, y + height / 2]))
    }
    return parts
  }

  // MARK: - Negatives

  private static func addNegatives(_ rule: ImportPlan.SplitRule, _ plan: inout ImportPlan)
    throws(DatasetError)
  {
    let places = [
      "neg", "data/neg", "code/data/neg", "interpretableCNN/data/neg", "interpretableCNN/code/data/neg",
    ]
    guard let folder = places.first(where: { isFolder(plan.source + "/" + $0) }) else {
      plan.notes.append("no negatives: none of \(places.joined(separator: ", ")) is there")
      return
    }
    let files = try numberedFiles(plan.source + "/" + folder)
    let numbers = files.map(\.number)
    var items = files.map { number, name in
      ImportItem(
        source: "\(folder)/\(name)", box: nil, category: ImageFolder.negativeName,
        stem: String(format: "%05d", number), split: .training, group: "negative/\(number)", parts: [])
    }
    ImportPlan.divide(&items, by: rule, numbers: numbers, of: files.count)
    let imported = Set(plan.items.map(\.category))
    for (animal, known) in knownAnimals.sorted(by: { $0.key < $1.key }) where imported.contains(animal) {
      let shown = known.filter(numbers.contains).map { String(format: "%05d", $0) }
      if !shown.isEmpty {
        plan.notes.append(
          "negatives that show a \(animal) in the published numbering: \(shown.joined(separator: ", "))")
      }
    }
    plan.items += items
  }
}

extension MATNode {
  /// The structs of an array; of [] none.
  fileprivate func nonEmptyElements() throws(MATFileError) -> [MATNode] { isEmpty ? [] : try elements() }
}
