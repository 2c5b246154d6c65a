#pragma once
#include <stdint.h>
#include <sys/types.h>

// Reads a variable of a MATLAB file in a child process, so that a damaged file can do no harm: libmatio and HDF5 crash, loop and
// claim memory on such files (docs/adr/0014-matlab-files.md).
//
// The child writes a stream to a pipe. Integers are native; text lengths are uint32 unless said otherwise.
//
//   stream    node 'E'                         the variable
//             'N' count:uint32 text...         no variable of that name; the names that there are
//             'X' text                         failure, in libmatio's words
//   node      tag rank:uint8 extent:uint64 × rank payload
//   payload   'D' doubles, 'F' floats, 'B' bytes, 'L' bytes 0 or 1    as many as the product of the extents, column-major
//             'T' unit:uint8 count:uint64 code units                  unit 1: UTF-8, 2: UTF-16, 4: UTF-32
//             'S' count:uint32 field names, then for each element a node for each field
//             'C' a node for each element
//             'U' text                                                something that is not read, named
//   text      length:uint32 bytes
//
// A stream that ends without 'E', 'N' or 'X' is that of a child that crashed or met one of its limits.

enum {
  CMAT_MAXIMUM_DEPTH = 32,
  CMAT_MAXIMUM_NODES = 1 << 24,
};

/// Starts the child. Returns its process id and the pipe's reading end in `descriptor`; -1 with `errno` if there is none.
/// The child may use `memory_bytes` more address space than its parent has, and `cpu_seconds` of processor time.
pid_t cmat_start(const char *path, const char *variable, uint64_t memory_bytes, uint32_t cpu_seconds,
                 int *descriptor);
