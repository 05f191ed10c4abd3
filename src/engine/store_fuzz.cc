// Damaged files. A small healthy cache is damaged as the input says, in any of its files, and used: nothing may crash,
// hang, or answer a value that was never set. The input: one byte of choices, then changes of 6 bytes and more, each a
// file and a length (1), an offset (3), and the bytes to write there.
#include <larder/cache.h>
#include <larder/stream.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <string>

#include "base/check.h"
#include "base/hash.h"
#include "engine/files.h"
#include "engine/test_directory.h"
#include "engine/test_files.h"

namespace {

using larder::Cache;
using larder::Durability;
using larder::Options;
namespace engine = larder::engine;

constexpr std::uint64_t kLimit = 16 << 20;
const engine::Geometry kGeometry{engine::Geometry::kCapacityTimes * kLimit, 1,
                                 engine::Geometry::default_segment_shift(kLimit, 1)};
const Options kOptions{.size_limit_bytes = kLimit, .durability = Durability::kNone};

std::string key_of(int i) { return "key " + std::to_string(i); }
constexpr int kKeys = 60;
constexpr int kLargeEach = 25;  // every so many is a large value, in a file of its own
std::string value_of(int i) {
  const std::size_t size =
      i % kLargeEach == 1 ? kGeometry.segment_bytes() / 2 + 1 : static_cast<std::size_t>(i * 7 % 400);
  return std::string(size, static_cast<char>('a' + i % 26));
}

struct Healthy {
  std::string ctl;
  std::string idx;  // the first pages of the buckets
  std::string log;  // of the first segment
  std::map<std::filesystem::path, std::string> blobs;
};

const Healthy& healthy() {
  static const Healthy files = [] {
    engine::TestDirectory directory;
    {
      Cache cache = Cache::open(directory.path(), kOptions).value();
      for (int i = 0; i < kKeys; ++i) cache.set(key_of(i), value_of(i), {.ttl_ms = i % 3 == 0 ? 3'600'000 : 0}).value();
      for (int i = 0; i < kKeys; i += 5) cache.del(key_of(i)).value();
      for (int i = 0; i < kKeys; i += 7) cache.set(key_of(i), value_of(i)).value();
    }
    std::map<std::filesystem::path, std::string> blobs;
    for (const auto& entry : std::filesystem::directory_iterator(directory.path() / "blobs"))
      blobs[entry.path().filename()] = engine::read_bytes(entry.path(), 0, entry.file_size());
    return Healthy{engine::read_bytes(directory.path() / "ctl", 0, kGeometry.ctl_bytes()),
                   engine::read_bytes(directory.path() / "idx", kGeometry.buckets_at(), 256 * sizeof(engine::Bucket)),
                   engine::read_bytes(directory.path() / "log", 0, 32 * 1024), std::move(blobs)};
  }();
  return files;
}

void write_file(const std::filesystem::path& path, std::uint64_t size, std::uint64_t at, const std::string& bytes) {
  const larder::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
  LARDER_CHECK(fd && ::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
  LARDER_CHECK(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)) ==
               static_cast<ssize_t>(bytes.size()));
}

void use(const std::filesystem::path& directory) {
  larder::Result<Cache> opened = Cache::open(directory, kOptions);
  if (!opened.ok()) return;
  Cache& cache = *opened;
  std::string value;
  for (int i = 0; i < kKeys; ++i) {
    // Records are not verified on reads, so a damaged value may be read; what is read is a value of right bounds.
    (void)cache.get(key_of(i), value);
    if (auto pin = cache.get(key_of(i))) value.assign(pin->bytes());
    (void)cache.info(key_of(i));
  }
  if (std::optional<larder::ValueReader> reader = cache.reader(key_of(1))) {
    char part[1000];
    for (;;) {
      const larder::Result<std::size_t> got = reader->read(part);
      if (!got.ok() || *got == 0) break;
    }
  }
  (void)cache.list(0, 20);
  (void)cache.stats();
  (void)cache.check();
  for (int i = 0; i < 40; ++i) {
    (void)cache.set(key_of(i * 2), value_of(i), {.ttl_ms = i % 2 * 1000});
    (void)cache.del(key_of(i * 3));
    (void)cache.touch(key_of(i), 5000);
    (void)cache.incr("n", i);
  }
  const larder::Result<larder::CheckReport> repaired = cache.check(true);
  if (!repaired.ok()) return;
  const larder::CheckReport after = cache.check().value();
  for (const std::string& finding : after.findings) std::fprintf(stderr, "left: %s\n", finding.c_str());
  LARDER_CHECK(after.findings.empty());
  // What is left after a repair is right.
  for (int i = 0; i < kKeys; ++i) {
    if (!cache.get(key_of(i), value)) continue;
    LARDER_CHECK(value.empty() || value.find_first_not_of(value[0]) == std::string::npos);
  }
  (void)cache.clear();
  if (cache.set("a", "1").ok()) LARDER_CHECK(cache.get("a", value) && value == "1");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::uint8_t choices = data[0];
  Healthy files = healthy();
  for (std::size_t at = 1; at + 5 < size;) {
    const bool in_blob = data[at] == 0xff;
    std::string& file = in_blob             ? files.blobs.begin()->second
                        : data[at] % 3 == 0 ? files.ctl
                        : data[at] % 3 == 1 ? files.idx
                                            : files.log;
    const std::size_t length = std::min<std::size_t>(1 + data[at] / 3 % 32, size - at - 4);
    const std::size_t offset =
        (std::size_t{data[at + 1]} | std::size_t{data[at + 2]} << 8 | std::size_t{data[at + 3]} << 16) % file.size();
    for (std::size_t i = 0; i < length && offset + i < file.size(); ++i)
      file[offset + i] = static_cast<char>(data[at + 4 + i]);
    at += 4 + length;
  }
  if ((choices & 1) != 0) {  // the first page as if it were whole, so that what is behind it is reached
    engine::Superblock block;
    std::memcpy(&block, files.ctl.data(), sizeof(block));
    if (block.capacity_bytes > 8 * kLimit) return 0;
    block.checksum = 0;
    block.checksum = static_cast<std::uint32_t>(
        larder::hash64(std::string_view(reinterpret_cast<const char*>(&block), sizeof(block)), engine::kFormatVersion));
    std::memcpy(files.ctl.data(), &block, sizeof(block));
  }
  // A lock word may name a process that lives, whom to wait for would be right: it is left alone.
  std::memcpy(files.ctl.data() + kGeometry.shards_at(), healthy().ctl.data() + kGeometry.shards_at(), 4);
  static const engine::TestDirectory directory;
  write_file(directory.path() / "ctl", (choices & 2) != 0 ? files.ctl.size() / 2 : files.ctl.size(), 0, files.ctl);
  write_file(directory.path() / "idx", kGeometry.idx_bytes(), kGeometry.buckets_at(), files.idx);
  write_file(directory.path() / "log", (choices & 4) != 0 ? files.log.size() : kGeometry.log_bytes(), 0, files.log);
  std::filesystem::remove_all(directory.path() / "blobs");
  std::filesystem::create_directory(directory.path() / "blobs");
  for (const auto& [name, bytes] : files.blobs) {
    const std::string cut = (choices & 16) != 0 ? bytes.substr(0, bytes.size() / 2) : bytes;
    write_file(directory.path() / "blobs" / name, cut.size(), 0, cut);
  }
  if ((choices & 8) != 0) engine::lose_power(directory.path());
  use(directory.path());
  return 0;
}
