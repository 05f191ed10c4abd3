// Any bytes as larder.yaml: an answer or an error that names the file, never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "server/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = larder::server::parse_config({reinterpret_cast<const char*>(data), size}, "larder.yaml");
  if (!config.ok()) LARDER_CHECK(config.error().message.rfind("larder.yaml", 0) == 0);
  return 0;
}
