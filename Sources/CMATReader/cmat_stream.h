#pragma once

/// Reads a variable with libmatio and writes the stream that cmat_reader.h describes. Runs in the child, ends it on failure.
void cmat_write_variable(int descriptor, const char *path, const char *variable);
