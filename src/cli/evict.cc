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
  Filter filter;
  bool all = false;
  bool json = false;
};

Status run(const Words& words) {
  if (words.all != words.filter.any())
    return Error{Code::kInvalid, words.all ? "--all goes with none of --tag, --prefix and --pattern"
                                           : "say what is to go: --tag, --prefix, --pattern, or --all"};
  Cache cache = TRY(open_store(words.store, Access::kWrite));
  const std::uint64_t evicted = TRY(words.all ? cache.clear() : cache.evict(words.filter));
  if (look_of_stdout(words.json).json)
    put(line_of({{"evicted", evicted}}));
  else
    put(std::to_string(evicted) + (evicted == 1 ? " entry" : " entries") + " evicted\n");
  return {};
}

}  // namespace

Run declare_evict(CLI::App& app) {
  auto words = std::make_shared<Words>();
  add_filter_options(app, words->filter);
  app.add_flag("--all", words->all, "Every entry");
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
