// Help of the program and of each subcommand, in two columns.
#pragma once

#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace larder::cli {

std::string help_of(const CLI::App& app);

// "larder set", for sentences.
std::string full_name(const CLI::App& app);
// "KEY", "--ttl": as a user writes it.
std::string word_of(const CLI::Option& option);

}  // namespace larder::cli
