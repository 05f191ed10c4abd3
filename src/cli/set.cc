#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <system_error>

#include "base/try.h"
#include "base/units.h"
#include "cli/command.h"

namespace larder::cli {
namespace {

struct Words {
  std::string store;
  std::string key;
  std::optional<std::string> value;
  std::string ttl;
  std::vector<std::string> tags;
  bool pinned = false;
};

Result<std::string> read_stdin() {
  std::string bytes;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (count == 0) return bytes;
    if (count > 0) bytes.append(buffer, static_cast<std::size_t>(count));
    if (count < 0 && errno != EINTR)
      return Error{Code::kIo, std::string("standard input: ") + std::generic_category().message(errno)};
  }
}

Status run(const Words& words) {
  SetOptions options;
  if (!words.ttl.empty()) {
    Result<std::int64_t> ttl_ms = parse_duration_ms(words.ttl);
    if (!ttl_ms.ok()) return std::move(ttl_ms).error().in("--ttl");
    if (*ttl_ms == 0)
      return Error{Code::kInvalid, "--ttl: an entry must live for a while; leave it out for one without end"};
    options.ttl_ms = *ttl_ms;
  }
  options.tags.assign(words.tags.begin(), words.tags.end());
  options.pinned = words.pinned;
  if (!words.value && isatty(STDIN_FILENO) == 1)
    return Error{Code::kInvalid, "a value is missing: give it after the key, or '-' to type it (Ctrl-D ends it)"};
  const std::string value = words.value && *words.value != "-" ? *words.value : TRY(read_stdin());
  Cache cache = TRY(open_store(words.store, Access::kCreate));
  return cache.set(words.key, value, options);
}

}  // namespace

Run declare_set(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("key", words->key, "Key of the entry")->required();
  app.add_option("value", words->value, "Its value; '-' or none reads it from standard input");
  app.add_option("--ttl", words->ttl, "How long it lives: 500ms, 30s, 5min, 2h, 7d; without, until it is evicted")
      ->type_name("DURATION");
  add_words_option(app, "--tag", words->tags, "A tag, by which it can be listed and evicted; may be given again")
      ->type_name("TAG");
  app.add_flag("--pinned", words->pinned, "Never evict it to make room");
  add_store_option(app, words->store);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
