// What a system must do to be measured, and the list of those that this build has.
//
// One file a system. It defines a Store and a Worker and registers a System, as rivals/absl.cc shows. A worker runs a
// short batch of operations in order: the call across the interface is paid once a batch, not once an operation, and a
// system that talks to a server may send the batch as one pipeline.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data.h"

namespace bench {

// Where a store lies and what it will hold.
struct Place {
  std::filesystem::path dir;  // exists, and is this store's alone
  std::uint64_t keys = 0;
  std::uint64_t key_bytes = 0;
  std::uint64_t value_bytes = 0;
  std::uint64_t limit_bytes = 0;  // the system must evict to stay within; 0: it keeps everything
  bool recently_used = false;     // by least recently used, where it has the choice

  std::uint64_t data_bytes() const { return keys * (key_bytes + value_bytes); }
};

// One thread's way into a store. Used by one thread.
class Worker {
 public:
  virtual ~Worker() = default;
  // Does the operations in order. Each value that a get gave is handed to `tally`, copied out of the store.
  virtual void run(const Op* ops, std::size_t count, Tally& tally) = 0;
};

// A system opened by one process.
class Store {
 public:
  virtual ~Store() = default;
  virtual std::unique_ptr<Worker> worker() = 0;
  // Called once after the first fill: ends work that the system put off, so that it is not paid by what comes next.
  virtual void settle() {}
  // Bytes the system takes for what it holds; default: of the files in the directory.
  virtual std::uint64_t bytes(const Place& place);
};

// A server that must run while its store is used. Stopped, by its process id, when destroyed.
class Server {
 public:
  virtual ~Server() = default;
  virtual int pid() const = 0;
};

struct System {
  std::string_view name;
  int order = 0;          // in tables
  bool shared = true;     // lives outside the process, and is kept between runs
  bool processes = true;  // several may have it open at once; needs `shared`
  bool evicts = false;    // has a size limit at which old entries make room
  std::unique_ptr<Store> (*open)(const Place&) = nullptr;
  std::unique_ptr<Server> (*serve)(const Place&) = nullptr;  // nullptr: needs none
};

// The systems of this build, in the order of tables.
const std::vector<System>& systems();

// A file-level `const Register registered{{...}};` puts a system on the list.
struct Register {
  explicit Register(System system);
};

// Ends this process with the reason on stderr: a benchmark that cannot do its work has no figure to give.
[[noreturn]] void die(const std::string& reason);

// A worker made of get(key, value) and set(key, value), one operation at a time.
template <typename Each>
class EachWorker final : public Worker {
 public:
  explicit EachWorker(Each each) : each_(std::move(each)) {}

  void run(const Op* ops, std::size_t count, Tally& tally) override {
    for (const Op* op = ops; op != ops + count; ++op) {
      if (op->write) {
        each_.set(op->key(tally.key_bytes), tally.values->of(op->id));
      } else if (each_.get(op->key(tally.key_bytes), value_)) {
        tally.took(*op, value_);
      }
    }
  }

 private:
  Each each_;
  std::string value_;
};

template <typename Each>
std::unique_ptr<Worker> each_worker(Each each) {
  return std::make_unique<EachWorker<Each>>(std::move(each));
}

}  // namespace bench
