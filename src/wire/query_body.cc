// nlohmann's SAX reader hands over one token after the other and keeps its own stack, so nesting costs us nothing and
// the first wrong token stops the reading. A document tree lost: it accepts keys given twice (the last wins, and a
// proxy in front may have looked at the first) and is built whole before it can be refused.
#include "wire/query_body.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/nearest.h"

namespace larder::wire {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 5> kKeys = {"sql", "source", "params", "format", "max_age"};
constexpr double kMaxAgeSecondsMax = 1e12;  // 30,000 years; keeps the milliseconds in 64 bits

std::string shortened(std::string_view text) {
  constexpr std::size_t kShown = 40;
  if (text.size() <= kShown) return "'" + std::string(text) + "'";
  std::size_t cut = kShown;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;  // never inside a letter
  return "'" + std::string(text.substr(0, cut)) + "...'";
}

class Reader final : public nlohmann::json_sax<Json> {
 public:
  explicit Reader(const QueryBodyLimits& limits) : limits_(limits) {}

  Result<QueryRequest> take() {
    if (error_) return *std::move(error_);
    if (!seen_[0]) return Error{Code::kInvalid, "body: 'sql' is missing"};
    return std::move(request_);
  }

  // --- Tokens ---

  bool null() override {
    if (where_ == Where::kParams) return param(std::monostate{});
    return wrong("null");
  }
  bool boolean(bool value) override {
    if (where_ == Where::kParams) return param(value);
    return wrong("a boolean");
  }
  bool number_integer(number_integer_t value) override {
    if (where_ == Where::kParams) return param(value);
    return number(static_cast<double>(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (where_ != Where::kParams) return number(static_cast<double>(value));
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) return beyond_64_bits(std::to_string(value));
    return param(static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t& digits) override {
    if (where_ != Where::kParams) return number(value);
    // The reader gives integers that fit no 64 bits as doubles; rounding one in silence would change the question.
    if (digits.find_first_of(".eE") == std::string::npos) return beyond_64_bits(digits);
    return param(value);
  }
  bool string(string_t& value) override {
    if (where_ == Where::kParams) return param(std::move(value));
    if (where_ == Where::kValue && key_ == "sql") return text(request_.sql, std::move(value), limits_.sql_bytes_max);
    if (where_ == Where::kValue && key_ == "source")
      return text(request_.source, std::move(value), limits_.source_bytes_max);
    if (where_ == Where::kValue && key_ == "format") {
      request_.format = format_of(value);
      if (!request_.format)
        return refuse(Code::kInvalid, "'format' is " + shortened(value) + "; it is one of arrow, json and csv");
      where_ = Where::kObject;
      return true;
    }
    return wrong("a string");
  }
  bool binary(binary_t&) override { return wrong("binary"); }

  bool start_object(std::size_t) override {
    if (where_ != Where::kTop) return wrong("an object");
    where_ = Where::kObject;
    return true;
  }
  bool key(string_t& name) override {
    for (std::size_t i = 0; i < kKeys.size(); ++i) {
      if (kKeys[i] != name) continue;
      if (seen_[i]) return refuse(Code::kInvalid, "key '" + name + "' is given twice");
      seen_[i] = true;
      key_ = kKeys[i];
      where_ = Where::kValue;
      return true;
    }
    return refuse(Code::kInvalid, "unknown key " + shortened(name) + did_you_mean(name, kKeys));
  }
  bool end_object() override {
    where_ = Where::kTop;
    return true;
  }
  bool start_array(std::size_t) override {
    if (where_ != Where::kValue || key_ != "params") return wrong("an array");
    where_ = Where::kParams;
    return true;
  }
  bool end_array() override {
    where_ = Where::kObject;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const Json::exception& problem) override {
    // The library's sentence, without its own name and number: "[json.exception.parse_error.101] parse error at ...".
    std::string_view reason = problem.what();
    if (const std::size_t end = reason.find("] "); end != std::string_view::npos) reason.remove_prefix(end + 2);
    std::string clean(reason.substr(0, 300));
    for (char& c : clean)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) c = '?';
    return refuse(Code::kInvalid, "no JSON at byte " + std::to_string(position) + ": " + clean);
  }

 private:
  enum class Where { kTop, kObject, kValue, kParams };

  // What `key_` should be, said when it is something else.
  bool wrong(std::string_view found) {
    if (where_ == Where::kTop)
      return refuse(Code::kInvalid,
                    "it is " + std::string(found) + "; it must be an object such as {\"sql\": \"...\"}");
    if (where_ == Where::kParams)
      return refuse(Code::kInvalid,
                    place() + " is " + std::string(found) + "; a parameter is null, a boolean, a number or a string");
    const std::string_view wanted = key_ == "params"    ? "an array"
                                    : key_ == "max_age" ? "a number of seconds"
                                                        : "a string";
    return refuse(Code::kInvalid,
                  "'" + std::string(key_) + "' is " + std::string(found) + "; it must be " + std::string(wanted));
  }

  bool number(double value) {
    if (where_ != Where::kValue || key_ != "max_age") return wrong("a number");
    if (!(value >= 0)) return refuse(Code::kInvalid, "'max_age' is negative; it is a number of seconds from 0 on");
    request_.max_age_ms = static_cast<std::int64_t>(std::ceil(std::min(value, kMaxAgeSecondsMax) * 1000));
    where_ = Where::kObject;
    return true;
  }

  bool text(std::string& target, std::string&& value, std::size_t bytes_max) {
    if (value.size() > bytes_max)
      return refuse(Code::kTooLarge, "'" + std::string(key_) + "' has " + std::to_string(value.size()) +
                                         " bytes; at most " + std::to_string(bytes_max) + " are taken");
    if (value.find('\0') != std::string::npos)
      return refuse(Code::kInvalid, "'" + std::string(key_) + "' has a NUL character in it");
    target = std::move(value);
    where_ = Where::kObject;
    return true;
  }

  bool param(Param value) {
    if (request_.params.size() == limits_.params_max)
      return refuse(Code::kTooLarge, "more than " + std::to_string(limits_.params_max) + " parameters");
    request_.params.push_back(std::move(value));
    return true;
  }

  bool beyond_64_bits(const std::string& digits) {
    return refuse(Code::kInvalid, place() + " is " + shortened(digits) +
                                      ", which does not fit in 64 bits; give it as a string and cast it in the SQL");
  }

  std::string place() const { return "params[" + std::to_string(request_.params.size()) + "]"; }

  bool refuse(Code code, std::string message) {
    error_ = Error{code, std::move(message)}.in("body");
    return false;
  }

  const QueryBodyLimits& limits_;
  Where where_ = Where::kTop;
  std::string_view key_;
  std::array<bool, kKeys.size()> seen_{};
  QueryRequest request_;
  std::optional<Error> error_;
};

}  // namespace

Result<QueryRequest> parse_query_body(std::string_view body, const QueryBodyLimits& limits) {
  Reader reader(limits);
  Json::sax_parse(body.begin(), body.end(), &reader);
  return reader.take();
}

}  // namespace larder::wire
