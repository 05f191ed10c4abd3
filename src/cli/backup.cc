// backup and restore: long work, with a line of progress at a terminal.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/try.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

struct Words {
  std::string store;
  std::string other;
  bool json = false;
};

// "1.2 GiB of 3 GiB", at the foot of a terminal until the work ends.
class ProgressLine {
 public:
  ~ProgressLine() { write("\r\x1b[K"); }
  Progress told() {
    return [this](std::uint64_t done, std::uint64_t all) {
      write("\r\x1b[K" + format_bytes(done) + " of " + format_bytes(all));
      return true;
    };
  }

 private:
  void write(const std::string& text) const {
    if (shown_) (void)!::write(STDERR_FILENO, text.data(), text.size());
  }

  const bool shown_ = isatty(STDERR_FILENO) == 1;
};

Status run_backup(const Words& words) {
  Cache cache = TRY(open_store(words.store, Access::kWrite));
  {
    ProgressLine line;
    TRY(cache.backup(words.other, line.told()));
  }
  const std::uint64_t bytes = cache.stats().value_bytes;
  if (look_of_stdout(words.json).json)
    put(line_of({{"backup", words.other}, {"bytes", bytes}}));
  else
    put(printable(words.other) + ": " + format_bytes(bytes) + "\n");
  return {};
}

Status run_restore(const Words& words) {
  if (words.store.empty()) return Error{Code::kInvalid, "--store names no directory"};
  std::optional<CheckReport> report;
  {
    ProgressLine line;
    report = TRY(Cache::restore(words.other, words.store, line.told()));
  }
  if (look_of_stdout(words.json).json) {
    put(line_of({{"entries", report->entries}, {"bytes", report->bytes}, {"findings", report->findings}}));
  } else {
    for (const std::string& finding : report->findings) put(printable(finding) + "\n");
    put(std::to_string(report->entries) + (report->entries == 1 ? " entry" : " entries") + " restored, " +
        format_bytes(report->bytes) + "\n");
  }
  if (report->findings.empty()) return {};
  return Error{Code::kCorrupt, "was damaged; what is right was restored"}.in(words.other);
}

}  // namespace

Run declare_backup(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("directory", words->other, "Where the copy is made; must not be there yet")->required();
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run_backup(*words); };
}

Run declare_restore(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("directory", words->other, "The backup, which stays as it is")->required();
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run_restore(*words); };
}

}  // namespace larder::cli
