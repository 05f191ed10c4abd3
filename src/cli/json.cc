#include "cli/json.h"

#include <nlohmann/json.hpp>

namespace larder::cli {
namespace {

std::string base64(std::string_view bytes) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j)
      three = three << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) text += i + j > bytes.size() ? '=' : kLetters[three >> (18 - 6 * j) & 63];
  }
  return text;
}

bool is_utf8(std::string_view bytes) {
  try {
    (void)Json(bytes).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

}  // namespace

void put_key(Json& object, std::string_view key, const std::string& name) {
  object[name] = key;
  if (!is_utf8(key)) object[name + "_base64"] = base64(key);
}

void put_value(Json& object, std::string_view value) {
  if (is_utf8(value))
    object["value"] = value;
  else
    object["value_base64"] = base64(value);
}

std::string line_of(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace larder::cli
