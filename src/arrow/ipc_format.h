// The tables of Arrow's IPC messages, by the numbers that their published schema gives to fields and kinds
// (Message.fbs and Schema.fbs of the Arrow columnar format, version 1.x, metadata version 5).
//
// FlatBuffers address the field number n of a table by the offset 4 + 2n in its vtable.
#pragma once

#include <cstdint>

namespace larder::arrow::ipc {

constexpr std::uint16_t slot(int field_number) { return static_cast<std::uint16_t>(4 + 2 * field_number); }

inline constexpr std::int16_t kMetadataV5 = 4;
inline constexpr std::uint32_t kContinuation = 0xFFFFFFFF;
inline constexpr std::size_t kAlign = 64;

enum HeaderKind : std::uint8_t { kSchema = 1, kDictionaryBatch = 2, kRecordBatch = 3 };

enum TypeKind : std::uint8_t {
  kNull = 1,
  kInt = 2,
  kFloatingPoint = 3,
  kBinary = 4,
  kUtf8 = 5,
  kBool = 6,
  kDecimal = 7,
  kDate = 8,
  kTime = 9,
  kTimestamp = 10,
  kInterval = 11,
  kList = 12,
  kStruct = 13,
  kUnion = 14,
  kFixedSizeBinary = 15,
  kFixedSizeList = 16,
  kMap = 17,
  kDuration = 18,
  kLargeBinary = 19,
  kLargeUtf8 = 20,
  kLargeList = 21,
};

namespace message {
inline constexpr auto kVersion = slot(0), kHeaderType = slot(1), kHeader = slot(2), kBodyLength = slot(3);
}
namespace schema {
inline constexpr auto kEndianness = slot(0), kFields = slot(1);
}
namespace field {
inline constexpr auto kName = slot(0), kNullable = slot(1), kTypeType = slot(2), kType = slot(3), kDictionary = slot(4),
                      kChildren = slot(5), kMetadata = slot(6);
}
namespace key_value {
inline constexpr auto kKey = slot(0), kValue = slot(1);
}
namespace record_batch {
inline constexpr auto kLength = slot(0), kNodes = slot(1), kBuffers = slot(2), kCompression = slot(3);
}
// Of the tables of single types; each has its own numbering.
namespace type {
inline constexpr auto kIntBits = slot(0), kIntSigned = slot(1);
inline constexpr auto kFloatPrecision = slot(0);  // 1: single, 2: double
inline constexpr auto kDecimalPrecision = slot(0), kDecimalScale = slot(1), kDecimalBits = slot(2);
inline constexpr auto kDateUnit = slot(0);  // 0: days; 1, the default: milliseconds
inline constexpr auto kTimeUnit = slot(0), kTimeBits = slot(1);
inline constexpr auto kTimestampUnit = slot(0), kTimestampZone = slot(1);
inline constexpr auto kIntervalUnit = slot(0);  // 2: months, days and nanoseconds
inline constexpr auto kUnionMode = slot(0), kUnionIds = slot(1);
inline constexpr auto kBinaryWidth = slot(0);
inline constexpr auto kListSize = slot(0);
inline constexpr auto kMapSorted = slot(0);
}  // namespace type

// Structs inside vectors.
struct FieldNode {
  std::int64_t length;
  std::int64_t null_count;
};
struct Buffer {
  std::int64_t offset;  // in the body
  std::int64_t length;
};
static_assert(sizeof(FieldNode) == 16 && sizeof(Buffer) == 16);

}  // namespace larder::arrow::ipc
