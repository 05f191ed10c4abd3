// The sources that a configuration declares, opened.
#pragma once

#include <larder/result.h>

#include <memory>

#include "server/config.h"
#include "sources/files.h"

namespace larder::server {

// kInvalid: as FilesSource::open() says.
Result<std::unique_ptr<sources::FilesSource>> open_sources(const Config& config);

}  // namespace larder::server
