#include <larder/stream.h>
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

// Part by part: it may be larger than the memory.
Status store_stdin(Cache& cache, const std::string& key, const SetOptions& options) {
  ValueWriter writer = TRY(cache.writer(key, options));
  char part[64 * 1024];
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, part, sizeof part);
    if (count == 0) return writer.commit();
    if (count > 0) TRY(writer.write({part, static_cast<std::size_t>(count)}));
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
  Cache cache = TRY(open_store(words.store, Access::kCreate));
  if (words.value && *words.value != "-") return cache.set(words.key, *words.value, options);
  return store_stdin(cache, words.key, options);
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
