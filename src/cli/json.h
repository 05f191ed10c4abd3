// Lines of JSON, their keys in the order in which they were set.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace larder::cli {

using Json = nlohmann::ordered_json;

// "key", for people; and, when the key is no UTF-8 text, "key_base64" (RFC 4648), which is the key as it is.
void put_key(Json& object, std::string_view key, const std::string& name = "key");
// "value", or "value_base64" when it is no UTF-8 text.
void put_value(Json& object, std::string_view value);

// The line with its end. Bytes that are not UTF-8 are replaced.
std::string line_of(const Json& object);

}  // namespace larder::cli
