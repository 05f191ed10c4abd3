// One row a key: its name and the function that reads it. The reader, the refusal of unknown keys and config_keys()
// read the same tables, so adding a key is adding a row (and a line in docs/format/larder.schema.json, which a test
// compares).
#include "server/config.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <map>
#include <span>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/nearest.h"
#include "base/try.h"
#include "base/units.h"

namespace larder::server {
namespace {

using YAML::Node;

constexpr std::uint64_t kFileBytesMax = 1 << 20;
constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::size_t kHostBytesMax = 253;  // RFC 1035
constexpr std::size_t kSourceNameBytesMax = 64;

std::string shown(std::string_view text) {
  constexpr std::size_t kBytes = 80;
  std::string out = "'";
  out.append(text.substr(0, kBytes)).append(text.size() > kBytes ? "...'" : "'");
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

// A value and where it stands: for errors, and for what is relative to the file.
struct Place {
  const std::filesystem::path& file;
  std::string key;  // "server.listen"
  int line;
  Node value;

  Error wrong(const std::string& what) const {
    return Error{Code::kInvalid, key.empty() ? what : key + ": " + what}.in(file.string() + ":" + std::to_string(line));
  }
  Error wrong(const Error& error) const { return wrong(error.message); }

  Result<std::string> text() const {
    if (!value.IsScalar() || value.Scalar().empty()) return wrong("a text is needed here");
    if (value.Scalar().find('\0') != std::string::npos) return wrong("a zero byte may not be here");
    return value.Scalar();
  }

  Result<std::uint64_t> bytes(std::uint64_t least, std::uint64_t most = UINT64_MAX) const {
    const Result<std::uint64_t> size = parse_bytes(TRY(text()));
    if (!size.ok()) return wrong(size.error());
    if (*size < least) return wrong("must be at least " + format_bytes(least));
    if (*size > most) return wrong("must be at most " + format_bytes(most));
    return *size;
  }

  Result<std::uint64_t> number(std::uint64_t least, std::uint64_t most) const {
    const std::string digits = TRY(text());
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || end != digits.data() + digits.size() || number < least || number > most)
      return wrong(shown(digits) + " is no whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return number;
  }

  Result<std::filesystem::path> path() const {
    const std::filesystem::path given = TRY(text());
    std::error_code ignored;  // only without a working directory; then it stays as it is
    const std::filesystem::path whole = std::filesystem::absolute(file.parent_path() / given, ignored);
    return (whole.empty() ? given : whole).lexically_normal();
  }
};

template <typename Target>
struct Key {
  std::string_view name;
  Status (*read)(const Place&, Target&);
};

template <typename Target>
std::vector<std::string_view> names(std::span<const Key<Target>> keys) {
  std::vector<std::string_view> out;
  for (const Key<Target>& key : keys) out.push_back(key.name);
  return out;
}

// The entries of a map, each key once; nothing at all counts as an empty map.
Result<std::vector<std::pair<std::string, Place>>> entries(const Place& place) {
  std::vector<std::pair<std::string, Place>> out;
  if (place.value.IsNull()) return out;
  if (!place.value.IsMap()) return place.wrong("keys with values are needed here, as in 'key: value'");
  std::map<std::string, int> lines;
  for (const auto& entry : place.value) {
    const int line = entry.first.Mark().line + 1;
    const Place at{place.file, place.key, line, entry.second};
    if (!entry.first.IsScalar()) return at.wrong("a key must be a text");
    const std::string& key = entry.first.Scalar();
    if (const auto [first, is_new] = lines.emplace(key, line); !is_new)
      return at.wrong("key " + shown(key) + " is given twice, first in line " + std::to_string(first->second));
    out.emplace_back(key, Place{place.file, place.key.empty() ? key : place.key + "." + key, line, entry.second});
  }
  return out;
}

template <typename Target>
Status read_keys(const Place& place, std::span<const Key<Target>> keys, Target& target) {
  for (const auto& [name, value] : TRY(entries(place))) {
    const auto row =
        std::find_if(keys.begin(), keys.end(), [&name = name](const Key<Target>& key) { return key.name == name; });
    if (row == keys.end()) {
      std::string known;
      for (std::string_view key : names(keys)) known.append(known.empty() ? "" : ", ").append(key);
      return Place{place.file, place.key, value.line, value.value}.wrong(
          "unknown key " + shown(name) + did_you_mean(name, names(keys)) + "; known here: " + known);
    }
    TRY(row->read(value, target));
  }
  return {};
}

Status read_hosts(const Place& place, Config::Server& server) {
  if (!place.value.IsSequence()) return place.wrong("a list of host names is needed here, as in [data.example]");
  for (const Node& item : place.value) {
    const Place at{place.file, place.key, item.Mark().line + 1, item};
    const std::string host = lower(TRY(at.text()));
    const bool plain = std::all_of(host.begin(), host.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    });
    const bool port = host.front() != '[' && host.find(':') != std::string::npos;
    if (!plain || port || host.size() > kHostBytesMax)
      return at.wrong(shown(host) + " is no host name (write it without http:// and without a port)");
    server.hosts.push_back(host);
  }
  return {};
}

Status read_kind(const Place& place, Config::Source& source) {
  constexpr std::string_view kKinds[] = {"files"};
  source.kind = TRY(place.text());
  if (source.kind != kKinds[0])
    return place.wrong("unknown kind " + shown(source.kind) + did_you_mean(source.kind, kKinds) + "; known: files");
  return {};
}

Status read_format(const Place& place, Config::Source& source) {
  constexpr std::string_view kFormats[] = {"parquet", "csv", "json"};
  source.format = TRY(place.text());
  if (std::find(std::begin(kFormats), std::end(kFormats), source.format) == std::end(kFormats))
    return place.wrong("unknown format " + shown(source.format) + did_you_mean(source.format, kFormats) +
                       "; known: parquet, csv, json");
  return {};
}

// Rows that only take a value over.
#define LARDER_TAKE(field, ...) \
  [](const Place& at, auto& to) -> Status { return to.field = TRY(__VA_ARGS__), Status(); }

constexpr Key<Config::Store> kStore[] = {
    {"path", LARDER_TAKE(path, at.path())},
    {"size", LARDER_TAKE(size_bytes, at.bytes(16 * kMiB))},
};
constexpr Key<Config::Server> kServer[] = {
    {"listen",
     [](const Place& at, Config::Server& to) -> Status {
       const Status read = parse_listen(TRY(at.text()), to);
       return read.ok() ? read : at.wrong(read.error());
     }},
    {"hosts", read_hosts},
    {"body_max", LARDER_TAKE(body_bytes_max, at.bytes(1024, 1024 * kMiB))},
};
constexpr Key<Config::Query> kQuery[] = {
    {"rows_max", LARDER_TAKE(rows_max, at.number(1, INT64_MAX))},
    {"bytes_max", LARDER_TAKE(bytes_max, at.bytes(1024))},
    {"timeout",
     [](const Place& at, Config::Query& to) -> Status {
       const Result<std::int64_t> ms = parse_duration_ms(TRY(at.text()));
       if (!ms.ok()) return at.wrong(ms.error());
       if (*ms < 1) return at.wrong("must be more than 0");
       to.timeout_ms = *ms;
       return {};
     }},
    {"memory", LARDER_TAKE(memory_bytes, at.bytes(16 * kMiB))},
    {"threads", LARDER_TAKE(threads, at.number(1, 1024))},
};
constexpr Key<Config::Source> kSource[] = {
    {"kind", read_kind},
    {"path", LARDER_TAKE(path, at.path())},
    {"format", read_format},
};
#undef LARDER_TAKE

Status read_sources(const Place& place, Config& config) {
  std::map<std::string, int> lines;  // by name in lower case, as SQL compares them
  for (const auto& [name, value] : TRY(entries(place))) {
    const bool plain =
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return (c < 128 && std::isalnum(c)) || c == '_'; });
    if (name.empty() || !plain || std::isdigit(static_cast<unsigned char>(name[0])) ||
        name.size() > kSourceNameBytesMax)
      return Place{place.file, place.key, value.line, value.value}.wrong(
          shown(name) + " cannot be a table's name: up to " + std::to_string(kSourceNameBytesMax) +
          " letters, digits and _, not a digit first");
    if (const auto [first, is_new] = lines.emplace(lower(name), value.line); !is_new)
      return value.wrong("SQL cannot tell it from the source in line " + std::to_string(first->second) +
                         ", as letter case does not count");
    Config::Source source{.name = name, .kind = {}, .path = {}, .format = {}, .line = value.line};
    TRY(read_keys<Config::Source>(value, kSource, source));
    if (source.kind.empty()) return value.wrong("key 'kind' is missing; kind: files");
    if (source.path.empty()) return value.wrong("key 'path' is missing: a file, a glob or a directory");
    config.sources.push_back(std::move(source));
  }
  return {};
}

constexpr Key<Config> kConfig[] = {
    {"store", [](const Place& at, Config& to) { return read_keys<Config::Store>(at, kStore, to.store); }},
    {"server", [](const Place& at, Config& to) { return read_keys<Config::Server>(at, kServer, to.server); }},
    {"query", [](const Place& at, Config& to) { return read_keys<Config::Query>(at, kQuery, to.query); }},
    {"sources", read_sources},
};

// Passes over a document, and keeps the place where it began.
class Skimmed final : public YAML::EventHandler {
 public:
  int line = 0;

  void OnDocumentStart(const YAML::Mark& mark) override { line = mark.line + 1; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// The line in which a second document begins; 0: there is none. YAML::LoadAll would tell, but on some texts, of which
// "," is the shortest, yaml-cpp 0.7 finds documents without end, and that call takes all memory.
int second_document(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Skimmed first, second;
  return parser.HandleNextDocument(first) && parser.HandleNextDocument(second) ? second.line : 0;
}

}  // namespace

Status parse_listen(std::string_view text, Config::Server& server) {
  const Error wrong{Code::kInvalid,
                    shown(text) + " is no address; write it as 127.0.0.1:8080, [::1]:8080 or localhost:8080"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong;
  std::string_view address = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return wrong;
  if (address.front() == '[') {
    if (address.size() < 4 || address.back() != ']') return wrong;
    address = address.substr(1, address.size() - 2);
    if (address.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) return wrong;
  } else if (address != "localhost" && address.find_first_not_of("0123456789.") != std::string_view::npos) {
    return wrong;
  }
  server.address = address;
  server.port = port;
  return {};
}

Result<Config> parse_config(std::string_view text, const std::filesystem::path& path) {
  Config config;
  config.store.path = Place{path, {}, 0, Node(config.store.path.string())}.path().value();
  try {
    const Place whole{path, {}, 1, YAML::Load(std::string(text))};
    if (const int line = second_document(std::string(text)); line > 0)
      return Place{path, {}, line, {}}.wrong("a second document begins here; one is read");
    TRY(read_keys<Config>(whole, kConfig, config));
    return config;
  } catch (const YAML::Exception& error) {
    return Error{Code::kInvalid, "this is no YAML: " + error.msg}.in(path.string() + ":" +
                                                                     std::to_string(error.mark.line + 1));
  } catch (const std::exception& error) {
    return Error{Code::kInvalid, std::string("this cannot be read: ") + error.what()}.in(path.string());
  }
}

Result<Config> read_config(const std::filesystem::path& path) {
  std::error_code error;
  const bool directory = std::filesystem::is_directory(path, error);
  if (directory) return Error{Code::kInvalid, path.string() + " is a directory; a file such as larder.yaml is needed"};
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int reason = errno;
    const std::string what = path.string() + ": " + std::generic_category().message(reason);
    if (reason == ENOENT) return Error{Code::kNotFound, what + "; --config names the file"};
    return Error{reason == EACCES ? Code::kDenied : Code::kIo, what};
  }
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return Error{Code::kIo, path.string() + ": cannot be read"};
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileBytesMax)
    return Error{Code::kTooLarge, path.string() + ": is larger than " + format_bytes(kFileBytesMax) + ", the limit"};
  return parse_config(text, path);
}

std::vector<std::string> config_keys() {
  std::vector<std::string> out;
  const auto add = [&](const std::string& section, const auto& keys) {
    for (const auto& key : keys) out.push_back(section + std::string(key.name));
  };
  add("", kConfig);
  add("store.", kStore);
  add("server.", kServer);
  add("query.", kQuery);
  add("sources.*.", kSource);
  return out;
}

}  // namespace larder::server
