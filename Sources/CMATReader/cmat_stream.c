#include "cmat_stream.h"

#include <errno.h>
#include <matio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmat_reader.h"

// The child is one thread, reads one variable and ends: plain globals.
static int stream;
static unsigned char buffer[1 << 16];
static size_t buffered;
static uint64_t nodes;
static char first_message[512];

static void flush_stream(void) {
  size_t done = 0;
  while (done < buffered) {
    ssize_t count = write(stream, buffer + done, buffered - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) _exit(1);  // the parent has heard enough
    done += (size_t)count;
  }
  buffered = 0;
}

static void put(const void *bytes, size_t count) {
  const unsigned char *from = bytes;
  while (count > 0) {
    size_t room = sizeof buffer - buffered;
    size_t part = count < room ? count : room;
    memcpy(buffer + buffered, from, part);
    buffered += part;
    from += part;
    count -= part;
    if (buffered == sizeof buffer) flush_stream();
  }
}

static void put_tag(char tag) { put(&tag, 1); }
static void put_u32(uint32_t value) { put(&value, sizeof value); }
static void put_u64(uint64_t value) { put(&value, sizeof value); }

static void put_text(const char *text) {
  size_t length = strnlen(text, 4096);
  put_u32((uint32_t)length);
  put(text, length);
}

// The stream may be in the middle of a node: the reader sees 'X' where a tag is expected, because a node is written whole or
// not begun.
static void fail(const char *reason) {
  put_tag('X');
  put_text(first_message[0] != 0 ? first_message : reason);
  flush_stream();
  _exit(0);
}

static void note(int level, char *message) {
  // Debug output is off; everything else that libmatio says about a file is a doubt about its content.
  if (level > MATIO_LOG_LEVEL_WARNING || first_message[0] != 0 || message == NULL) return;
  snprintf(first_message, sizeof first_message, "%s", message);
}

static uint64_t element_count(const matvar_t *variable) {
  uint64_t count = 1;
  if (variable->rank < 1 || variable->rank > 32 || variable->dims == NULL) fail("an array without extents");
  for (int i = 0; i < variable->rank; ++i)
    if (__builtin_mul_overflow(count, (uint64_t)variable->dims[i], &count)) fail("extents too large to multiply");
  return count;
}

static void put_head(char tag, const matvar_t *variable) {
  put_tag(tag);
  uint8_t rank = (uint8_t)variable->rank;
  put(&rank, 1);
  for (int i = 0; i < variable->rank; ++i) put_u64(variable->dims[i]);
}

static void put_unsupported(const char *what) {
  put_tag('U');
  uint8_t rank = 0;
  put(&rank, 1);
  put_text(what);
}

static void put_empty(void) {
  put_tag('D');
  uint8_t rank = 2;
  put(&rank, 1);
  put_u64(0);
  put_u64(0);
}

// Bytes that the variable holds are compared with what its extents promise before they are touched.
static void require_data(const matvar_t *variable, uint64_t count, size_t element_bytes) {
  uint64_t bytes;
  if (__builtin_mul_overflow(count, (uint64_t)element_bytes, &bytes) ||
      (bytes > 0 && (variable->data == NULL || variable->nbytes < bytes)))
    fail("an array holds fewer values than its extents say");
}

#define PUT_CONVERTED(TYPE)                                          \
  do {                                                               \
    require_data(variable, count, sizeof(TYPE));                     \
    put_head('D', variable);                                         \
    const TYPE *values = variable->data;                             \
    for (uint64_t i = 0; i < count; ++i) {                           \
      double value = (double)values[i];                              \
      put(&value, sizeof value);                                     \
    }                                                                \
    return;                                                          \
  } while (0)

// libmatio converts what is stored to the class of the array.
static void put_numbers(const matvar_t *variable, uint64_t count) {
  if (variable->isComplex && count > 0) {
    put_unsupported("complex numbers");
    return;
  }
  if (variable->isLogical && variable->class_type == MAT_C_UINT8) {
    require_data(variable, count, 1);
    put_head('L', variable);
    put(variable->data, count);
    return;
  }
  switch (variable->class_type) {
    case MAT_C_DOUBLE:
      require_data(variable, count, sizeof(double));
      put_head('D', variable);
      put(variable->data, count * sizeof(double));
      return;
    case MAT_C_SINGLE:
      require_data(variable, count, sizeof(float));
      put_head('F', variable);
      put(variable->data, count * sizeof(float));
      return;
    case MAT_C_UINT8:
      require_data(variable, count, 1);
      put_head('B', variable);
      put(variable->data, count);
      return;
    case MAT_C_INT8: PUT_CONVERTED(int8_t);
    case MAT_C_INT16: PUT_CONVERTED(int16_t);
    case MAT_C_UINT16: PUT_CONVERTED(uint16_t);
    case MAT_C_INT32: PUT_CONVERTED(int32_t);
    case MAT_C_UINT32: PUT_CONVERTED(uint32_t);
    case MAT_C_INT64: PUT_CONVERTED(int64_t);
    case MAT_C_UINT64: PUT_CONVERTED(uint64_t);
    default: put_unsupported("a class of array that is not numeric");
  }
}

static void put_characters(const matvar_t *variable, uint64_t count) {
  uint8_t unit;
  switch (variable->data_type) {
    case MAT_T_INT8:
    case MAT_T_UINT8:
    case MAT_T_UTF8: unit = 1; break;
    case MAT_T_INT16:
    case MAT_T_UINT16:
    case MAT_T_UTF16: unit = 2; break;
    case MAT_T_INT32:
    case MAT_T_UINT32:
    case MAT_T_UTF32: unit = 4; break;
    default: put_unsupported("text in an unknown encoding"); return;
  }
  // Several bytes of UTF-8 make one character: the bytes count, not the extents.
  uint64_t units = variable->data_type == MAT_T_UTF8 && variable->data != NULL ? variable->nbytes : count;
  require_data(variable, units, unit);
  put_head('T', variable);
  put(&unit, 1);
  put_u64(units);
  put(variable->data, units * unit);
}

static void put_node(matvar_t *variable, int depth) {
  if (depth > CMAT_MAXIMUM_DEPTH) fail("nested too deeply");
  if (++nodes > CMAT_MAXIMUM_NODES) fail("too many parts");
  if (variable == NULL || variable->class_type == MAT_C_EMPTY) {
    put_empty();
    return;
  }
  uint64_t count = element_count(variable);
  switch (variable->class_type) {
    case MAT_C_STRUCT: {
      unsigned fields = count == 0 && variable->internal == NULL ? 0 : Mat_VarGetNumberOfFields(variable);
      char *const *names = fields == 0 ? NULL : Mat_VarGetStructFieldnames(variable);
      if (fields > 0 && names == NULL) fail("a struct without names of its fields");
      uint64_t parts;
      if (fields > 4096 || __builtin_mul_overflow(count, (uint64_t)fields, &parts) || parts > CMAT_MAXIMUM_NODES)
        fail("too many fields");
      require_data(variable, parts, sizeof(matvar_t *));
      put_head('S', variable);
      put_u32(fields);
      for (unsigned field = 0; field < fields; ++field) put_text(names[field] == NULL ? "" : names[field]);
      matvar_t **elements = variable->data;
      for (uint64_t i = 0; i < parts; ++i) put_node(elements[i], depth + 1);
      return;
    }
    case MAT_C_CELL: {
      if (count > CMAT_MAXIMUM_NODES) fail("too many cells");
      require_data(variable, count, sizeof(matvar_t *));
      put_head('C', variable);
      matvar_t **elements = variable->data;
      for (uint64_t i = 0; i < count; ++i) put_node(elements[i], depth + 1);
      return;
    }
    case MAT_C_CHAR: put_characters(variable, count); return;
    case MAT_C_SPARSE: put_unsupported("a sparse matrix"); return;
    case MAT_C_FUNCTION: put_unsupported("a function"); return;
    case MAT_C_OBJECT:
    case MAT_C_OPAQUE: put_unsupported("an object"); return;
    default: put_numbers(variable, count);
  }
}

static void put_names(mat_t *file) {
  size_t count = 0;
  char **names = Mat_GetDir(file, &count);
  if (names == NULL) fail("the variables cannot be listed");
  if (count > 64) count = 64;
  put_tag('N');
  put_u32((uint32_t)count);
  for (size_t i = 0; i < count; ++i) put_text(names[i] == NULL ? "" : names[i]);
  flush_stream();
}

void cmat_write_variable(int descriptor, const char *path, const char *name) {
  stream = descriptor;
  Mat_LogInitFunc("", note);
  mat_t *file = Mat_Open(path, MAT_ACC_RDONLY);
  if (file == NULL) fail("the file cannot be opened");
  matvar_t *variable = Mat_VarRead(file, name);
  if (variable == NULL) {
    if (first_message[0] != 0) fail("the variable cannot be read");
    put_names(file);
    return;
  }
  // Half of a variable may be there: whatever was complained about makes it unusable.
  if (first_message[0] != 0) fail("the variable cannot be read");
  put_node(variable, 0);
  put_tag('E');
  flush_stream();
}
