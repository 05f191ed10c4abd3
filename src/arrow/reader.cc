// A message's description is copied to aligned memory and put through FlatBuffers' verifier before anything in it is
// believed; then each column takes its nodes and buffers in the order of the format, and checks them against the body.
#include "arrow/reader.h"

#include <flatbuffers/flatbuffers.h>

#include <string>

#include "arrow/ipc_format.h"
#include "base/try.h"

namespace larder::arrow {
namespace {

using flatbuffers::uoffset_t;
using flatbuffers::Verifier;

Error corrupt(const std::string& what) { return Error{Code::kCorrupt, "damaged Arrow stream: " + what}; }

// The tables, each with the check that FlatBuffers' Verifier asks for.
struct AnyTable : private flatbuffers::Table {
  using Table::GetField;
  using Table::GetPointer;
  template <typename T>
  bool field(Verifier& v, flatbuffers::voffset_t slot) const {
    return VerifyField<T>(v, slot, sizeof(T));
  }
  bool offset(Verifier& v, flatbuffers::voffset_t slot) const { return VerifyOffset(v, slot); }
  bool start(Verifier& v) const { return VerifyTableStart(v); }
};

struct KeyValue : AnyTable {
  const flatbuffers::String* key() const { return GetPointer<const flatbuffers::String*>(ipc::key_value::kKey); }
  const flatbuffers::String* value() const { return GetPointer<const flatbuffers::String*>(ipc::key_value::kValue); }
  bool Verify(Verifier& v) const {
    return start(v) && offset(v, ipc::key_value::kKey) && v.VerifyString(key()) && offset(v, ipc::key_value::kValue) &&
           v.VerifyString(value()) && v.EndTable();
  }
};

// The table of one type; which fields it has, the kind says.
struct TypeTable : AnyTable {
  using Ids = flatbuffers::Vector<std::int32_t>;
  const flatbuffers::String* zone() const { return GetPointer<const flatbuffers::String*>(ipc::type::kTimestampZone); }
  const Ids* ids() const { return GetPointer<const Ids*>(ipc::type::kUnionIds); }

  bool verify(Verifier& v, std::uint8_t kind) const {
    using namespace ipc::type;
    if (!start(v)) return false;
    bool good = true;
    switch (kind) {
      case ipc::kInt:
        good = field<std::int32_t>(v, kIntBits) && field<std::uint8_t>(v, kIntSigned);
        break;
      case ipc::kFloatingPoint:
        good = field<std::int16_t>(v, kFloatPrecision);
        break;
      case ipc::kDecimal:
        good = field<std::int32_t>(v, kDecimalPrecision) && field<std::int32_t>(v, kDecimalScale) &&
               field<std::int32_t>(v, kDecimalBits);
        break;
      case ipc::kDate:
        good = field<std::int16_t>(v, kDateUnit);
        break;
      case ipc::kTime:
        good = field<std::int16_t>(v, kTimeUnit) && field<std::int32_t>(v, kTimeBits);
        break;
      case ipc::kTimestamp:
        good = field<std::int16_t>(v, kTimestampUnit) && offset(v, kTimestampZone) && v.VerifyString(zone());
        break;
      case ipc::kInterval:
        good = field<std::int16_t>(v, kIntervalUnit);
        break;
      case ipc::kUnion:
        good = field<std::int16_t>(v, kUnionMode) && offset(v, kUnionIds) && v.VerifyVector(ids());
        break;
      case ipc::kFixedSizeBinary:
        good = field<std::int32_t>(v, kBinaryWidth);
        break;
      case ipc::kFixedSizeList:
        good = field<std::int32_t>(v, kListSize);
        break;
      case ipc::kMap:
        good = field<std::uint8_t>(v, kMapSorted);
        break;
      default:
        break;  // no fields, or a kind that is refused later
    }
    return good && v.EndTable();
  }
};

struct FieldTable : AnyTable {
  using Children = flatbuffers::Vector<flatbuffers::Offset<FieldTable>>;
  using Pairs = flatbuffers::Vector<flatbuffers::Offset<KeyValue>>;
  const flatbuffers::String* name() const { return GetPointer<const flatbuffers::String*>(ipc::field::kName); }
  std::uint8_t type_kind() const { return GetField<std::uint8_t>(ipc::field::kTypeType, 0); }
  const TypeTable* type() const { return GetPointer<const TypeTable*>(ipc::field::kType); }
  const Children* children() const { return GetPointer<const Children*>(ipc::field::kChildren); }
  const Pairs* metadata() const { return GetPointer<const Pairs*>(ipc::field::kMetadata); }
  bool has_dictionary() const { return GetPointer<const void*>(ipc::field::kDictionary) != nullptr; }
  bool Verify(Verifier& v) const {
    return start(v) && offset(v, ipc::field::kName) && v.VerifyString(name()) &&
           field<std::uint8_t>(v, ipc::field::kNullable) && field<std::uint8_t>(v, ipc::field::kTypeType) &&
           offset(v, ipc::field::kType) && (type() == nullptr || type()->verify(v, type_kind())) &&
           offset(v, ipc::field::kDictionary) && offset(v, ipc::field::kChildren) && v.VerifyVector(children()) &&
           v.VerifyVectorOfTables(children()) && offset(v, ipc::field::kMetadata) && v.VerifyVector(metadata()) &&
           v.VerifyVectorOfTables(metadata()) && v.EndTable();
  }
};

struct SchemaTable : AnyTable {
  const FieldTable::Children* fields() const { return GetPointer<const FieldTable::Children*>(ipc::schema::kFields); }
  bool Verify(Verifier& v) const {
    return start(v) && field<std::int16_t>(v, ipc::schema::kEndianness) && offset(v, ipc::schema::kFields) &&
           v.VerifyVector(fields()) && v.VerifyVectorOfTables(fields()) && v.EndTable();
  }
};

struct BatchTable : AnyTable {
  using Nodes = flatbuffers::Vector<const ipc::FieldNode*>;
  using Buffers = flatbuffers::Vector<const ipc::Buffer*>;
  const Nodes* nodes() const { return GetPointer<const Nodes*>(ipc::record_batch::kNodes); }
  const Buffers* buffers() const { return GetPointer<const Buffers*>(ipc::record_batch::kBuffers); }
  bool is_compressed() const { return GetPointer<const void*>(ipc::record_batch::kCompression) != nullptr; }
  bool Verify(Verifier& v) const {
    return start(v) && field<std::int64_t>(v, ipc::record_batch::kLength) && offset(v, ipc::record_batch::kNodes) &&
           v.VerifyVector(nodes()) && offset(v, ipc::record_batch::kBuffers) && v.VerifyVector(buffers()) &&
           offset(v, ipc::record_batch::kCompression) && v.EndTable();
  }
};

struct MessageTable : AnyTable {
  std::uint8_t kind() const { return GetField<std::uint8_t>(ipc::message::kHeaderType, 0); }
  template <typename T>
  const T* header() const {
    return GetPointer<const T*>(ipc::message::kHeader);
  }
  bool Verify(Verifier& v) const {
    if (!(start(v) && field<std::int16_t>(v, ipc::message::kVersion) &&
          field<std::uint8_t>(v, ipc::message::kHeaderType) && field<std::int64_t>(v, ipc::message::kBodyLength) &&
          offset(v, ipc::message::kHeader)))
      return false;
    if (kind() == ipc::kSchema && !v.VerifyTable(header<SchemaTable>())) return false;
    if (kind() == ipc::kRecordBatch && !v.VerifyTable(header<BatchTable>())) return false;
    return v.EndTable();
  }
};

// The next message: its description, checked and in aligned memory, and its body.
struct Message {
  std::vector<std::uint64_t> memory;
  const MessageTable* table = nullptr;
  std::string_view body;
};

// nullopt: the end of the stream, by its mark or because nothing follows.
Result<std::optional<Message>> next_message(std::string_view& rest) {
  if (rest.empty()) return std::optional<Message>();
  auto word = [&rest]() -> std::optional<std::uint32_t> {
    if (rest.size() < 4) return std::nullopt;
    std::uint32_t value = 0;
    std::memcpy(&value, rest.data(), 4);
    rest.remove_prefix(4);
    return value;
  };
  auto size = word();
  if (size == ipc::kContinuation) size = word();  // streams before 0.15 have none
  if (!size) return corrupt("it ends inside a message's size");
  if (*size == 0) {
    rest = {};
    return std::optional<Message>();
  }
  if (*size > rest.size() || *size > (64u << 20)) return corrupt("a message is longer than what follows");
  Message message;
  message.memory.resize((*size + 7) / 8);
  std::memcpy(message.memory.data(), rest.data(), *size);
  rest.remove_prefix(*size);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(message.memory.data());
  Verifier verifier(bytes, *size, Verifier::Options());
  if (!verifier.VerifyBuffer<MessageTable>(nullptr)) return corrupt("a message's description does not hold together");
  message.table = flatbuffers::GetRoot<MessageTable>(bytes);
  if (message.table->GetField<std::int16_t>(ipc::message::kVersion, 0) < 3)
    return Error{Code::kUnsupported, "an Arrow stream older than metadata version 4"};
  const auto body = message.table->GetField<std::int64_t>(ipc::message::kBodyLength, 0);
  if (body < 0 || static_cast<std::uint64_t>(body) > rest.size()) return corrupt("a body is longer than what follows");
  message.body = rest.substr(0, static_cast<std::size_t>(body));
  rest.remove_prefix(static_cast<std::size_t>(body));
  return std::optional<Message>(std::move(message));
}

// Reads the schema's columns. Tables and texts of a description may be shared by many offsets, so that a few bytes
// could ask for any amount of copies: the texts copied may add up to `budget`, as in a schema that shares none.
class SchemaReader {
 public:
  explicit SchemaReader(std::size_t budget) : budget_(budget) {}
  Result<Field> read_field(const FieldTable& table, int depth);

 private:
  Status read_type(const FieldTable& table, Field& field);
  Result<std::string> text_of(const flatbuffers::String* text) {
    if (text == nullptr) return std::string();
    if (text->size() > budget_) return corrupt("its names are longer than it is");
    budget_ -= text->size();
    return text->str();
  }

  std::size_t budget_;
};

Status SchemaReader::read_type(const FieldTable& table, Field& field) {
  using namespace ipc::type;
  const TypeTable* type = table.type();
  auto unsupported = [&](const std::string& what) {
    return Error{Code::kUnsupported, "column '" + field.name + "' of an Arrow stream: " + what};
  };
  if (type == nullptr) return corrupt("a column without a type");
  auto small = [&](flatbuffers::voffset_t slot, std::int16_t otherwise) {
    return static_cast<int>(type->GetField<std::int16_t>(slot, otherwise));
  };
  auto whole = [&](flatbuffers::voffset_t slot, std::int32_t otherwise) {
    return type->GetField<std::int32_t>(slot, otherwise);
  };
  auto read_unit = [&](flatbuffers::voffset_t slot, std::int16_t otherwise) {
    const int unit = small(slot, otherwise);
    field.unit = static_cast<Unit>(unit & 3);
    return unit >= 0 && unit <= 3;
  };
  switch (table.type_kind()) {
    case ipc::kNull:
      field.kind = Kind::kNull;
      return {};
    case ipc::kBool:
      field.kind = Kind::kBool;
      return {};
    case ipc::kInt:
      field.kind = Kind::kInt;
      field.bits = whole(kIntBits, 0);
      field.is_signed = type->GetField<std::uint8_t>(kIntSigned, 0) != 0;
      if (field.bits != 8 && field.bits != 16 && field.bits != 32 && field.bits != 64)
        return corrupt("an integer of " + std::to_string(field.bits) + " bits");
      return {};
    case ipc::kFloatingPoint: {
      field.kind = Kind::kFloat;
      const int precision = small(kFloatPrecision, 0);
      if (precision != 1 && precision != 2) return unsupported("half precision numbers");
      field.bits = precision == 1 ? 32 : 64;
      return {};
    }
    case ipc::kDecimal:
      field.kind = Kind::kDecimal;
      field.bits = 128;
      field.precision = whole(kDecimalPrecision, 0);
      field.scale = whole(kDecimalScale, 0);
      if (whole(kDecimalBits, 128) != 128) return unsupported("decimals that are not of 128 bits");
      if (field.precision < 1 || field.precision > 38 || field.scale < 0 || field.scale > field.precision)
        return unsupported("a decimal of that many digits");
      return {};
    case ipc::kDate:
      field.kind = Kind::kDate;
      field.bits = 32;
      if (small(kDateUnit, 1) != 0) return unsupported("dates in milliseconds");
      return {};
    case ipc::kTime:
      field.kind = Kind::kTime;
      field.bits = whole(kTimeBits, 32);
      if (!read_unit(kTimeUnit, 1)) return corrupt("a time of an unknown unit");
      if (field.bits != (field.unit == Unit::kSecond || field.unit == Unit::kMilli ? 32 : 64))
        return corrupt("a time whose size and unit disagree");
      return {};
    case ipc::kTimestamp:
      field.kind = Kind::kTimestamp;
      field.bits = 64;
      field.timezone = TRY(text_of(type->zone()));
      if (!read_unit(kTimestampUnit, 0)) return corrupt("a timestamp of an unknown unit");
      return {};
    case ipc::kInterval:
      field.kind = Kind::kInterval;
      if (small(kIntervalUnit, 0) != 2) return unsupported("intervals other than months, days and nanoseconds");
      return {};
    case ipc::kUtf8:
      field.kind = Kind::kUtf8;
      return {};
    case ipc::kBinary:
      field.kind = Kind::kBinary;
      return {};
    case ipc::kLargeUtf8:
      field.kind = Kind::kUtf8;
      field.is_large = true;
      return {};
    case ipc::kLargeBinary:
      field.kind = Kind::kBinary;
      field.is_large = true;
      return {};
    case ipc::kFixedSizeBinary:
      field.kind = Kind::kFixedBinary;
      field.width = whole(kBinaryWidth, 0);
      if (field.width < 0) return corrupt("a binary of negative size");
      return {};
    case ipc::kList:
      field.kind = Kind::kList;
      return {};
    case ipc::kLargeList:
      field.kind = Kind::kList;
      field.is_large = true;
      return {};
    case ipc::kFixedSizeList:
      field.kind = Kind::kFixedList;
      field.width = whole(kListSize, 0);
      if (field.width < 0) return corrupt("a list of negative size");
      return {};
    case ipc::kStruct:
      field.kind = Kind::kStruct;
      return {};
    case ipc::kMap:
      field.kind = Kind::kMap;
      field.keys_sorted = type->GetField<std::uint8_t>(kMapSorted, 0) != 0;
      return {};
    case ipc::kUnion: {
      field.kind = Kind::kSparseUnion;
      if (small(kUnionMode, 0) != 0) return unsupported("dense unions");
      const TypeTable::Ids* ids = type->ids();
      const uoffset_t count = table.children() == nullptr ? 0 : table.children()->size();
      if (count == 0 || count > 128 || (ids != nullptr && ids->size() != count))
        return corrupt("a union whose members and ids disagree");
      if (ids == nullptr) {  // then they are 0, 1, 2...
        for (uoffset_t i = 0; i < count; ++i) field.type_ids.push_back(static_cast<std::int8_t>(i));
        return {};
      }
      for (std::int32_t id : *ids) {
        if (id < 0 || id > 127) return corrupt("a union's type id out of range");
        field.type_ids.push_back(static_cast<std::int8_t>(id));
      }
      return {};
    }
    default:
      return unsupported("its type has the number " + std::to_string(table.type_kind()));
  }
}

Result<Field> SchemaReader::read_field(const FieldTable& table, int depth) {
  if (depth > kNestingMax) return corrupt("columns nested too deep");
  Field field;
  field.name = TRY(text_of(table.name()));
  field.nullable = table.GetField<std::uint8_t>(ipc::field::kNullable, 0) != 0;
  if (table.has_dictionary())
    return Error{Code::kUnsupported, "column '" + field.name + "' of an Arrow stream: dictionaries"};
  TRY(read_type(table, field));
  if (table.metadata() != nullptr)
    for (const KeyValue* pair : *table.metadata()) {
      std::string key = TRY(text_of(pair->key()));
      field.metadata.emplace_back(std::move(key), TRY(text_of(pair->value())));
    }
  if (table.children() != nullptr)
    for (const FieldTable* child : *table.children()) field.children.push_back(TRY(read_field(*child, depth + 1)));

  const std::size_t children = field.children.size();
  switch (field.kind) {
    case Kind::kStruct:
      break;
    case Kind::kSparseUnion:
      if (children != field.type_ids.size() || children == 0) return corrupt("a union whose members and ids disagree");
      break;
    case Kind::kList:
    case Kind::kFixedList:
      if (children != 1) return corrupt("a list without its one child");
      break;
    case Kind::kMap:
      if (children != 1 || field.children[0].kind != Kind::kStruct || field.children[0].children.size() != 2)
        return corrupt("a map that is not a list of pairs");
      break;
    default:
      if (children != 0) return corrupt("a column with children that its type cannot have");
  }
  return field;
}

// Hands out a batch's nodes and buffers in order.
class BatchReader {
 public:
  BatchReader(const BatchTable& table, std::string_view body)
      : table_(table), body_(body), values_left_((std::uint64_t{16} << 20) + 8 * body.size()) {}

  Result<Column> column(const Field& field) {
    Column column;
    column.field = &field;
    column.length = TRY(node());
    const bool has_validity = field.kind != Kind::kNull && field.kind != Kind::kSparseUnion;
    if (has_validity) {
      std::string_view bits = TRY(any_buffer());
      if (!bits.empty() && bits.size() < static_cast<std::uint64_t>((column.length + 7) / 8))
        return corrupt("validity bits of '" + field.name + "' are too few");
      if (!bits.empty()) column.validity = bits.data();
    }
    switch (field.kind) {
      case Kind::kNull:
        break;
      case Kind::kBool:
        column.values = TRY(buffer((column.length + 7) / 8)).data();
        break;
      case Kind::kUtf8:
      case Kind::kBinary: {
        TRY(read_offsets(column));
        std::string_view bytes = TRY(any_buffer());
        if (last_offset(column) > static_cast<std::int64_t>(bytes.size()))
          return corrupt("text of '" + field.name + "' points outside its bytes");
        column.values = bytes.data();
        break;
      }
      case Kind::kList:
      case Kind::kMap:
        TRY(read_offsets(column));
        TRY(read_children(column, last_offset(column)));
        break;
      case Kind::kFixedList: {
        const std::int64_t inside = TRY(times(column.length, field.width));
        TRY(read_children(column, inside));
        break;
      }
      case Kind::kStruct:
        TRY(read_children(column, column.length));
        break;
      case Kind::kSparseUnion:
        column.offsets = TRY(buffer(column.length)).data();
        for (std::int64_t i = 0; i < column.length; ++i) {
          const std::size_t member = column.member(i);
          if (field.type_ids[member] != static_cast<std::int8_t>(column.offsets[i]))
            return corrupt("a value of '" + field.name + "' is of no member of the union");
        }
        TRY(read_children(column, column.length));
        break;
      default: {
        const std::int64_t bytes = TRY(times(column.length, value_bytes(field)));
        column.values = TRY(buffer(bytes)).data();
      }
    }
    return column;
  }

  bool all_taken() const {
    return (table_.nodes() == nullptr || node_ == table_.nodes()->size()) &&
           (table_.buffers() == nullptr || buffer_ == table_.buffers()->size());
  }

 private:
  // A length. All of them together may not ask for more work than the bytes sent can justify: columns of nulls have no
  // bytes, and would else be long loops for free.
  Result<std::int64_t> node() {
    if (table_.nodes() == nullptr || node_ >= table_.nodes()->size()) return corrupt("a batch has too few columns");
    const std::int64_t length = item(*table_.nodes(), node_++).length;
    if (length < 0 || static_cast<std::uint64_t>(length) > values_left_)
      return corrupt("a column's length is out of range");
    values_left_ -= static_cast<std::uint64_t>(length);
    return length;
  }

  Result<std::string_view> any_buffer() {
    if (table_.buffers() == nullptr || buffer_ >= table_.buffers()->size())
      return corrupt("a batch has too few buffers");
    const ipc::Buffer place = item(*table_.buffers(), buffer_++);
    if (place.offset < 0 || place.length < 0 || static_cast<std::uint64_t>(place.offset) > body_.size() ||
        static_cast<std::uint64_t>(place.length) > body_.size() - static_cast<std::uint64_t>(place.offset))
      return corrupt("a buffer lies outside its body");
    return body_.substr(static_cast<std::size_t>(place.offset), static_cast<std::size_t>(place.length));
  }

  // The verifier looks at where a vector is, not at how its structs are aligned.
  template <typename T>
  static T item(const flatbuffers::Vector<const T*>& vector, uoffset_t index) {
    T copy;
    std::memcpy(&copy, vector.Data() + index * sizeof(T), sizeof(T));
    return copy;
  }

  static Result<std::int64_t> times(std::int64_t count, std::int64_t width) {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(count, width, &product)) return corrupt("a column's size is out of range");
    return product;
  }

  Result<std::string_view> buffer(std::int64_t bytes) {
    std::string_view found = TRY(any_buffer());
    if (found.size() < static_cast<std::uint64_t>(bytes)) return corrupt("a buffer is shorter than its column");
    return found;
  }

  // Offsets that never fall and start at or above zero. Of an empty column there may be none at all.
  Status read_offsets(Column& column) {
    std::string_view found = TRY(any_buffer());
    if (column.length == 0) return {};
    const std::uint64_t width = column.field->is_large ? 8 : 4;
    if (found.size() / width < static_cast<std::uint64_t>(column.length) + 1)
      return corrupt("offsets of '" + column.field->name + "' are too few");
    column.offsets = found.data();
    std::int64_t before = 0;
    for (std::int64_t i = 0; i < column.length; ++i) {
      auto [begin, end] = column.range(i);
      if (begin < before || end < begin) return corrupt("offsets of '" + column.field->name + "' go back");
      before = end;
    }
    return {};
  }

  static std::int64_t last_offset(const Column& column) {
    return column.length == 0 ? 0 : column.range(column.length - 1).second;
  }

  Status read_children(Column& column, std::int64_t length) {
    column.children.reserve(column.field->children.size());
    for (const Field& child : column.field->children) {
      column.children.push_back(TRY(this->column(child)));
      if (column.children.back().length < length)
        return corrupt("'" + column.field->name + "' has fewer values inside than it says");
    }
    return {};
  }

  const BatchTable& table_;
  std::string_view body_;
  std::uint64_t values_left_;
  uoffset_t node_ = 0;
  uoffset_t buffer_ = 0;
};

}  // namespace

Result<Reader> Reader::open(std::string_view ipc_stream) {
  Reader reader;
  reader.rest_ = ipc_stream;
  std::optional<Message> message = TRY(next_message(reader.rest_));
  if (!message || message->table->kind() != ipc::kSchema) return corrupt("it does not start with a schema");
  const SchemaTable* schema = message->table->header<SchemaTable>();
  if (schema == nullptr) return corrupt("a schema without a table");
  if (schema->GetField<std::int16_t>(ipc::schema::kEndianness, 0) != 0)
    return Error{Code::kUnsupported, "an Arrow stream of a big-endian machine"};
  reader.fields_ = std::make_unique<std::vector<Field>>();
  SchemaReader fields(message->memory.size() * sizeof message->memory[0]);
  if (schema->fields() != nullptr)
    for (const FieldTable* field : *schema->fields()) reader.fields_->push_back(TRY(fields.read_field(*field, 1)));
  return reader;
}

Result<std::optional<Batch>> Reader::next() {
  std::optional<Message> message = TRY(next_message(rest_));
  if (!message) return std::optional<Batch>();
  if (message->table->kind() != ipc::kRecordBatch)
    return Error{Code::kUnsupported, "an Arrow stream with messages that are not record batches"};
  const BatchTable* table = message->table->header<BatchTable>();
  if (table == nullptr) return corrupt("a record batch without a table");
  if (table->is_compressed()) return Error{Code::kUnsupported, "a compressed Arrow stream"};
  Batch batch;
  batch.rows = table->GetField<std::int64_t>(ipc::record_batch::kLength, 0);
  BatchReader columns(*table, message->body);
  batch.columns.reserve(fields_->size());
  for (const Field& field : *fields_) {
    batch.columns.push_back(TRY(columns.column(field)));
    if (batch.columns.back().length != batch.rows) return corrupt("columns of a batch differ in length");
  }
  if (batch.rows < 0 || (fields_->empty() && batch.rows != 0)) return corrupt("a batch's length is out of range");
  if (!columns.all_taken()) return corrupt("a batch has more columns than its schema");
  return std::optional<Batch>(std::move(batch));
}

}  // namespace larder::arrow
