// Which functions the SQL of readers may call. What is not here is refused.
#pragma once

#include <span>
#include <string_view>

namespace larder::duck {

enum class Allowed {
  kNo,
  kPure,           // the same arguments give the same value
  kNotRepeatable,  // the clock, chance
  kGrows,          // pure, but a few bytes of SQL can ask for gigabytes: its arguments are looked at
};

// Functions in expressions: scalar, aggregate, window and macro. `name` in lower case.
Allowed function_allowed(std::string_view name);

// Functions in FROM. All are pure and read nothing.
bool table_function_allowed(std::string_view name);

// All names that function_allowed() allows, for "did you mean".
std::span<const std::string_view> function_names();

}  // namespace larder::duck
