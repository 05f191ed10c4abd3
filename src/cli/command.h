// A subcommand: a row of the table in cli.cc, a file NAME.cc with its declare function.
#pragma once

#include <larder/cache.h>
#include <larder/result.h>

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace larder::cli {

using Run = std::function<Status()>;

struct Command {
  const char* name;
  const char* summary;            // in the list of commands and at the head of its own help
  const char* examples;           // at the foot of its own help
  Run (*declare)(CLI::App& app);  // declares its words and options; what comes back runs it once they are read
};

Run declare_get(CLI::App& app);
Run declare_set(CLI::App& app);
Run declare_del(CLI::App& app);
Run declare_evict(CLI::App& app);
Run declare_ls(CLI::App& app);
Run declare_stats(CLI::App& app);
Run declare_settings(CLI::App& app);
Run declare_check(CLI::App& app);
Run declare_bench(CLI::App& app);
Run declare_watch(CLI::App& app);
Run declare_backup(CLI::App& app);
Run declare_restore(CLI::App& app);
Run declare_query(CLI::App& app);
Run declare_serve(CLI::App& app);

// --- What several of them share ---

// An option or positional that may come many times; each word is taken as it stands (CLI11 reads a lone "{}" as
// nothing).
CLI::Option* add_words_option(CLI::App& app, const std::string& name, std::vector<std::string>& words,
                              const std::string& description);

// --store DIR, $LARDER_STORE, ./cache
void add_store_option(CLI::App& app, std::string& store);
// --tag, --prefix and --pattern
void add_filter_options(CLI::App& app, Filter& filter);
// --json
void add_json_option(CLI::App& app, bool& json);

enum class Access {
  kRead,  // of a cache that this user may not write, too
  kWrite,
  kCreate,  // and made when it is not there
};
Result<Cache> open_store(const std::string& store, Access access);

}  // namespace larder::cli
