// Several keys in one step, whatever shards they lie in.
//
//   cache.transact([](larder::Transaction& t) -> larder::Status {
//     auto from = t.incr("account:1", -10);
//     if (!from.ok()) return from.error();
//     if (*from < 0) return larder::Error{larder::Code::kInvalid, "not enough on the account"};  // nothing happened
//     auto to = t.incr("account:2", 10);
//     return to.ok() ? larder::Status{} : to.error();
//   });
//
// All of it happens or nothing, for readers in all processes and for the death of any process at any instruction: who
// has seen one of its writes sees all of them. Everything that was read is as it was read at the moment at which the
// writes happen, so transactions (and single calls) have one order (they are serializable).
//
// Optimistic: nothing is locked while the work runs. When others change what it has read, the work is run again, so it
// must be fit to be run several times and should have no effect but on the transaction. A transaction that has lost
// several times makes other transactions wait for it, so none starves for another; single calls do not wait, and can
// make it run again until the deadline.
//
// Limits: the writes that fall into one shard must fit a segment together (kTooLarge, nothing changed). Transactions of
// one Cache are committed one after another. Not for those who opened read-only. All or nothing is kept by power losses
// as well: of what was not flushed a transaction is there whole or not at all, and not without those before it that
// touched the same shards (with Durability::kNone it may be).
#pragma once

#include <larder/cache.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace larder {

// Lives while the work runs, and is used by one thread. Its reads see its own writes. All that was read belongs to one
// moment; when that is not possible any more, calls answer kUnavailable: return it, and the work is run again.
class Transaction {
 public:
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // nullopt: not here. `format`, where given, becomes that of the value (SetOptions::format).
  Result<std::optional<std::string>> get(std::string_view key, std::uint8_t* format = nullptr);
  Result<bool> contains(std::string_view key);

  Status set(std::string_view key, std::string_view value, const SetOptions& options = {});
  // False: it was there, nothing changed.
  Result<bool> add(std::string_view key, std::string_view value, const SetOptions& options = {});
  // False: it was not there.
  Result<bool> del(std::string_view key);
  // As Cache::incr.
  Result<std::int64_t> incr(std::string_view key, std::int64_t delta = 1);

  // A part that may fail by itself: when `work` returns an error, what it wrote is taken back, and the rest of the
  // transaction goes on. The error is returned.
  Status transact(const std::function<Status(Transaction&)>& work);

 private:
  friend struct TransactionAccess;
  class Impl;
  explicit Transaction(Impl& impl) : impl_(impl) {}
  Impl& impl_;
};

}  // namespace larder
