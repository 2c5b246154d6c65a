import Foundation

/// A filter in the template `filters`.
struct FilterView {
  let id: String
  let index: Int, network: Int, category: Int
  let networkName: String, categoryName: String
  let pictures: [PictureView]
  let details: [PictureView]
  let pictureCount: Int
  let part: String?
  let rate: NumberView, purity: NumberView, instability: NumberView
  let rateKey: String, purityKey: String, instabilityKey: String
  let purityBar: String, instabilityBar: String

  /// The identifier of a filter's card.
  static func identifier(network: Int, filter: Int) -> String { "f\(network)-\(filter)" }
}

/// A picture in a template.
struct PictureView {
  let url: String, description: String
  let width: Int, height: Int

  init(_ picture: ReportPicture) {
    url = picture.url
    description = picture.description
    width = picture.width
    height = picture.height
  }
}

/// The filters of one network and category.
struct FilterGroupView {
  let name: String, networkName: String, count: String
  let network: Int, category: Int
  let picture: PictureView?
  let filters: [FilterView]
}

/// A column of the filters' table.
struct FilterColumn {
  let key: String, name: String
  let isNumber: Bool
  /// Direction of the first click: 1 ascending, −1 descending.
  let first: Int
  let sort = "none"

  static func all(comparing: Bool) -> [FilterColumn] {
    [FilterColumn(key: "index", name: "Filter", isNumber: true, first: 1)]
      + (comparing ? [FilterColumn(key: "network", name: "Network", isNumber: false, first: 1)] : []) + [
        FilterColumn(key: "category", name: "Class", isNumber: false, first: 1),
        FilterColumn(key: "part", name: "Part", isNumber: false, first: 1),
        FilterColumn(key: "rate", name: "Found", isNumber: true, first: -1),
        FilterColumn(key: "purity", name: "Purity", isNumber: true, first: -1),
        FilterColumn(key: "instability", name: "Instability", isNumber: true, first: 1),
      ]
  }
}

/// All filters of a report, by network and category.
struct FilterViews {
  let groups: [FilterGroupView]
  let categories: [Choice]
  /// Why numbers do not exist.
  let missing: [String]
  /// Upper end of the choice of instabilities.
  let instabilityLimit: String

  private static let noCategory = "no class"

  init(_ networks: [ReportContents.Network]) {
    let all = networks.flatMap(\.filters)
    let highest = all.compactMap(\.instability.finite).max() ?? 0
    let limit = max((highest * 20).rounded(.up) / 20, 0.05)
    instabilityLimit = String(format: "%.2f", limit)
    var categories = Choice.all(all.compactMap(\.category))
    if all.contains(where: { $0.category == nil }) {
      categories.append(Choice(index: categories.count, name: Self.noCategory))
    }
    self.categories = categories
    missing = Set(all.flatMap { [$0.purity, $0.instability, $0.partRate].map(\.reason) }).subtracting([""])
      .sorted()
    groups = networks.enumerated().flatMap { number, network in
      let byCategory = Dictionary(grouping: network.filters) { $0.category ?? Self.noCategory }
      return categories.compactMap { category in
        byCategory[category.name].map { filters in
          FilterGroupView(
            name: category.name, networkName: network.name,
            count: filters.count == 1 ? "1 filter" : "\(filters.count) filters", network: number,
            category: category.index, picture: network.categoryPictures[category.name].map(PictureView.init),
            filters: filters.sorted { $0.index < $1.index }.map {
              FilterView($0, network: number, network.name, category, instabilityLimit: limit)
            })
        }
      }
    }
  }
}

extension FilterView {
  fileprivate init(
    _ filter: ReportContents.Filter, network: Int, _ networkName: String, _ category: Choice,
    instabilityLimit: Double
  ) {
    id = Self.identifier(network: network, filter: filter.index)
    index = filter.index
    self.network = network
    self.category = category.index
    self.networkName = networkName
    categoryName = category.name
    pictures = filter.pictures.map(PictureView.init)
    details = filter.details.map(PictureView.init)
    pictureCount = pictures.count
    part = filter.part
    rate = NumberView(filter.partRate, inPercent: true)
    purity = NumberView(filter.purity)
    instability = NumberView(filter.instability)
    rateKey = filter.partRate.sortKey
    purityKey = filter.purity.sortKey
    instabilityKey = filter.instability.sortKey
    purityBar = bar(filter.purity.finite)
    instabilityBar = bar(filter.instability.finite.map { $0 / instabilityLimit })
  }
}
