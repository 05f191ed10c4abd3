// The Arrow C data interface: columns of one process, lent by whoever made them.
// https://arrow.apache.org/docs/format/CDataInterface.html
#pragma once

#include <cstdint>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

// The names and the order of the members are the published interface's.
extern "C" {
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};
}

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

#endif

namespace larder::arrow {

// Releases what it holds when it goes. T: ArrowSchema or ArrowArray. Move-only.
template <typename T>
class Held {
 public:
  Held() = default;
  Held(Held&& other) noexcept : it_(other.it_) { other.it_.release = nullptr; }
  Held& operator=(Held&& other) noexcept {
    if (this != &other) {
      reset();
      it_ = other.it_;
      other.it_.release = nullptr;
    }
    return *this;
  }
  ~Held() { reset(); }

  // For a function that fills it in; what was held is released.
  T* fill() {
    reset();
    return &it_;
  }
  const T& operator*() const { return it_; }
  const T* operator->() const { return &it_; }
  explicit operator bool() const { return it_.release != nullptr; }
  void reset() {
    if (it_.release != nullptr) it_.release(&it_);
    it_ = T{};
  }

 private:
  T it_{};
};

using HeldSchema = Held<ArrowSchema>;
using HeldArray = Held<ArrowArray>;

}  // namespace larder::arrow
