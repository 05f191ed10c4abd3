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
  bool repair = false;
  bool json = false;
};

Status run(const Words& words) {
  Cache cache = TRY(open_store(words.store, words.repair ? Access::kWrite : Access::kRead));
  const CheckReport report = TRY(cache.check(words.repair));
  if (look_of_stdout(words.json).json) {
    put(line_of({{"entries", report.entries},
                 {"bytes", report.bytes},
                 {"findings", report.findings},
                 {"repaired", report.repaired}}));
  } else {
    for (const std::string& finding : report.findings) put(printable(finding) + "\n");
    put(std::to_string(report.entries) + (report.entries == 1 ? " entry" : " entries") + " right, " +
        format_bytes(report.bytes));
    if (report.repaired > 0) put("; " + std::to_string(report.repaired) + " repaired");
    put("\n");
  }
  if (report.findings.size() <= report.repaired) return {};
  const std::size_t count = report.findings.size();
  return Error{Code::kCorrupt, "damaged, " + std::to_string(count) + (count == 1 ? " finding" : " findings") +
                                   (words.repair ? "" : "; 'larder check --repair' puts right what can be")}
      .in(words.store);
}

}  // namespace

Run declare_check(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_flag("--repair", words->repair, "Take out what is damaged and build the index anew where it is wrong");
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
