// Counts how often it was run, whoever runs it: visits DIRECTORY [NAME]
//
// A first run says 1, a second says 2, and a hundred at once still count right.
#include <larder/cache.h>

#include <iostream>
#include <string>

namespace {

// What the world refuses comes back as an Error, never as an exception.
larder::Status visit(const char* directory, const std::string& name) {
  larder::Options options;
  options.size_limit_bytes = 64 << 20;  // counts when the directory is made
  auto opened = larder::Cache::open(directory, options);
  if (!opened) return opened.error();
  larder::Cache cache = std::move(opened).value();

  // Counting is atomic, over all processes.
  const auto visits = cache.incr("visits:" + name);
  if (!visits) return visits.error();
  std::cout << name << " was here " << *visits << " times\n";

  // A value may have a time to live. A view of it stays valid as long as its Pin, whatever others do meanwhile.
  if (const auto pin = cache.get("last")) {
    std::cout << "the last one was " << pin->bytes() << '\n';
  } else {
    std::cout << "nobody was here lately\n";
  }
  return cache.set("last", name, {.ttl_ms = 60 * 60 * 1000});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: visits DIRECTORY [NAME]\n";
    return 2;
  }
  const larder::Status done = visit(argv[1], argc > 2 ? argv[2] : "somebody");
  if (!done) std::cerr << "visits: " << done.error().message << '\n';
  return done ? 0 : 1;
}
