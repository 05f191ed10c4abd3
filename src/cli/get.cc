#include <larder/stream.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

struct Words {
  std::string store;
  std::string key;
  bool json = false;
};

Error no_entry(const Words& words) {
  return Error{Code::kNotFound, "no entry '" + printable(words.key) + "'"}.in(words.store);
}

// Part by part: it may be larger than the memory.
Status put_bytes(const Cache& cache, const Words& words) {
  std::optional<ValueReader> reader = cache.reader(words.key);
  if (!reader) return no_entry(words);
  char part[64 * 1024];
  for (;;) {
    const std::size_t count = TRY(reader->read(part));
    if (count == 0) return {};
    put({part, count});
    TRY(flush_output());  // nobody may be listening any more
  }
}

Status put_json(const Cache& cache, const Words& words) {
  const std::optional<Pin> pin = cache.get(words.key);
  if (!pin) return no_entry(words);
  Json line;
  put_key(line, words.key);
  put_value(line, pin->bytes());
  line["bytes"] = pin->bytes().size();
  line["stored_ms"] = pin->info().stored_ms;
  line["expires_ms"] = pin->info().expires_ms;
  line["tags"] = pin->tags();
  put(line_of(line));
  return {};
}

Status run(const Words& words) {
  const Cache cache = TRY(open_store(words.store, Access::kRead));
  return words.json ? put_json(cache, words) : put_bytes(cache, words);
}

}  // namespace

Run declare_get(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("key", words->key, "Key of the entry")->required();
  add_store_option(app, words->store);
  app.add_flag("--json", words->json, "The entry as a line of JSON in place of its bytes");
  return [words] { return run(*words); };
}

}  // namespace larder::cli
