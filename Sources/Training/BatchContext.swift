import Datasets
import Networks

extension StepContext {
  /// Takes over what the layers must know of a batch.
  ///
  /// - Parameter share: of the batch in its optimiser step; 1 without gradient accumulation.
  func begin(_ batch: Batch, _ mode: Mode, share: Double = 1) {
    self.mode = mode
    gradientShare = share
    globalBatchSize = batch.globalBatchSize
    shareOffset = batch.shareOffset
    sampleKeys = batch.sampleKeys
    categories = batch.categories
    signs = batch.signs
  }
}
