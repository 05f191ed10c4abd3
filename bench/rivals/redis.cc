// Redis over a unix socket, nothing saved to disk; a batch of operations is one pipeline. A latency run has batches of
// one, and so measures a round trip. The server is ours: started in a directory of its own, stopped by its process id.
#include <fcntl.h>
#include <hiredis.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "../system.h"

namespace bench {
namespace {

std::string socket_of(const Place& place) {
  std::string path = (place.dir / "redis.sock").string();
  if (path.size() > 107) die("redis: a unix socket's path has at most 107 bytes; choose a shorter --dir than " + path);
  return path;
}

class RedisServer final : public Server {
 public:
  explicit RedisServer(const Place& place) : socket_(socket_of(place)) {
    std::vector<std::string> words = {"redis-server",     "--port", "0", "--unixsocket", socket_, "--dir",
                                      place.dir.string(), "--save", "",  "--appendonly", "no"};
    if (place.limit_bytes > 0) {
      words.insert(words.end(),
                   {"--maxmemory", std::to_string(place.limit_bytes), "--maxmemory-policy", "allkeys-lru"});
    }
    pid_ = fork();
    if (pid_ < 0) die("fork failed");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int log = open((place.dir / "redis.log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(log, 1);
      dup2(log, 2);
      std::vector<char*> arguments;
      arguments.reserve(words.size() + 1);
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      execvp(arguments[0], arguments.data());
      _exit(127);
    }
    for (int tries = 0; tries < 500; ++tries) {
      if (redisContext* context = redisConnectUnix(socket_.c_str())) {
        const bool connected = context->err == 0;
        redisFree(context);
        if (connected) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    die("redis-server did not start; is Debian's redis-server installed?");
  }
  ~RedisServer() override {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  int pid() const override { return pid_; }

 private:
  const std::string socket_;
  int pid_ = 0;
};

class Pipeline final : public Worker {
 public:
  explicit Pipeline(const Place& place) : context_(redisConnectUnix(socket_of(place).c_str())) {
    if (context_ == nullptr || context_->err != 0) die("redis: cannot connect");
  }
  ~Pipeline() override { redisFree(context_); }

  void run(const Op* ops, std::size_t count, Tally& tally) override {
    for (const Op* op = ops; op != ops + count; ++op) {
      const std::string_view key = op->key(tally.key_bytes);
      const std::string_view value = op->write ? tally.values->of(op->id) : std::string_view();
      const char* words[] = {op->write ? "SET" : "GET", key.data(), value.data()};
      const std::size_t sizes[] = {3, key.size(), value.size()};
      redisAppendCommandArgv(context_, op->write ? 3 : 2, words, sizes);
    }
    for (const Op* op = ops; op != ops + count; ++op) {
      void* taken = nullptr;
      if (redisGetReply(context_, &taken) != REDIS_OK) die(std::string("redis: ") + context_->errstr);
      auto* reply = static_cast<redisReply*>(taken);
      if (reply->type == REDIS_REPLY_ERROR) die(std::string("redis: ") + reply->str);
      if (!op->write && reply->type == REDIS_REPLY_STRING) tally.took(*op, {reply->str, reply->len});
      freeReplyObject(reply);
    }
  }

 private:
  redisContext* context_;
};

class Client final : public Store {
 public:
  explicit Client(const Place& place) : place_(place) {}
  std::unique_ptr<Worker> worker() override { return std::make_unique<Pipeline>(place_); }

  std::uint64_t bytes(const Place& place) override {
    redisContext* context = redisConnectUnix(socket_of(place).c_str());
    auto* reply = static_cast<redisReply*>(redisCommand(context, "INFO memory"));
    const std::string info = reply != nullptr && reply->str != nullptr ? reply->str : "";
    if (reply != nullptr) freeReplyObject(reply);
    redisFree(context);
    const auto number = [&](const std::string& name) -> std::uint64_t {
      const auto at = info.find("\n" + name + ":");
      return at == std::string::npos ? 0 : std::strtoull(info.c_str() + at + name.size() + 2, nullptr, 10);
    };
    return number("used_memory") - number("used_memory_startup");
  }

 private:
  const Place place_;
};

const Register registered{{
    .name = "redis",
    .order = 4,
    .evicts = true,
    .open = [](const Place& place) -> std::unique_ptr<Store> { return std::make_unique<Client>(place); },
    .serve = [](const Place& place) -> std::unique_ptr<Server> { return std::make_unique<RedisServer>(place); },
}};

}  // namespace
}  // namespace bench
