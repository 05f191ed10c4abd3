// RocksDB tuned for point lookups, without its write-ahead log and without compression (the values have nothing to
// compress). One process at a time may open it, so each run opens it alone.
#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include "../system.h"

namespace bench {
namespace {

void must(const rocksdb::Status& status, const char* what) {
  if (!status.ok()) die(std::string("rocksdb: ") + what + ": " + status.ToString());
}

class Each {
 public:
  explicit Each(rocksdb::DB* db) : db_(db) { write_.disableWAL = true; }

  bool get(std::string_view key, std::string& value) {
    rocksdb::PinnableSlice found;
    const auto status = db_->Get({}, db_->DefaultColumnFamily(), {key.data(), key.size()}, &found);
    if (status.IsNotFound()) return false;
    must(status, "get");
    value.assign(found.data(), found.size());
    return true;
  }
  void set(std::string_view key, std::string_view value) {
    must(db_->Put(write_, {key.data(), key.size()}, {value.data(), value.size()}), "put");
  }

 private:
  rocksdb::DB* db_;
  rocksdb::WriteOptions write_;
};

class Database final : public Store {
 public:
  explicit Database(const Place& place) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.OptimizeForPointLookup(/*block_cache_size_mb=*/(place.data_bytes() >> 20) * 2 + 64);
    options.compression = rocksdb::kNoCompression;
    rocksdb::DB* db = nullptr;
    must(rocksdb::DB::Open(options, place.dir.string(), &db), "open");
    db_.reset(db);
  }
  ~Database() override { must(db_->Flush({}), "flush"); }  // without a log, what is only in memory would be lost
  std::unique_ptr<Worker> worker() override { return each_worker(Each(db_.get())); }
  void settle() override {
    must(db_->Flush({}), "flush");
    must(db_->CompactRange({}, nullptr, nullptr), "compact");
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

const Register registered{{
    .name = "rocksdb",
    .order = 5,
    .processes = false,
    .open = [](const Place& place) -> std::unique_ptr<Store> { return std::make_unique<Database>(place); },
}};

}  // namespace
}  // namespace bench
