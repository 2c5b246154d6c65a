import Datasets

/// An image beside a heat map of the evidence for what the network says of it.
public enum EvidencePicture {
  /// - Parameter image: the network's window, [side, side].
  public static func draw(_ image: RGBImage, _ result: Explainer.Result, _ layer: MeasuredLayer) -> RGBImage {
    var heat = image
    heat.overlay(
      HeatMap(evidence: result.cells, height: layer.height, width: layer.width, side: image.width).values,
      strength: 0.55)
    return RGBImage.row([image, heat], gap: 4)
  }
}
