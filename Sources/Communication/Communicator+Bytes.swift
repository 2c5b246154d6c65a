extension Communicator {
  /// The bytes of rank `root`, however many, on every rank; what the others hand in is not looked at.
  ///
  /// They travel in blocks, each of which counts as progress where a network is slow.
  public func broadcast(_ bytes: [UInt8], root: Int) throws(CommunicationError) -> [UInt8] {
    if size == 1 { return bytes }
    let blockBytes = 16 << 20
    var length = [UInt64(bytes.count)]
    try length.withUnsafeMutableBufferPointer { length throws(CommunicationError) in
      try broadcast(UnsafeMutableRawBufferPointer(length), root: root)
    }
    var result = rank == root ? bytes : [UInt8](repeating: 0, count: Int(length[0]))
    try result.withUnsafeMutableBufferPointer { result throws(CommunicationError) in
      for start in stride(from: 0, to: result.count, by: blockBytes) {
        let block = result[start..<min(start + blockBytes, result.count)]
        try broadcast(
          UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: block)), root: root)
      }
    }
    return result
  }
}
