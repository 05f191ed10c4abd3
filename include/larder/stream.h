// Values written and read part by part, so that none has to be in memory whole.
//
//   larder::ValueWriter out = cache.writer("backup.tar").value();
//   while (more()) out.write(next_part()).value();
//   out.commit().value();  // from now on it is there; without this nothing is left of it
//
//   if (std::optional<larder::ValueReader> in = cache.reader("backup.tar"))
//     while (std::size_t got = in->read(buffer).value()) use(buffer, got);
//
// What Cache::get() gives of a large value is a map of its file, which needs no memory either; read by stream where a
// failing disk must be an error and not a signal (SIGBUS).
//
// Threads: one of them at a time. They must not outlive their Cache.
#pragma once

#include <larder/cache.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace larder {

// A value on its way into the cache. Readers see what was there before until commit(), and then all of it at once.
class ValueWriter {
 public:
  ValueWriter(ValueWriter&&) noexcept;
  ValueWriter& operator=(ValueWriter&&) noexcept;
  // Not committed: nothing is left of it.
  ~ValueWriter();

  // kTooLarge, kNoSpace: as Cache::set; the value cannot be committed then.
  Status write(std::string_view bytes);
  // So many bytes so far.
  std::uint64_t bytes() const;
  // Once. The ttl counts from here.
  Status commit();

 private:
  friend class Cache;
  class Impl;
  explicit ValueWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A value as it was when Cache::reader() was called, whatever happens to the entry meanwhile.
class ValueReader {
 public:
  ValueReader(ValueReader&&) noexcept;
  ValueReader& operator=(ValueReader&&) noexcept;
  ~ValueReader();

  const EntryInfo& info() const;
  // The next bytes into `to`, at least one; 0: that was all. kIo, kCorrupt: the disk failed, or somebody cut the file.
  Result<std::size_t> read(std::span<char> to);
  // Reading goes on at this byte; behind the end there is nothing to read.
  void seek(std::uint64_t at);

 private:
  friend class Cache;
  class Impl;
  explicit ValueReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder
