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
  std::vector<std::string> keys;
  bool json = false;
};

Status run(const Words& words) {
  Cache cache = TRY(open_store(words.store, Access::kWrite));
  std::size_t deleted = 0;
  for (const std::string& key : words.keys) {
    const bool was_there = TRY(cache.del(key));
    if (was_there) ++deleted;
  }
  if (look_of_stdout(words.json).json) {
    put(line_of({{"deleted", deleted}}));
  } else {
    put(std::to_string(deleted) + (deleted == 1 ? " entry" : " entries") + " deleted");
    if (deleted < words.keys.size()) put(", " + std::to_string(words.keys.size() - deleted) + " not there");
    put("\n");
  }
  return {};
}

}  // namespace

Run declare_del(CLI::App& app) {
  auto words = std::make_shared<Words>();
  add_words_option(app, "key", words->keys, "Keys of the entries; one that is not there is no error")
      ->required()
      ->expected(1, -1)
      ->allow_extra_args();
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
