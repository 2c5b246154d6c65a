import Datasets
import Foundation
import SwiftProtobuf

/// Writes an event file that TensorBoard shows: scalars, histograms, images.
///
/// Values wait in memory until `flush`, or until they are 256 KiB. A resumed run gets a new file whose first event tells
/// TensorBoard to forget what an earlier process logged from that step on.
final class TensorBoardWriter {
  private static let flushBytes = 256 << 10

  private let file: EventFile
  private let clock: () -> Double

  /// A new event file in `folder`.
  ///
  /// - Parameters:
  ///   - firstStep: step of the first values to come; what earlier files of the folder hold from it on is void.
  ///   - clock: seconds since 1970.
  ///   - report: receives the one warning if the file cannot be written.
  init(
    folder: String, firstStep: Int, clock: @escaping () -> Double = { Date().timeIntervalSince1970 },
    report: @escaping (String) -> Void
  ) {
    self.clock = clock
    let now = clock()
    let version = TensorBoardEvent.with {
      $0.wallTime = now
      $0.fileVersion = "brain.Event:2"
    }
    file = EventFile(folder: folder, time: now, header: Self.bytes(of: version), report: report)
    write(step: firstStep) { $0.sessionLog = .with { $0.status = .start } }
  }

  /// Path of the file.
  var path: String { file.path }

  /// Numbers by tag; those that are not finite are left out.
  func scalars(_ values: [(tag: String, value: Double)], step: Int) {
    let values = values.filter(\.value.isFinite)
    guard !values.isEmpty else { return }
    write(step: step) {
      $0.summary.value = values.map { tag, value in
        .with {
          $0.tag = tag
          $0.simpleValue = Float(value)
        }
      }
    }
  }

  /// One distribution.
  func histogram(_ tag: String, _ histogram: Histogram, step: Int) {
    let message = TensorBoardHistogramProto.with {
      $0.min = histogram.minimum
      $0.max = histogram.maximum
      $0.num = Double(histogram.count)
      $0.sum = histogram.sum
      $0.sumSquares = histogram.sumOfSquares
      $0.bucketLimit = histogram.limits
      $0.bucket = histogram.counts.map(Double.init)
    }
    write(step: step) {
      $0.summary.value = [
        .with {
          $0.tag = tag
          $0.histo = message
        }
      ]
    }
  }

  /// One picture; `description` (Markdown) stands beside it.
  func image(_ tag: String, _ picture: Montage, description: String, step: Int) {
    let message = TensorBoardSummary.Image.with {
      $0.height = Int32(picture.height)
      $0.width = Int32(picture.width)
      $0.colorspace = 3
      $0.encodedImageString = Data(picture.png())
    }
    write(step: step) {
      $0.summary.value = [
        .with {
          $0.tag = tag
          $0.metadata.summaryDescription = description
          $0.image = message
        }
      ]
    }
  }

  /// Brings everything to the file.
  func flush() { file.flush() }

  private func write(step: Int, _ fill: (inout TensorBoardEvent) -> Void) {
    var event = TensorBoardEvent()
    event.wallTime = clock()
    event.step = Int64(step)
    fill(&event)
    file.append(Self.bytes(of: event))
    if file.waitingBytes > Self.flushBytes { file.flush() }
  }

  private static func bytes(of event: TensorBoardEvent) -> [UInt8] {
    do { return try event.serializedBytes() } catch {
      // proto3 without required fields, far below 2 GiB.
      preconditionFailure("TensorBoardWriter: an event cannot be encoded: \(error)")
    }
  }
}
