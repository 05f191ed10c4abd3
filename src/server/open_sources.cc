#include "server/open_sources.h"

namespace larder::server {

Result<std::unique_ptr<sources::FilesSource>> open_sources(const Config& config) {
  sources::FilesSource::Options options{
      .places = {}, .memory_bytes_max = config.query.memory_bytes, .threads = config.query.threads, .spill = {}};
  for (const Config::Source& source : config.sources)
    options.places.push_back({source.name, source.path, sources::format_named(source.format)});
  return sources::FilesSource::open(options);
}

}  // namespace larder::server
