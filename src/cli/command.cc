// What the subcommands share: how they take words and how they open a cache.
#include <CLI/CLI.hpp>
#include <filesystem>

#include "cli/command.h"

namespace larder::cli {

CLI::Option* add_words_option(CLI::App& app, const std::string& name, std::vector<std::string>& words,
                              const std::string& description) {
  const auto take = [&words](const CLI::results_t& given) {
    words = given;
    return true;
  };
  return app.add_option(name, take, description)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_store_option(CLI::App& app, std::string& store) {
  store = "cache";
  app.add_option("--store", store, "Directory of the cache")
      ->envname("LARDER_STORE")
      ->type_name("DIR")
      ->capture_default_str();
}

void add_filter_options(CLI::App& app, Filter& filter) {
  app.add_option("--tag", filter.tag, "Entries with this tag")->type_name("TAG");
  app.add_option("--prefix", filter.prefix, "Entries whose keys begin with this")->type_name("TEXT");
  app.add_option("--pattern", filter.pattern, "Entries whose keys match, as in a shell: * ? [abc] [!a-z]")
      ->type_name("PATTERN");
}

void add_json_option(CLI::App& app, bool& json) {
  app.add_flag("--json", json, "JSON lines at a terminal, too; they are what other programs get");
}

Result<Cache> open_store(const std::string& store, Access access) {
  if (store.empty()) return Error{Code::kInvalid, "--store names no directory"};
  std::error_code problem;
  if (access != Access::kCreate && !std::filesystem::exists(store, problem))
    return Error{Code::kNotFound, "no such directory; create it with 'larder set' or 'larder serve'"}.in(store);
  Options options;
  options.create = access == Access::kCreate;
  Result<Cache> cache = Cache::open(store, options);
  if (access == Access::kRead && !cache.ok() && cache.error().code == Code::kDenied) {
    options.read_only = true;
    return Cache::open(store, options);
  }
  return cache;
}

}  // namespace larder::cli
