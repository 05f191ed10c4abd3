// Columns of the C data interface, as DuckDB lends them, become an Arrow IPC stream.
//
//   StreamWriter writer(out, bytes_max);
//   TRY(writer.begin(*schema));
//   while (...) TRY(writer.write(*batch));
//   TRY(writer.end());
//
// The stream is uncompressed; every buffer starts at a multiple of 64 bytes from the stream's first byte. Sliced arrays
// are written from their slice alone. Dictionaries (ENUM) are written as the text they stand for.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <memory>
#include <string>

#include "arrow/c_data.h"

namespace larder::arrow {

class StreamWriter {
 public:
  // Appends to `out`, which must outlive this. A stream of more than `bytes_max` (0: no limit) is kTooLarge.
  StreamWriter(std::string& out, std::uint64_t bytes_max);
  ~StreamWriter();
  StreamWriter(const StreamWriter&) = delete;
  StreamWriter& operator=(const StreamWriter&) = delete;

  // kUnsupported: a column of a type that Larder does not carry; it names the column.
  Status begin(const ArrowSchema& schema);
  // Of the schema given; the arrays come from our own process and are not checked beyond that.
  Status write(const ArrowArray& batch);
  Status end();

  std::uint64_t rows() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::arrow
