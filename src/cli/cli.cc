// CLI11 reads the words; this file has the table of subcommands, and the way from an Error to a line and an exit code.
#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "base/error_table.h"
#include "base/nearest.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

constexpr Command kCommands[] = {
    {"get", "Write the value of a key to standard output", "larder get user:7 > ada.json", declare_get},
    {"set", "Store a value under a key", "larder set user:7 Ada --ttl 5min\nlarder set report - < report.pdf",
     declare_set},
    {"del", "Delete entries", "larder del user:7 user:8", declare_del},
    {"evict", "Remove the entries with a tag, a prefix or a pattern",
     "larder evict --tag prices\nlarder evict --pattern 'page:*:draft'", declare_evict},
    {"ls", "List entries and kept answers", "larder ls --prefix user:\nlarder ls --tag prices --reverse --limit 10",
     declare_ls},
    {"stats", "Show sizes, hits and misses", "larder stats --store /var/cache/larder\nlarder stats --by tag",
     declare_stats},
    {"settings", "Show what a cache keeps to, and change it while it is open",
     "larder settings size=2GiB policy=least-recently-used\n"
     "larder settings entries=100000 durability=timed flush_every=5s",
     declare_settings},
    {"check", "Read everything and tell what is damaged", "larder check --repair", declare_check},
    {"watch", "Follow what changes", "larder watch\nlarder watch --json | jq -r .key", declare_watch},
    {"backup", "Copy a cache as it is at one moment, while it is in use", "larder backup /backups/monday",
     declare_backup},
    {"restore", "Make a cache from a backup", "larder restore /backups/monday --store cache", declare_restore},
    {"bench", "Measure what a cache does on this machine", "larder bench\nlarder bench /var/cache --threads 8",
     declare_bench},
    {"query", "Ask the sources of larder.yaml, through the cache",
     "larder query 'SELECT origin, avg(delay) FROM flights GROUP BY ALL'\n"
     "larder query 'SELECT * FROM flights WHERE delay > $1 LIMIT 5' --param 120",
     declare_query},
    {"serve", "Serve the sources, the cache and the page over HTTP", "larder serve --listen 127.0.0.1:0",
     declare_serve},
};

int exit_code(Code code) { return error_row(code).exit_code; }

// What the command line was, in one line, and where to read on.
int misused(const CLI::App& app, const std::string& what) {
  const std::string place = app.get_parent() == nullptr ? "" : app.get_name() + ": ";
  tell("larder: " + place + what + "; see '" + full_name(app) + " --help'");
  return exit_code(Code::kInvalid);
}

// CLI11 takes '[a,b]' apart where many words may come, and '++' for the end of a subcommand. Both are good keys, so
// such words wear a mark while CLI11 has them.
constexpr char kMark = '\x01';
std::string marked(std::string word) {
  return word == "++" || (!word.empty() && (word[0] == '[' || word[0] == kMark)) ? kMark + word : word;
}
std::string unmarked(std::string word) { return !word.empty() && word[0] == kMark ? word.substr(1) : word; }

// CLI11's reason, or better: the first word that it could not place, with a guess.
std::string sentence(const CLI::ParseError& error, const CLI::App& app, const CLI::App& chosen) {
  std::vector<std::string> known;
  for (const CLI::Option* option : chosen.get_options())
    if (!option->get_positional()) known.push_back(word_of(*option));
  const std::vector<std::string_view> views(known.begin(), known.end());
  for (const std::string& word : app.remaining(true)) {
    if (word.size() < 2 || word[0] != '-' || word == "--") continue;
    const std::string name = word.substr(0, word.find('='));
    if (std::find(known.begin(), known.end(), name) != known.end())
      return "'" + name + "' belongs after the command's name";
    return "no option '" + printable(name) + "'" + did_you_mean(name, views);
  }
  for (const std::string& word : app.remaining(true))
    if (word != "--") return "unexpected '" + printable(unmarked(word)) + "'";
  return error.what();
}

int parse_and_run(int argc, const char* const* argv) {
  CLI::App app("Larder: one cache for data apps. A cache is a directory; all programs that open it share its entries.",
               "larder");
  app.set_help_flag("-h,--help", "Print this help");
  app.set_version_flag("--version", "larder " LARDER_VERSION, "Print the version");
  app.require_subcommand(0, 1);  // so that a later word is never taken for another
  app.footer("\n'larder COMMAND --help' tells more of each.");

  std::vector<Run> runs;
  std::vector<CLI::App*> subs;
  std::vector<std::string_view> names;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    std::string examples = command.examples;
    for (std::size_t at = 0; (at = examples.find('\n', at)) != std::string::npos; at += 3)
      examples.insert(at + 1, "  ");
    sub->footer("\nFor example:\n  " + examples);
    runs.push_back(command.declare(*sub));
    for (CLI::Option* option : sub->get_options())
      if (option->get_items_expected_max() > 0) option->transform(unmarked);
    subs.push_back(sub);
    names.emplace_back(command.name);
  }

  if (argc < 2) {
    tell(help_of(app));
    return exit_code(Code::kInvalid);
  }
  const std::string first = argv[1];
  if (first.substr(0, 1) != "-" && std::find(names.begin(), names.end(), first) == names.end())
    return misused(app, "no command '" + printable(first) + "'" + did_you_mean(first, names));

  std::vector<std::string> words;  // the last first, as CLI11 wants them
  for (int i = argc; i-- > 1;) words.push_back(marked(argv[i]));
  const CLI::App* chosen = &app;
  try {
    app.parse(words);
  } catch (const CLI::CallForVersion& version) {
    put(std::string(version.what()) + "\n");
    return 0;
  } catch (const CLI::CallForHelp&) {
    for (const CLI::App* sub : app.get_subcommands()) chosen = sub;
    put(help_of(*chosen));
    return 0;
  } catch (const CLI::ParseError& error) {
    for (const CLI::App* sub : app.get_subcommands()) chosen = sub;
    return misused(*chosen, sentence(error, app, *chosen));
  }
  for (std::size_t i = 0; i < subs.size(); ++i) {
    if (!subs[i]->parsed()) continue;
    Status status = runs[i]();
    const Status written = flush_output();
    if (status.ok()) status = written;
    if (status.ok()) return 0;
    tell("larder: " + status.error().message);
    return exit_code(status.error().code);
  }
  return misused(app, "a command is missing");
}

}  // namespace

int run(int argc, const char* const* argv) {
  try {
    const int code = parse_and_run(argc, argv);
    if (const Status written = flush_output(); !written.ok() && code == 0) {
      tell("larder: " + written.error().message);
      return exit_code(written.error().code);
    }
    return code;
  } catch (const std::bad_alloc&) {
    tell("larder: out of memory");
    return exit_code(Code::kInternal);
  } catch (const std::exception& error) {
    tell(std::string("larder: this is a defect in larder, please report it: ") + error.what());
    return exit_code(Code::kInternal);
  }
}

}  // namespace larder::cli
