// Follows the changes of a cache until it is stopped: a line for each, at once.
#include <larder/feed.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
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
  std::optional<std::uint64_t> after;
  std::uint64_t count = 0;
  std::string idle;
  bool json = false;
};

std::atomic<bool> stopped{false};
void stop(int) { stopped.store(true); }

void show(const ChangeEvent& event, const Look& look) {
  const char* const change = event.kind == ChangeEvent::kDeleted ? "deleted" : "set";
  if (!look.json) {
    put(std::string(change) + " " + printable(event.key) + "\n");
    return;
  }
  Json line{{"change", change}};
  put_key(line, event.key);
  line["sequence"] = event.sequence;
  put(line_of(line));
}

Status run(const Words& words) {
  using SteadyClock = std::chrono::steady_clock;
  constexpr std::int64_t kLookMs = 200;  // how soon a signal is seen
  std::optional<std::int64_t> idle_ms;
  if (!words.idle.empty()) {
    Result<std::int64_t> read = parse_duration_ms(words.idle);
    if (!read.ok()) return std::move(read).error().in("--idle");
    idle_ms = *read;
  }
  const Cache cache = TRY(open_store(words.store, Access::kRead));
  const Look look = look_of_stdout(words.json);
  struct sigaction action {};
  action.sa_handler = stop;
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);

  std::uint64_t at = words.after ? *words.after : TRY(cache.changes(0, 0)).next;
  std::uint64_t shown = 0;
  SteadyClock::time_point last = SteadyClock::now();
  while (!stopped.load()) {
    const Changes changes = TRY(cache.changes(at));
    if (changes.lost) {
      put(look.json ? line_of({{"change", "lost"}, {"sequence", changes.next}}) : "lost: start over\n");
      if (++shown == words.count) return {};
    }
    for (const ChangeEvent& event : changes.events) {
      show(event, look);
      if (++shown == words.count) return {};
    }
    TRY(flush_output());
    const bool moved = changes.next != at;
    at = changes.next;
    if (changes.lost || !changes.events.empty()) last = SteadyClock::now();
    if (moved) continue;
    const auto quiet_ms = std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - last).count();
    if (idle_ms && quiet_ms >= *idle_ms) return {};
    (void)cache.wait_changes(at, kLookMs);
  }
  return {};
}

}  // namespace

Run declare_watch(CLI::App& app) {
  auto words = std::make_shared<Words>();
  app.add_option("--after", words->after,
                 "Changes after this sequence; 0: all that are still known; without, from now on")
      ->type_name("SEQUENCE");
  app.add_option("--count", words->count, "End after so many; 0: go on until stopped")
      ->type_name("COUNT")
      ->capture_default_str();
  app.add_option("--idle", words->idle, "End when nothing has changed for so long")->type_name("DURATION");
  add_store_option(app, words->store);
  add_json_option(app, words->json);
  return [words] { return run(*words); };
}

}  // namespace larder::cli
