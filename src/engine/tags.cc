#include "engine/tags.h"

#include <algorithm>
#include <cstring>

namespace larder::engine {

namespace {
constexpr std::uint32_t kUsedMost = kTagRows / 2;
}  // namespace

Result<std::string> encode_tags(std::span<const std::string_view> tags, std::uint64_t seed) {
  std::string area;
  if (tags.empty()) return area;
  if (tags.size() > kTagsPerEntry)
    return Error{Code::kTooLarge, std::to_string(tags.size()) + " tags are given, an entry has at most " +
                                      std::to_string(kTagsPerEntry)};
  area.resize(8 + 8 * tags.size());
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const std::string_view tag = tags[i];
    if (tag.empty()) return Error{Code::kInvalid, "a tag is empty"};
    if (tag.size() > kTagBytesMost)
      return Error{Code::kTooLarge, "the tag '" + std::string(tag.substr(0, 32)) + "...' has " +
                                        std::to_string(tag.size()) + " bytes, at most 255 are allowed"};
    const std::uint64_t hash = tag_hash(tag, seed);
    std::memcpy(area.data() + 8 + 8 * i, &hash, 8);
    area.push_back(static_cast<char>(tag.size()));
    area.append(tag);
  }
  area.resize((area.size() + 7) & ~std::size_t{7}, '\0');
  const std::uint64_t head = std::uint64_t{tags.size()} << 32 | area.size();
  std::memcpy(area.data(), &head, 8);
  return area;
}

std::vector<std::string> decode_tags(std::string_view area) {
  std::vector<std::string> tags;
  if (area.size() < 8) return tags;
  std::uint64_t head = 0;
  std::memcpy(&head, area.data(), 8);
  const std::uint64_t count = head >> 32;
  if (count > kTagsPerEntry || 8 + 8 * count > area.size()) return tags;
  std::size_t at = 8 + 8 * count;
  for (std::uint64_t i = 0; i < count && at < area.size(); ++i) {
    const std::size_t size = static_cast<unsigned char>(area[at]);
    if (size > area.size() - at - 1) break;
    tags.emplace_back(area.substr(at + 1, size));
    at += 1 + size;
  }
  return tags;
}

bool Tags::look(const Record& record) const {
  const std::uint32_t at = record.head.tags_at();
  const std::uint64_t count = std::min(record.word(at) >> 32, std::uint64_t{record.head.tags_bytes} / 8 - 1);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (before(record.word(static_cast<std::uint32_t>(at + 8 + 8 * i))) > record.head.sequence) return true;
  }
  return false;
}

std::uint64_t Tags::before(std::uint64_t tag) const {
  for (std::uint64_t i = 0; i < kTagRows; ++i) {
    const TagRow& row = rows_[((tag >> 8) + i) % kTagRows];
    const std::uint64_t found = row.tag.load(std::memory_order_acquire);
    if (found == tag) return row.before.load(std::memory_order_acquire);
    if (found == 0) return 0;
  }
  return 0;
}

std::vector<std::uint64_t> Tags::since(std::uint64_t after) const {
  std::vector<std::uint64_t> sequences;
  for (std::uint32_t i = 0; i < kTagRows; ++i) {
    const std::uint64_t before = rows_[i].before.load(std::memory_order_acquire);
    if (rows_[i].tag.load(std::memory_order_acquire) != 0 && before > after) sequences.push_back(before);
  }
  return sequences;
}

bool Tags::evict(std::uint64_t tag, std::uint64_t before) {
  for (std::uint64_t i = 0; i < kTagRows; ++i) {
    TagRow& row = rows_[((tag >> 8) + i) % kTagRows];
    const std::uint64_t found = row.tag.load(std::memory_order_relaxed);
    if (found != 0 && found != tag) continue;
    if (found == 0) {
      const std::uint32_t used = used_.load(std::memory_order_relaxed);
      if (used >= kUsedMost) return false;
      // Raised first: a reader that sees the row must not be kept from looking. A death in between costs a count.
      used_.store(used + 1, std::memory_order_release);
      row.before.store(before, std::memory_order_release);
      row.tag.store(tag, std::memory_order_release);
    } else if (row.before.load(std::memory_order_relaxed) < before) {
      row.before.store(before, std::memory_order_release);
    }
    return true;
  }
  return false;
}

void Tags::recount() {
  std::uint32_t used = 0;
  for (std::uint32_t i = 0; i < kTagRows; ++i) used += rows_[i].tag.load(std::memory_order_relaxed) != 0 ? 1 : 0;
  used_.store(used, std::memory_order_release);
}

bool Tags::clear(std::uint64_t swept) {
  for (std::uint32_t i = 0; i < kTagRows; ++i) {
    if (rows_[i].tag.load(std::memory_order_relaxed) != 0 && rows_[i].before.load(std::memory_order_relaxed) > swept)
      return false;
  }
  // A death on the way leaves rows that nothing needs any more.
  for (std::uint32_t i = 0; i < kTagRows; ++i) {
    rows_[i].tag.store(0, std::memory_order_release);
    rows_[i].before.store(0, std::memory_order_release);
  }
  used_.store(0, std::memory_order_release);
  return true;
}

}  // namespace larder::engine
