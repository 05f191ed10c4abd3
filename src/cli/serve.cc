#include "server/serve.h"

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace larder::cli {

Run declare_serve(CLI::App& app) {
  auto options = std::make_shared<server::ServeOptions>();
  options->config = "larder.yaml";
  app.add_option("--config", options->config, "What to serve")->type_name("FILE")->capture_default_str();
  app.add_option("--listen", options->listen, "Address and port, in place of the configuration's; port 0: any free one")
      ->type_name("ADDRESS:PORT");
  app.add_option("--store", options->store, "Directory of the cache, in place of the configuration's")
      ->type_name("DIR");
  app.add_option("--log-level", options->log_level, "debug, info, warn, error or off")
      ->type_name("LEVEL")
      ->capture_default_str();
  app.add_option("--ui-dir", options->ui_dir, "The page from this folder in place of the built-in one")
      ->type_name("DIR");
  return [options] { return server::serve(*options); };
}

}  // namespace larder::cli
