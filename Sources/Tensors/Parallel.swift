import CKernels

/// Runs `body(i)` for every i in 0..<count on the process's thread pool and returns when all are done.
///
/// Which thread runs which i is not fixed, so `body` may write only what belongs to its i; then results do not
/// depend on the number of threads. Inside another such loop it runs on the calling thread.
public func parallel(_ count: Int, _ body: (Int) -> Void) {
  withoutActuallyEscaping(body) { escapable in
    // In a structure: a bare function would be converted on its way through the pointer, which allocates.
    var context = LoopBody(run: escapable)
    withUnsafeMutablePointer(to: &context) { pointer in
      ck_parallel(
        Int64(count),
        { context, i in context!.assumingMemoryBound(to: LoopBody.self).pointee.run(Int(i)) },
        pointer)
    }
  }
}

private struct LoopBody {
  let run: (Int) -> Void
}
