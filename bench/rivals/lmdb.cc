// LMDB as a cache would use it: nothing is synced (MDB_NOSYNC), writes go through the mapping (MDB_WRITEMAP), a read
// transaction is kept for each thread and renewed, a write is a transaction of its own.
#include <lmdb.h>

#include <utility>

#include "../system.h"

namespace bench {
namespace {

void must(int status, const char* what) {
  if (status != MDB_SUCCESS) die(std::string("lmdb: ") + what + ": " + mdb_strerror(status));
}

class Environment final : public Store {
 public:
  explicit Environment(const Place& place) {
    must(mdb_env_create(&env_), "create");
    // Pages are half full at the worst, and overwritten ones wait for their readers.
    must(mdb_env_set_mapsize(env_, (place.data_bytes() * 6 + (256U << 20)) & ~std::size_t{4095}), "map size");
    must(mdb_env_open(env_, place.dir.c_str(), MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS, 0600), "open");
    MDB_txn* txn = nullptr;
    must(mdb_txn_begin(env_, nullptr, 0, &txn), "begin");
    must(mdb_dbi_open(txn, nullptr, 0, &dbi_), "open the database");
    must(mdb_txn_commit(txn), "commit");
  }
  ~Environment() override { mdb_env_close(env_); }
  std::unique_ptr<Worker> worker() override;

  MDB_env* env() const { return env_; }
  MDB_dbi dbi() const { return dbi_; }

 private:
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
};

MDB_val view(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }

class Each {
 public:
  explicit Each(const Environment& store) : store_(&store) {
    must(mdb_txn_begin(store.env(), nullptr, MDB_RDONLY, &reader_), "begin to read");
    mdb_txn_reset(reader_);
  }
  Each(Each&& other) noexcept : store_(other.store_), reader_(std::exchange(other.reader_, nullptr)) {}
  ~Each() {
    if (reader_ != nullptr) mdb_txn_abort(reader_);
  }

  bool get(std::string_view key, std::string& value) {
    must(mdb_txn_renew(reader_), "renew");
    MDB_val wanted = view(key), found{};
    const int status = mdb_get(reader_, store_->dbi(), &wanted, &found);
    if (status == MDB_SUCCESS) value.assign(static_cast<const char*>(found.mv_data), found.mv_size);
    mdb_txn_reset(reader_);
    if (status != MDB_NOTFOUND) must(status, "get");
    return status == MDB_SUCCESS;
  }
  void set(std::string_view key, std::string_view value) {
    MDB_txn* txn = nullptr;
    must(mdb_txn_begin(store_->env(), nullptr, 0, &txn), "begin");
    MDB_val at = view(key), bytes = view(value);
    must(mdb_put(txn, store_->dbi(), &at, &bytes, 0), "put");
    must(mdb_txn_commit(txn), "commit");
  }

 private:
  const Environment* store_;
  MDB_txn* reader_ = nullptr;
};

std::unique_ptr<Worker> Environment::worker() { return each_worker(Each(*this)); }

const Register registered{{
    .name = "lmdb",
    .order = 2,
    .open = [](const Place& place) -> std::unique_ptr<Store> { return std::make_unique<Environment>(place); },
}};

}  // namespace
}  // namespace bench
