// An Arrow IPC stream read in place: columns are views of its bytes.
//
//   Reader reader = TRY(Reader::open(ipc));
//   while (auto batch = TRY(reader.next()))
//     for (std::int64_t row = 0; row < batch->rows; ++row) use(batch->columns[0].text(row));
//
// The bytes may come from anywhere and may be misaligned: every size and offset is checked before a column is handed
// out, so that none of the functions of Column can read outside them. Damage is kCorrupt; what the format has and
// Larder does not read (compression, dictionaries, views) is kUnsupported.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/type.h"

namespace larder::arrow {

// Part of a batch: the values of one column, or of one child of a nested column.
struct Column {
  const Field* field = nullptr;
  std::int64_t length = 0;
  const char* validity = nullptr;  // a bit a value; nullptr: none is null
  const char* offsets = nullptr;   // of text, binary, lists and maps; a union's type ids
  const char* values = nullptr;
  std::vector<Column> children;

  // For 0 <= i < length, as all below.
  bool is_null(std::int64_t i) const {
    if (field->kind == Kind::kNull) return true;
    return validity != nullptr && !bit(validity, i);
  }
  // A value whose size is sizeof(T); only for kinds of one size.
  template <typename T>
  T get(std::int64_t i) const {
    return load<T>(values, i);
  }
  bool boolean(std::int64_t i) const { return bit(values, i); }
  // Text and binary of any kind.
  std::string_view text(std::int64_t i) const {
    if (field->kind == Kind::kFixedBinary) return {values + i * field->width, static_cast<std::size_t>(field->width)};
    auto [begin, end] = range(i);
    return {values + begin, static_cast<std::size_t>(end - begin)};
  }
  // Of the child's values (or the bytes of text), first and one behind the last.
  std::pair<std::int64_t, std::int64_t> range(std::int64_t i) const {
    if (field->kind == Kind::kFixedList) return {i * field->width, (i + 1) * field->width};
    if (field->is_large) return {load<std::int64_t>(offsets, i), load<std::int64_t>(offsets, i + 1)};
    return {load<std::int32_t>(offsets, i), load<std::int32_t>(offsets, i + 1)};
  }
  // Which child of a union holds the value.
  std::size_t member(std::int64_t i) const {
    for (std::size_t child = 0; child < field->type_ids.size(); ++child)
      if (field->type_ids[child] == static_cast<std::int8_t>(offsets[i])) return child;
    return 0;
  }

 private:
  static bool bit(const char* bits, std::int64_t i) {
    return ((static_cast<unsigned char>(bits[i >> 3]) >> (i & 7)) & 1) != 0;
  }
  template <typename T>
  static T load(const char* from, std::int64_t i) {
    T value;
    std::memcpy(&value, from + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
    return value;
  }
};

struct Batch {
  std::int64_t rows = 0;
  std::vector<Column> columns;
};

class Reader {
 public:
  // Reads the schema. The bytes must outlive the reader and its batches.
  static Result<Reader> open(std::string_view ipc_stream);

  const std::vector<Field>& fields() const { return *fields_; }
  // nullopt: the end. The batch points into this reader's fields.
  Result<std::optional<Batch>> next();

 private:
  Reader() = default;

  std::string_view rest_;
  std::unique_ptr<std::vector<Field>> fields_;  // on the heap: columns point to them, and a Reader may move
};

}  // namespace larder::arrow
