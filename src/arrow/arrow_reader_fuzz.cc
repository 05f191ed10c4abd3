// Any bytes at all are a stream to the reader: it refuses them or renders them, and reads nothing outside.
#include <cstddef>
#include <cstdint>
#include <string>

#include "arrow/render.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view ipc(reinterpret_cast<const char*>(data), size);
  std::string out;
  (void)larder::arrow::columns(ipc);
  (void)larder::arrow::write_json(ipc, out);
  out.clear();
  (void)larder::arrow::write_csv(ipc, out);
  out.clear();
  (void)larder::arrow::write_table(ipc, {}, out);
  return 0;
}
