// CLI11's own help repeats types, defaults and counts in brackets; this one says each thing once.
#include "cli/help.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

namespace larder::cli {
namespace {

using Line = std::pair<std::string, std::string>;

bool takes_many(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

std::string left_of(const CLI::Option& option) {
  if (option.get_positional()) return word_of(option);
  std::string text = option.get_name(false, true);  // "-q,--quiet"
  if (const std::size_t comma = text.find(','); comma != std::string::npos) text.insert(comma + 1, " ");
  if (option.get_items_expected_max() > 0 && !option.get_type_name().empty()) text += " " + option.get_type_name();
  return text;
}

std::string right_of(const CLI::Option& option) {
  std::string text = option.get_description();
  if (!option.get_default_str().empty()) text += " (default " + option.get_default_str() + ")";
  if (!option.get_envname().empty()) text += "; also from $" + option.get_envname();
  return text;
}

std::string usage_of(const CLI::App& app) {
  std::string usage = "Usage: " + full_name(app);
  if (!app.get_subcommands({}).empty()) return usage + " COMMAND [OPTION...]";
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    usage += option->get_required() ? " " + word_of(*option) : " [" + word_of(*option) + "]";
  }
  return usage + " [OPTION...]";
}

void append(std::string& help, const std::string& title, const std::vector<Line>& lines, std::size_t width) {
  if (lines.empty()) return;
  help += title.empty() ? "\n" : "\n" + title + ":\n";
  for (const auto& [left, right] : lines) {
    help.append("  ").append(left).append(width - std::min(width, left.size()) + 2, ' ');
    help.append(right).append("\n");
  }
}

}  // namespace

std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : full_name(*app.get_parent()) + " " + app.get_name();
}

std::string word_of(const CLI::Option& option) {
  if (!option.get_positional()) return option.get_name();
  std::string word = option.get_name(true);
  for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return takes_many(option) ? word + "..." : word;
}

std::string help_of(const CLI::App& app) {
  std::vector<Line> words, options, commands;
  for (const CLI::Option* option : app.get_options())
    (option->get_positional() ? words : options).emplace_back(left_of(*option), right_of(*option));
  for (const CLI::App* sub : app.get_subcommands({})) commands.emplace_back(sub->get_name(), sub->get_description());
  std::rotate(options.begin(), options.begin() + std::min<std::size_t>(1, options.size()),
              options.end());  // --help last

  std::size_t width = 0;
  for (const auto* lines : {&words, &options, &commands})
    for (const Line& line : *lines) width = std::max(width, line.first.size());
  std::string help = app.get_description() + "\n\n" + usage_of(app) + "\n";
  append(help, "", words, width);
  append(help, "Commands", commands, width);
  append(help, "Options", options, width);
  return help + app.get_footer() + "\n";
}

}  // namespace larder::cli
