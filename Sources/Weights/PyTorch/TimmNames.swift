/// VGG networks of timm (PyTorch Image Models), whose classifier is a head of convolutions over the whole map: the same
/// weights under other names, [out, in, kh, kw] where torchvision has [out, in·kh·kw].
enum TimmNames {
  private static let torchvision = [
    "pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3", "head.fc": "classifier.6",
  ]

  /// The tensors under torchvision's names; those of any other network as they are.
  static func translated(_ tensors: [StoredTensor]) -> [StoredTensor] {
    guard tensors.contains(where: { $0.name == "pre_logits.fc1.weight" && $0.shape.count == 4 }) else {
      return tensors
    }
    return tensors.map { tensor in
      for (theirs, ours) in torchvision where tensor.name.hasPrefix(theirs + ".") {
        var result = tensor.shape.count == 4 ? tensor.flattened() ?? tensor : tensor
        result.name = ours + tensor.name.dropFirst(theirs.count)
        return result
      }
      return tensor
    }
  }
}
