#include "sources/files.h"

namespace larder::sources {

std::optional<Format> format_named(std::string_view name) {
  if (name == "parquet") return Format::kParquet;
  if (name == "csv") return Format::kCsv;
  if (name == "json") return Format::kJson;
  return std::nullopt;
}

std::string_view format_name(Format format) {
  switch (format) {
    case Format::kParquet:
      return "parquet";
    case Format::kCsv:
      return "csv";
    case Format::kJson:
      return "json";
  }
  return "";
}

class FilesSource::Impl {};

namespace {
Error soon() { return Error{Code::kUnsupported, "this build cannot read files"}; }
}  // namespace

FilesSource::FilesSource(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FilesSource::~FilesSource() = default;
Result<std::unique_ptr<FilesSource>> FilesSource::open(const Options&) { return soon(); }
Result<Plan> FilesSource::plan(const Question&) { return soon(); }
Result<std::string> FilesSource::version(const Plan&) { return soon(); }
Result<Answer> FilesSource::run(const Question&, const Plan&, const Limits&, const Cancel&) { return soon(); }
std::vector<Description> FilesSource::describe() { return {}; }

}  // namespace larder::sources
