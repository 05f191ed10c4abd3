// One pass over each column appends its buffers to the body, cut to the slice and rebased, and notes their places; then
// the message that describes them is built and written before the body. The body is copied once more by that, which
// lost against building the message twice: a batch has 2,048 rows and its body is in the processor's cache.
#include "arrow/writer.h"

#include <flatbuffers/flatbuffers.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "arrow/ipc_format.h"
#include "arrow/type.h"
#include "base/check.h"
#include "base/try.h"

namespace larder::arrow {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using AnyTable = Offset<void>;

AnyTable table_end(FlatBufferBuilder& b, flatbuffers::uoffset_t start) { return AnyTable(b.EndTable(start)); }

struct TypeTable {
  ipc::TypeKind kind;
  AnyTable table;
};

// Every default is written out (ForceDefaults), so a reader need not know any.
TypeTable type_table(FlatBufferBuilder& b, const Field& field) {
  using namespace ipc;
  auto empty = [&](TypeKind kind) { return TypeTable{kind, table_end(b, b.StartTable())}; };
  const auto unit = static_cast<std::int16_t>(field.unit);
  switch (field.kind) {
    case Kind::kNull:
      return empty(ipc::kNull);
    case Kind::kBool:
      return empty(ipc::kBool);
    case Kind::kUtf8:
      return empty(field.is_large ? kLargeUtf8 : ipc::kUtf8);
    case Kind::kBinary:
      return empty(field.is_large ? kLargeBinary : ipc::kBinary);
    case Kind::kList:
      return empty(field.is_large ? kLargeList : ipc::kList);
    case Kind::kStruct:
      return empty(ipc::kStruct);
    case Kind::kInt: {
      auto start = b.StartTable();
      b.AddElement<std::int32_t>(type::kIntBits, field.bits, 0);
      b.AddElement<std::uint8_t>(type::kIntSigned, field.is_signed ? 1 : 0, 0);
      return {ipc::kInt, table_end(b, start)};
    }
    case Kind::kFloat: {
      auto start = b.StartTable();
      b.AddElement<std::int16_t>(type::kFloatPrecision, field.bits == 32 ? 1 : 2, 0);
      return {kFloatingPoint, table_end(b, start)};
    }
    case Kind::kDecimal: {
      auto start = b.StartTable();
      b.AddElement<std::int32_t>(type::kDecimalPrecision, field.precision, 0);
      b.AddElement<std::int32_t>(type::kDecimalScale, field.scale, 0);
      b.AddElement<std::int32_t>(type::kDecimalBits, 128, 128);
      return {ipc::kDecimal, table_end(b, start)};
    }
    case Kind::kDate: {
      auto start = b.StartTable();
      b.AddElement<std::int16_t>(type::kDateUnit, 0, 1);
      return {ipc::kDate, table_end(b, start)};
    }
    case Kind::kTime: {
      auto start = b.StartTable();
      b.AddElement<std::int16_t>(type::kTimeUnit, unit, 1);
      b.AddElement<std::int32_t>(type::kTimeBits, field.bits, 32);
      return {ipc::kTime, table_end(b, start)};
    }
    case Kind::kTimestamp: {
      Offset<flatbuffers::String> zone;
      if (!field.timezone.empty()) zone = b.CreateString(field.timezone);
      auto start = b.StartTable();
      b.AddElement<std::int16_t>(type::kTimestampUnit, unit, 0);
      b.AddOffset(type::kTimestampZone, zone);
      return {ipc::kTimestamp, table_end(b, start)};
    }
    case Kind::kInterval: {
      auto start = b.StartTable();
      b.AddElement<std::int16_t>(type::kIntervalUnit, 2, 0);
      return {ipc::kInterval, table_end(b, start)};
    }
    case Kind::kFixedBinary: {
      auto start = b.StartTable();
      b.AddElement<std::int32_t>(type::kBinaryWidth, field.width, 0);
      return {kFixedSizeBinary, table_end(b, start)};
    }
    case Kind::kFixedList: {
      auto start = b.StartTable();
      b.AddElement<std::int32_t>(type::kListSize, field.width, 0);
      return {kFixedSizeList, table_end(b, start)};
    }
    case Kind::kMap: {
      auto start = b.StartTable();
      b.AddElement<std::uint8_t>(type::kMapSorted, field.keys_sorted ? 1 : 0, 0);
      return {ipc::kMap, table_end(b, start)};
    }
    case Kind::kSparseUnion: {
      std::vector<std::int32_t> ids(field.type_ids.begin(), field.type_ids.end());
      auto vector = b.CreateVector(ids);
      auto start = b.StartTable();
      b.AddElement<std::int16_t>(type::kUnionMode, 0, 0);
      b.AddOffset(type::kUnionIds, vector);
      return {kUnion, table_end(b, start)};
    }
  }
  LARDER_CHECK(false);
}

AnyTable field_table(FlatBufferBuilder& b, const Field& field) {
  std::vector<AnyTable> children;
  for (const Field& child : field.children) children.push_back(field_table(b, child));
  auto child_vector = b.CreateVector(children);
  std::vector<AnyTable> pairs;
  for (const auto& [key, value] : field.metadata) {
    auto key_text = b.CreateString(key);
    auto value_text = b.CreateString(value);
    auto start = b.StartTable();
    b.AddOffset(ipc::key_value::kKey, key_text);
    b.AddOffset(ipc::key_value::kValue, value_text);
    pairs.push_back(table_end(b, start));
  }
  Offset<flatbuffers::Vector<AnyTable>> pair_vector;
  if (!pairs.empty()) pair_vector = b.CreateVector(pairs);
  auto name = b.CreateString(field.name);
  TypeTable type = type_table(b, field);
  auto start = b.StartTable();
  b.AddOffset(ipc::field::kName, name);
  b.AddElement<std::uint8_t>(ipc::field::kNullable, field.nullable ? 1 : 0, 0);
  b.AddElement<std::uint8_t>(ipc::field::kTypeType, type.kind, 0);
  b.AddOffset(ipc::field::kType, type.table);
  b.AddOffset(ipc::field::kChildren, child_vector);
  b.AddOffset(ipc::field::kMetadata, pair_vector);
  return table_end(b, start);
}

void finish_message(FlatBufferBuilder& b, ipc::HeaderKind kind, AnyTable header, std::int64_t body_length) {
  auto start = b.StartTable();
  b.AddElement<std::int64_t>(ipc::message::kBodyLength, body_length, 0);
  b.AddOffset(ipc::message::kHeader, header);
  b.AddElement<std::int16_t>(ipc::message::kVersion, ipc::kMetadataV5, 0);
  b.AddElement<std::uint8_t>(ipc::message::kHeaderType, kind, 0);
  b.Finish(table_end(b, start));
}

template <typename T>
T load(const void* buffer, std::int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(buffer) + index * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

bool bit(const void* bits, std::int64_t index) {
  return ((static_cast<const std::uint8_t*>(bits)[index >> 3] >> (index & 7)) & 1) != 0;
}

template <typename T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

}  // namespace

class StreamWriter::Impl {
 public:
  Impl(std::string& out, std::uint64_t bytes_max) : out_(out), start_(out.size()), bytes_max_(bytes_max) {
    builder_.ForceDefaults(true);
  }

  Status begin(const ArrowSchema& schema) {
    fields_ = TRY(fields_of(schema));
    builder_.Clear();
    std::vector<AnyTable> tables;
    for (const Field& field : fields_) tables.push_back(field_table(builder_, field));
    auto vector = builder_.CreateVector(tables);
    auto start = builder_.StartTable();
    builder_.AddElement<std::int16_t>(ipc::schema::kEndianness, 0, 0);  // little
    builder_.AddOffset(ipc::schema::kFields, vector);
    finish_message(builder_, ipc::kSchema, table_end(builder_, start), 0);
    return write_message();
  }

  Status write(const ArrowArray& batch) {
    LARDER_CHECK(batch.n_children == static_cast<std::int64_t>(fields_.size()));
    body_.clear();
    nodes_.clear();
    buffers_.clear();
    for (std::size_t i = 0; i < fields_.size(); ++i)
      TRY(add(fields_[i], *batch.children[i], batch.offset, batch.length));
    builder_.Clear();
    auto buffers = builder_.CreateVectorOfStructs(buffers_.data(), buffers_.size());
    auto nodes = builder_.CreateVectorOfStructs(nodes_.data(), nodes_.size());
    auto start = builder_.StartTable();
    builder_.AddElement<std::int64_t>(ipc::record_batch::kLength, batch.length, 0);
    builder_.AddOffset(ipc::record_batch::kNodes, nodes);
    builder_.AddOffset(ipc::record_batch::kBuffers, buffers);
    finish_message(builder_, ipc::kRecordBatch, table_end(builder_, start), static_cast<std::int64_t>(body_.size()));
    TRY(write_message());
    rows_ += static_cast<std::uint64_t>(batch.length);
    return {};
  }

  Status end() {
    TRY(room_for(8));
    put(out_, ipc::kContinuation);
    put(out_, std::uint32_t{0});
    return {};
  }

  std::uint64_t rows() const { return rows_; }

 private:
  Status room_for(std::size_t bytes) {
    if (bytes_max_ != 0 && out_.size() - start_ + bytes > bytes_max_)
      return Error{Code::kTooLarge, "the answer is larger than " + std::to_string(bytes_max_) + " bytes"};
    return {};
  }

  // Continuation, size, description padded so that the body starts at a multiple of kAlign, body.
  Status write_message() {
    const std::size_t described = builder_.GetSize();
    const std::size_t before_body = out_.size() - start_ + 8 + described;
    const std::size_t padding = (ipc::kAlign - before_body % ipc::kAlign) % ipc::kAlign;
    TRY(room_for(8 + described + padding + body_.size()));
    put(out_, ipc::kContinuation);
    put(out_, static_cast<std::uint32_t>(described + padding));
    out_.append(reinterpret_cast<const char*>(builder_.GetBufferPointer()), described);
    out_.append(padding, '\0');
    out_.append(body_);
    body_.clear();
    return {};
  }

  // Notes as a buffer all that was appended to the body since `from`.
  void close_buffer(std::size_t from) {
    buffers_.push_back({static_cast<std::int64_t>(from), static_cast<std::int64_t>(body_.size() - from)});
    body_.append((ipc::kAlign - body_.size() % ipc::kAlign) % ipc::kAlign, '\0');
  }

  // `count` bits from the bit `first`; returns how many are zero.
  std::int64_t append_bits(const void* bits, std::int64_t first, std::int64_t count) {
    const std::size_t from = body_.size();
    body_.append(static_cast<std::size_t>((count + 7) / 8), '\0');
    std::int64_t zeros = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      if (bit(bits, first + i))
        body_[from + static_cast<std::size_t>(i >> 3)] |= static_cast<char>(1 << (i & 7));
      else
        ++zeros;
    }
    return zeros;
  }

  void add_validity(const void* bits, std::int64_t first, std::int64_t count, std::int64_t known_nulls) {
    const std::size_t from = body_.size();
    std::int64_t nulls = 0;
    if (bits != nullptr && known_nulls != 0) nulls = append_bits(bits, first, count);
    if (nulls == 0) body_.resize(from);  // no bits: nothing is null
    nodes_.push_back({count, nulls});
    close_buffer(from);
  }

  // Offsets from the slice's first, then the range of the child that they cover.
  template <typename T>
  std::pair<std::int64_t, std::int64_t> add_offsets(const void* offsets, std::int64_t first, std::int64_t count) {
    const std::size_t from = body_.size();
    const T base = count == 0 ? T{0} : load<T>(offsets, first);
    for (std::int64_t i = 0; i <= count; ++i)
      put(body_, count == 0 ? T{0} : static_cast<T>(load<T>(offsets, first + i) - base));
    close_buffer(from);
    const T last = count == 0 ? T{0} : load<T>(offsets, first + count);
    return {static_cast<std::int64_t>(base), static_cast<std::int64_t>(last - base)};
  }

  std::pair<std::int64_t, std::int64_t> add_offsets(bool is_large, const void* offsets, std::int64_t first,
                                                    std::int64_t count) {
    return is_large ? add_offsets<std::int64_t>(offsets, first, count)
                    : add_offsets<std::int32_t>(offsets, first, count);
  }

  void add_bytes(const void* data, std::int64_t first, std::int64_t size) {
    const std::size_t from = body_.size();
    if (size != 0) body_.append(static_cast<const char*>(data) + first, static_cast<std::size_t>(size));
    close_buffer(from);
  }

  static std::int64_t index_at(const Field& field, const void* indices, std::int64_t i) {
    switch (field.index_bits) {
      case 8:
        return load<std::uint8_t>(indices, i);
      case 16:
        return load<std::uint16_t>(indices, i);
      case 32:
        return load<std::uint32_t>(indices, i);
      default:
        return load<std::int64_t>(indices, i);
    }
  }

  // Each index by the text it stands for. A null in the dictionary is a null here.
  Status add_dictionary(const Field& field, const ArrowArray& array, std::int64_t first, std::int64_t count) {
    const ArrowArray& values = *array.dictionary;
    const void* valid = values.null_count == 0 ? nullptr : values.buffers[0];
    auto offset = [&](std::int64_t i) {
      return field.is_large ? load<std::int64_t>(values.buffers[1], i) : load<std::int32_t>(values.buffers[1], i);
    };
    std::vector<std::string_view> texts(static_cast<std::size_t>(count));
    std::string bits(static_cast<std::size_t>((count + 7) / 8), '\0');
    std::int64_t bytes = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      if (array.buffers[0] != nullptr && array.null_count != 0 && !bit(array.buffers[0], first + i)) continue;
      const std::int64_t index = index_at(field, array.buffers[1], first + i);
      if (index < 0 || index >= values.length)
        return Error{Code::kInternal, "column '" + field.name + "' points outside its dictionary"};
      if (valid != nullptr && !bit(valid, values.offset + index)) continue;
      const std::int64_t start = offset(values.offset + index);
      texts[static_cast<std::size_t>(i)] = {static_cast<const char*>(values.buffers[2]) + start,
                                            static_cast<std::size_t>(offset(values.offset + index + 1) - start)};
      bytes += static_cast<std::int64_t>(texts[static_cast<std::size_t>(i)].size());
      bits[static_cast<std::size_t>(i >> 3)] |= static_cast<char>(1 << (i & 7));
    }
    if (!field.is_large && bytes > INT32_MAX)
      return Error{Code::kTooLarge, "column '" + field.name + "' has more than 2 GiB of text in one batch"};
    add_validity(bits.data(), 0, count, -1);
    const std::size_t from = body_.size();
    std::int64_t position = 0;
    for (std::int64_t i = 0; i <= count; ++i) {
      field.is_large ? put(body_, position) : put(body_, static_cast<std::int32_t>(position));
      if (i < count) position += static_cast<std::int64_t>(texts[static_cast<std::size_t>(i)].size());
    }
    close_buffer(from);
    const std::size_t text_from = body_.size();
    for (std::string_view text : texts) body_.append(text);
    close_buffer(text_from);
    return {};
  }

  // Appends `count` values of `array`, from `start` in its own slice on.
  Status add(const Field& field, const ArrowArray& array, std::int64_t start, std::int64_t count) {
    const std::int64_t first = array.offset + start;
    LARDER_CHECK(start + count <= array.length || field.kind == Kind::kNull);
    if (field.index_bits != 0) return add_dictionary(field, array, first, count);
    if (field.kind == Kind::kNull) {
      nodes_.push_back({count, count});
      return {};
    }
    LARDER_CHECK(array.n_children == static_cast<std::int64_t>(field.children.size()));
    if (field.kind == Kind::kSparseUnion) {
      nodes_.push_back({count, 0});
      // The first buffers of the interface's older form are validity bits, which a union no longer has.
      add_bytes(array.buffers[array.n_buffers - 1], first, count);
      for (std::size_t i = 0; i < field.children.size(); ++i)
        TRY(add(field.children[i], *array.children[i], first, count));
      return {};
    }
    add_validity(array.buffers[0], first, count, array.null_count);
    switch (field.kind) {
      case Kind::kBool: {
        const std::size_t from = body_.size();
        append_bits(array.buffers[1], first, count);
        close_buffer(from);
        return {};
      }
      case Kind::kUtf8:
      case Kind::kBinary: {
        auto [begin, size] = add_offsets(field.is_large, array.buffers[1], first, count);
        add_bytes(array.buffers[2], begin, size);
        return {};
      }
      case Kind::kList:
      case Kind::kMap: {
        auto [begin, size] = add_offsets(field.is_large, array.buffers[1], first, count);
        return add(field.children[0], *array.children[0], begin, size);
      }
      case Kind::kFixedList:
        return add(field.children[0], *array.children[0], first * field.width, count * field.width);
      case Kind::kStruct:
        for (std::size_t i = 0; i < field.children.size(); ++i)
          TRY(add(field.children[i], *array.children[i], first, count));
        return {};
      default: {
        const std::int64_t width = value_bytes(field);
        add_bytes(array.buffers[1], first * width, count * width);
        return {};
      }
    }
  }

  std::string& out_;
  const std::size_t start_;
  const std::uint64_t bytes_max_;
  std::uint64_t rows_ = 0;
  std::vector<Field> fields_;
  // Of the message under way.
  FlatBufferBuilder builder_;
  std::string body_;
  std::vector<ipc::FieldNode> nodes_;
  std::vector<ipc::Buffer> buffers_;
};

StreamWriter::StreamWriter(std::string& out, std::uint64_t bytes_max) : impl_(std::make_unique<Impl>(out, bytes_max)) {}
StreamWriter::~StreamWriter() = default;
Status StreamWriter::begin(const ArrowSchema& schema) { return impl_->begin(schema); }
Status StreamWriter::write(const ArrowArray& batch) { return impl_->write(batch); }
Status StreamWriter::end() { return impl_->end(); }
std::uint64_t StreamWriter::rows() const { return impl_->rows(); }

}  // namespace larder::arrow
