/* larder/larder.h as a C program sees it: compiled as C99, linked with the shared library. What entries do is tested in
 * src/engine; here is what the C face adds: answers, errors, ownership, structs that grow, threads, fork. */
#define _XOPEN_SOURCE 700

#include <larder/larder.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int failures = 0;
static const char* running = "";

#define CHECK(condition)                                                                   \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      ++failures;                                                                          \
      fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, running, #condition); \
    }                                                                                      \
  } while (0)

/* The small language of this file: keys and values are words. */
static char directory[64];
static larder_cache* cache;
static larder_error error;

static int set(const char* key, const char* value) {
  return larder_set(cache, key, strlen(key), value, strlen(value), NULL, &error);
}
/* Whether the value under `key` is `wanted`; NULL: that there is none. */
static int holds(const char* key, const char* wanted) {
  void* value = NULL;
  size_t bytes = 0;
  const int found = larder_get(cache, key, strlen(key), &value, &bytes, &error);
  int same = 0;
  if (wanted == NULL) {
    same = found == 0 && value == NULL;
  } else {
    same = found == 1 && bytes == strlen(wanted) && strcmp(value, wanted) == 0;
  }
  larder_free(value);
  return same;
}
static int says(const char* words) { return strstr(error.message, words) != NULL; }

static void begin(const char* name) {
  running = name;
  strcpy(directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/larder-c-XXXXXX" : "/tmp/larder-c-XXXXXX");
  CHECK(mkdtemp(directory) != NULL);
  larder_options options = LARDER_OPTIONS_INIT;
  options.size_limit_bytes = 16 << 20;
  options.durability = LARDER_DURABILITY_NONE;
  if (larder_open(directory, &options, &cache, &error) < 0) {
    fprintf(stderr, "%s: %s\n", name, error.message);
    exit(1);
  }
}
static void end(void) {
  larder_close(cache);
  cache = NULL;
  char path[128];
  const char* const files[] = {"ctl", "idx", "log"};
  for (size_t i = 0; i < 3; ++i) {
    snprintf(path, sizeof path, "%s/%s", directory, files[i]);
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/blobs", directory);
  rmdir(path); /* there only where a value was large, and empty then */
  CHECK(rmdir(directory) == 0);
}

static void entries(void) {
  begin("entries");
  CHECK(set("a", "1") == 0);
  CHECK(holds("a", "1"));
  CHECK(holds("b", NULL));
  CHECK(larder_add(cache, "a", 1, "2", 1, NULL, &error) == 0);
  CHECK(larder_add(cache, "b", 1, "2", 1, NULL, &error) == 1);
  CHECK(larder_contains(cache, "b", 1, &error) == 1);
  CHECK(larder_del(cache, "b", 1, &error) == 1);
  CHECK(larder_del(cache, "b", 1, &error) == 0);
  CHECK(larder_contains(cache, "b", 1, &error) == 0);

  int64_t sum = 0;
  CHECK(larder_incr(cache, "a", 1, -3, &sum, &error) == 0 && sum == -2);
  CHECK(larder_incr(cache, "a", 1, 1, NULL, &error) == 0 && holds("a", "-1"));

  CHECK(larder_set(cache, "\0\n", 2, "\0v", 2, NULL, &error) == 0);
  void* value = NULL;
  size_t bytes = 0;
  CHECK(larder_get(cache, "\0\n", 2, &value, &bytes, NULL) == 1 && bytes == 2 && memcmp(value, "\0v", 3) == 0);
  larder_free(value);
  CHECK(larder_set(cache, "empty", 5, NULL, 0, NULL, &error) == 0);
  CHECK(larder_get(cache, "empty", 5, &value, NULL, NULL) == 1 && strcmp(value, "") == 0);
  larder_free(value);

  uint64_t removed = 0;
  CHECK(larder_clear(cache, &removed, &error) == 0 && removed == 3);
  CHECK(holds("a", NULL));
  CHECK(larder_flush(cache, &error) == 0);
  end();
}

static void expiry(void) {
  begin("expiry");
  larder_set_options options = LARDER_SET_OPTIONS_INIT;
  options.ttl_ms = 3600 * 1000;
  CHECK(larder_set(cache, "a", 1, "1", 1, &options, &error) == 0);
  larder_info info = LARDER_INFO_INIT;
  CHECK(larder_get_info(cache, "a", 1, &info, &error) == 1);
  CHECK(info.expires_ms >= info.stored_ms + 3599 * 1000 && info.value_bytes == 1 && info.sequence > 0);
  CHECK(larder_touch(cache, "a", 1, 0, &error) == 1);
  CHECK(larder_get_info(cache, "a", 1, &info, &error) == 1 && info.expires_ms == 0);
  CHECK(larder_touch(cache, "b", 1, 1000, &error) == 0);
  CHECK(larder_get_info(cache, "b", 1, &info, &error) == 0);
  options.ttl_ms = -1;
  CHECK(larder_add(cache, "b", 1, "1", 1, &options, &error) == LARDER_INVALID && says("ttl_ms is -1"));
  end();
}

static void buffers_and_pins(void) {
  begin("buffers_and_pins");
  CHECK(set("a", "something") == 0);
  char buffer[16] = "untouched";
  size_t bytes = 0;
  CHECK(larder_get_into(cache, "a", 1, buffer, 8, &bytes, &error) == 1 && bytes == 9);
  CHECK(strcmp(buffer, "untouched") == 0);
  CHECK(larder_get_into(cache, "a", 1, buffer, 9, &bytes, &error) == 1 && memcmp(buffer, "something", 9) == 0);
  CHECK(larder_get_into(cache, "a", 1, NULL, 0, &bytes, &error) == 1 && bytes == 9);
  CHECK(larder_get_into(cache, "b", 1, buffer, 9, &bytes, &error) == 0 && bytes == 0);

  larder_pin* pin = NULL;
  CHECK(larder_get_pin(cache, "a", 1, &pin, &error) == 1);
  CHECK(set("a", "else") == 0 && larder_del(cache, "a", 1, &error) == 1);
  const void* seen = larder_pin_bytes(pin, &bytes);
  CHECK(bytes == 9 && memcmp(seen, "something", 9) == 0);
  larder_info info = LARDER_INFO_INIT;
  CHECK(larder_pin_info(pin, &info, &error) == 0 && info.value_bytes == 9);
  larder_pin_release(pin);
  CHECK(larder_get_pin(cache, "a", 1, &pin, &error) == 0 && pin == NULL);
  larder_pin_release(pin);
  end();
}

static void errors(void) {
  begin("errors");
  void* value = &value;
  CHECK(larder_set(cache, "", 0, "1", 1, NULL, &error) == LARDER_INVALID);
  CHECK(error.code == LARDER_INVALID && strcmp(error.message, "the key is empty") == 0);
  CHECK(larder_set(cache, "", 0, "1", 1, NULL, NULL) == LARDER_INVALID);
  CHECK(larder_set(cache, NULL, 1, "1", 1, NULL, &error) == LARDER_INVALID && says("key is NULL"));
  CHECK(larder_set(cache, "a", 1, NULL, 1, NULL, &error) == LARDER_INVALID && says("value is NULL"));
  CHECK(larder_get(NULL, "a", 1, &value, NULL, &error) == LARDER_INVALID && says("cache is NULL") && value == NULL);
  CHECK(larder_get(cache, "a", 1, NULL, NULL, &error) == LARDER_INVALID && says("value is NULL"));
  CHECK(larder_list(cache, 0, 1, NULL, NULL, &error) == LARDER_INVALID && says("items is NULL"));
  CHECK(set("a", "word") == 0);
  CHECK(larder_incr(cache, "a", 1, 1, NULL, &error) == LARDER_INVALID);
  const size_t most = (size_t)larder_value_bytes_max(cache);
  char* large = calloc(1, most + 1);
  CHECK(larder_set(cache, "a", 1, large, most + 1, NULL, &error) == LARDER_TOO_LARGE && holds("a", "word"));
  free(large);

  /* A success leaves the error alone. */
  strcpy(error.message, "left");
  CHECK(set("a", "1") == 0 && says("left"));

  /* A message longer than its place is cut, between letters. */
  char path[1100] = "x";
  for (size_t i = 1; i + 2 < sizeof path; i += 2) memcpy(path + i, "\xc3\xa4", 3);
  larder_options options = LARDER_OPTIONS_INIT;
  larder_cache* other = cache;
  options.must_exist = 1;
  CHECK(larder_open(path, &options, &other, &error) < 0 && other == NULL);
  const size_t length = strlen(error.message);
  CHECK(length >= sizeof error.message - 2 && memcmp(error.message + length - 2, "\xc3\xa4", 2) == 0);

  CHECK(larder_open("/nonexistent-by-larder", &options, &other, &error) == LARDER_NOT_FOUND);
  CHECK(says("/nonexistent-by-larder"));
  CHECK(larder_open(NULL, NULL, &other, &error) == LARDER_INVALID);
  options.must_exist = 2;
  CHECK(larder_open(directory, &options, &other, &error) == LARDER_INVALID);
  CHECK(strcmp(larder_code_name(LARDER_NOT_FOUND), "not_found") == 0);
  CHECK(strcmp(larder_code_name(LARDER_INTERNAL), "internal") == 0);
  CHECK(strcmp(larder_code_name(LARDER_NO_MEMORY), "no_memory") == 0);
  CHECK(strcmp(larder_code_name(1), "ok") == 0 && strcmp(larder_code_name(-1000), "unknown") == 0);
  CHECK(strcmp(larder_code_name(-2147483647 - 1), "unknown") == 0);
  CHECK(larder_version()[0] != '\0');

  /* Giving back nothing. */
  larder_close(NULL);
  larder_pin_release(NULL);
  larder_items_free(NULL);
  larder_report_free(NULL);
  larder_free(NULL);
  end();
}

static void opening(void) {
  begin("opening");
  larder_options kept = LARDER_OPTIONS_INIT;
  CHECK(larder_get_options(cache, &kept, &error) == 0);
  CHECK(kept.size_limit_bytes == 16 << 20 && kept.durability == LARDER_DURABILITY_NONE && kept.shards >= 1);
  CHECK(strcmp(larder_directory(cache), directory) == 0);

  CHECK(set("a", "1") == 0);
  larder_options options = LARDER_OPTIONS_INIT;
  options.read_only = 1;
  larder_cache* reader = NULL;
  CHECK(larder_open(directory, &options, &reader, &error) == 0);
  CHECK(larder_contains(reader, "a", 1, &error) == 1);
  CHECK(larder_set(reader, "a", 1, "2", 1, NULL, &error) == LARDER_DENIED);
  larder_close(reader);
  CHECK(holds("a", "1"));
  end();
}

/* What a program compiled years from now, or years ago, would pass. */
static void structs_that_grow(void) {
  begin("structs_that_grow");
  struct {
    larder_set_options known;
    int64_t unknown;
  } newer = {LARDER_SET_OPTIONS_INIT, 0};
  newer.known.struct_bytes = sizeof newer;
  CHECK(larder_set(cache, "a", 1, "1", 1, &newer.known, &error) == 0);
  newer.unknown = 1;
  CHECK(larder_set(cache, "a", 1, "2", 1, &newer.known, &error) == LARDER_UNSUPPORTED && says("larder_set_options"));
  CHECK(holds("a", "1"));

  larder_set_options older = LARDER_SET_OPTIONS_INIT;
  older.ttl_ms = 1000;
  older.struct_bytes = sizeof(size_t); /* it had no ttl_ms */
  CHECK(larder_set(cache, "a", 1, "3", 1, &older, &error) == 0);
  larder_info info = LARDER_INFO_INIT;
  CHECK(larder_get_info(cache, "a", 1, &info, &error) == 1 && info.expires_ms == 0);

  struct {
    larder_stats known;
    int64_t unknown;
  } wide = {LARDER_STATS_INIT, 77};
  wide.known.struct_bytes = sizeof wide;
  CHECK(larder_get_stats(cache, &wide.known, &error) == 0);
  CHECK(wide.known.struct_bytes == sizeof wide && wide.known.entries == 1 && wide.known.processes == 1);
  CHECK(wide.unknown == 77);

  info.struct_bytes = offsetof(larder_info, expires_ms);
  info.expires_ms = 77;
  CHECK(larder_get_info(cache, "a", 1, &info, &error) == 1 && info.expires_ms == 77 && info.stored_ms > 0);
  info.struct_bytes = 0;
  CHECK(larder_get_info(cache, "a", 1, &info, &error) == LARDER_INVALID && says("struct_bytes is 0"));
  CHECK(larder_get_info(cache, "a", 1, NULL, &error) == LARDER_INVALID && says("larder_info is NULL"));
  end();
}

static void lists(void) {
  begin("lists");
  CHECK(set("c", "1") == 0 && set("a", "22") == 0 && set("b", "333") == 0);
  larder_items* items = NULL;
  CHECK(larder_list(cache, 0, 2, NULL, &items, &error) == 0 && larder_items_count(items) == 2);
  size_t bytes = 0;
  const void* key = larder_items_key(items, 1, &bytes);
  CHECK(bytes == 1 && memcmp(key, "a", 1) == 0);
  larder_info info = LARDER_INFO_INIT;
  CHECK(larder_items_info(items, 1, &info, &error) == 0 && info.value_bytes == 2);
  CHECK(larder_items_info(items, 2, &info, &error) == LARDER_INVALID && larder_items_key(items, 2, &bytes) == NULL);
  larder_items_free(items);
  CHECK(larder_list(cache, info.place, 10, NULL, &items, &error) == 0 && larder_items_count(items) == 1);
  key = larder_items_key(items, 0, NULL);
  CHECK(memcmp(key, "b", 1) == 0);
  larder_items_free(items);
  end();
}

/* The words as one text: "a,b". */
static const char* joined(const larder_words* words) {
  static char text[256];
  text[0] = '\0';
  for (size_t i = 0; i < larder_words_count(words); ++i) {
    size_t size = 0;
    const char* word = larder_words_at(words, i, &size);
    if (i > 0) strcat(text, ",");
    strncat(text, word, size);
  }
  return text;
}

static void tags_and_filters(void) {
  begin("tags_and_filters");
  const larder_bytes tags[] = {{"red", 3}, {"green", 5}};
  larder_set_options options = LARDER_SET_OPTIONS_INIT;
  options.tags = tags;
  options.tag_count = 2;
  options.cost = 70;
  options.format = 9;
  options.pinned = 1;
  CHECK(larder_set(cache, "user:1", 6, "a", 1, &options, &error) == 0);
  options.tag_count = 1;
  options.pinned = 0;
  CHECK(larder_set(cache, "user:2", 6, "b", 1, &options, &error) == 0);
  CHECK(set("page:1", "c") == 0);

  larder_info info = LARDER_INFO_INIT;
  CHECK(larder_get_info(cache, "user:1", 6, &info, &error) == 1);
  CHECK(info.cost == 70 && info.format == 9 && info.pinned == 1 && info.tagged == 1);
  larder_words* words = NULL;
  CHECK(larder_get_tags(cache, "user:1", 6, &words, &error) == 1);
  CHECK(strstr(joined(words), "red") != NULL && strstr(joined(words), "green") != NULL);
  CHECK(larder_words_at(words, 2, NULL) == NULL);
  larder_words_free(words);
  CHECK(larder_get_tags(cache, "page:1", 6, &words, &error) == 0 && words == NULL);

  larder_tag_stats* counted = NULL;
  CHECK(larder_get_tag_stats(cache, &counted, &error) == 0 && larder_tag_stats_count(counted) == 2);
  size_t size = 0;
  CHECK(memcmp(larder_tag_stats_tag(counted, 0, &size), "green", 5) == 0 && size == 5);
  CHECK(larder_tag_stats_entries(counted, 0) == 1 && larder_tag_stats_entries(counted, 1) == 2);
  CHECK(larder_tag_stats_bytes(counted, 1) > 0 && larder_tag_stats_entries(counted, 2) == 0);
  larder_tag_stats_free(counted);

  larder_filter filter = LARDER_FILTER_INIT;
  uint64_t removed = 77;
  CHECK(larder_evict(cache, &filter, &removed, &error) == LARDER_INVALID && says("names no entries"));
  CHECK(larder_evict(cache, NULL, &removed, &error) == LARDER_INVALID && removed == 77);
  filter.pattern.bytes = "user:?";
  filter.pattern.size = 6;
  larder_items* items = NULL;
  CHECK(larder_list(cache, 0, 10, &filter, &items, &error) == 0 && larder_items_count(items) == 2);
  CHECK(strcmp(joined(larder_items_tags(items, 1)), "red") == 0 && larder_items_tags(items, 2) == NULL);
  larder_items_free(items);
  CHECK(larder_list_back(cache, 0, 10, NULL, &items, &error) == 0 && larder_items_count(items) == 3);
  CHECK(memcmp(larder_items_key(items, 0, NULL), "page:1", 6) == 0);
  larder_items_free(items);

  filter = (larder_filter)LARDER_FILTER_INIT;
  filter.tag.bytes = "green";
  filter.tag.size = 5;
  CHECK(larder_evict(cache, &filter, &removed, &error) == 0 && removed == 1);
  CHECK(holds("user:1", NULL) && holds("user:2", "b"));
  filter = (larder_filter)LARDER_FILTER_INIT;
  filter.prefix.bytes = "page:";
  filter.prefix.size = 5;
  CHECK(larder_evict(cache, &filter, NULL, &error) == 0 && holds("page:1", NULL));
  CHECK(larder_cull(cache, &removed, &error) == 0 && removed == 0);

  CHECK(larder_evict_tag(cache, "red", 3, &error) == 0 && holds("user:2", NULL));
  CHECK(larder_evict_tag(cache, NULL, 0, &error) == LARDER_INVALID);

  options.tags = NULL;
  CHECK(larder_set(cache, "a", 1, "1", 1, &options, &error) == LARDER_INVALID && says("tags is NULL"));
  options = (larder_set_options)LARDER_SET_OPTIONS_INIT;
  options.format = 16;
  CHECK(larder_set(cache, "a", 1, "1", 1, &options, &error) == LARDER_INVALID && says("format is 16"));
  options.format = 0;
  options.keeps_place = 2;
  CHECK(larder_set(cache, "a", 1, "1", 1, &options, &error) == LARDER_INVALID && says("keeps_place is 2"));
  CHECK(holds("a", NULL));
  end();
}

static void comparing(void) {
  begin("comparing");
  CHECK(larder_replace(cache, "a", 1, "1", 1, NULL, &error) == 0 && holds("a", NULL));
  CHECK(larder_compare_and_set(cache, "a", 1, 7, "1", 1, NULL, &error) == 0 && holds("a", NULL));
  CHECK(larder_compare_and_set(cache, "a", 1, 0, "1", 1, NULL, &error) == 1 && holds("a", "1"));
  larder_info first = LARDER_INFO_INIT;
  CHECK(larder_get_info(cache, "a", 1, &first, &error) == 1);
  CHECK(larder_replace(cache, "a", 1, "2", 1, NULL, &error) == 1 && holds("a", "2"));
  CHECK(larder_compare_and_set(cache, "a", 1, first.sequence, "3", 1, NULL, &error) == 0 && holds("a", "2"));
  CHECK(larder_compare_and_del(cache, "a", 1, first.sequence, &error) == 0 && holds("a", "2"));
  CHECK(larder_get_info(cache, "a", 1, &first, &error) == 1);
  CHECK(larder_compare_and_del(cache, "a", 1, first.sequence, &error) == 1 && holds("a", NULL));

  CHECK(set("a", "taken") == 0);
  void* value = NULL;
  size_t bytes = 0;
  larder_info wrong = LARDER_INFO_INIT;
  wrong.struct_bytes = 0;
  CHECK(larder_pop(cache, "a", 1, &value, &bytes, &wrong, &error) == LARDER_INVALID && holds("a", "taken"));
  CHECK(larder_pop(cache, "a", 1, &value, &bytes, &first, &error) == 1 && bytes == 5 && first.value_bytes == 5);
  CHECK(strcmp(value, "taken") == 0);
  larder_free(value);
  CHECK(larder_pop(cache, "a", 1, &value, NULL, NULL, &error) == 0 && value == NULL);
  end();
}

static void many_at_once(void) {
  begin("many_at_once");
  const larder_bytes keys[] = {{"a", 1}, {"none", 4}, {"b", 1}};
  const larder_bytes values[] = {{"1", 1}, {NULL, 0}, {"333", 3}};
  CHECK(larder_set_many(cache, keys, values, 3, NULL, &error) == 0);
  CHECK(larder_del(cache, "none", 4, &error) == 1);
  larder_pin* pins[3];
  CHECK(larder_get_many(cache, keys, 3, pins, &error) == 0);
  size_t bytes = 0;
  CHECK(pins[1] == NULL && memcmp(larder_pin_bytes(pins[2], &bytes), "333", 3) == 0 && bytes == 3);
  for (size_t i = 0; i < 3; ++i) larder_pin_release(pins[i]);
  larder_pin* peeked = NULL;
  CHECK(larder_peek(cache, "a", 1, &peeked, &error) == 1 && memcmp(larder_pin_bytes(peeked, NULL), "1", 1) == 0);
  larder_pin_release(peeked);
  CHECK(larder_get_many(cache, NULL, 3, pins, &error) == LARDER_INVALID && pins[0] == NULL);
  CHECK(larder_set_many(cache, keys, NULL, 3, NULL, &error) == LARDER_INVALID && says("values is NULL"));
  uint64_t removed = 0;
  CHECK(larder_del_many(cache, keys, 3, &removed, &error) == 0 && removed == 2 && holds("a", NULL));
  end();
}

static void settings(void) {
  begin("settings");
  larder_options kept = LARDER_OPTIONS_INIT;
  CHECK(larder_get_options(cache, &kept, &error) == 0 && kept.capacity_bytes >= kept.size_limit_bytes);
  larder_settings change = LARDER_SETTINGS_INIT;
  change.change = LARDER_SETTING_SIZE_LIMIT | LARDER_SETTING_POLICY | LARDER_SETTING_DURABILITY;
  change.size_limit_bytes = 20 << 20;
  change.entry_limit = 5; /* not named in `change` */
  change.policy = LARDER_POLICY_LEAST_RECENTLY_USED;
  change.durability = LARDER_DURABILITY_TIMED;
  CHECK(larder_change(cache, &change, &error) == 0);
  CHECK(larder_get_options(cache, &kept, &error) == 0 && kept.size_limit_bytes == 20 << 20 && kept.entry_limit == 0);
  CHECK(kept.policy == LARDER_POLICY_LEAST_RECENTLY_USED && kept.durability == LARDER_DURABILITY_TIMED);
  change.change = 32;
  CHECK(larder_change(cache, &change, &error) == LARDER_UNSUPPORTED);
  change.change = LARDER_SETTING_SIZE_LIMIT;
  change.size_limit_bytes = 1;
  CHECK(larder_change(cache, &change, &error) == LARDER_INVALID);
  CHECK(larder_change(cache, NULL, &error) == LARDER_INVALID);

  larder_stats whole = LARDER_STATS_INIT;
  larder_stats part = LARDER_STATS_INIT;
  CHECK(set("a", "1") == 0 && larder_get_stats(cache, &whole, &error) == 0 && whole.entries == 1);
  uint64_t sum = 0;
  for (size_t i = 0; i < whole.shards; ++i) {
    CHECK(larder_get_shard_stats(cache, i, &part, &error) == 0);
    sum += part.entries;
  }
  CHECK(sum == 1);
  CHECK(larder_get_shard_stats(cache, (size_t)whole.shards, &part, &error) == LARDER_INVALID && says("no shard"));
  end();
}

static void checking(void) {
  begin("checking");
  CHECK(set("a", "the value that will be damaged") == 0 && set("b", "2") == 0);
  larder_report* report = NULL;
  CHECK(larder_check(cache, 0, &report, &error) == 0);
  CHECK(larder_report_findings(report) == 0 && larder_report_entries(report) == 2 && larder_report_bytes(report) > 0);
  larder_report_free(report);

  larder_pin* pin = NULL;
  CHECK(larder_get_pin(cache, "a", 1, &pin, &error) == 1);
  memcpy((void*)(uintptr_t)larder_pin_bytes(pin, NULL), "THE", 3);
  larder_pin_release(pin);
  CHECK(larder_check(cache, 0, &report, &error) == 0 && larder_report_findings(report) > 0);
  CHECK(strstr(larder_report_finding(report, 0), directory) != NULL);
  CHECK(larder_report_finding(report, larder_report_findings(report)) == NULL);
  larder_report_free(report);
  CHECK(larder_check(cache, 1, &report, &error) == 0 && larder_report_repaired(report) > 0);
  larder_report_free(report);
  CHECK(holds("a", NULL) && holds("b", "2"));
  end();
}

enum { kThreads = 4, kTurns = 500 };

static void* count_and_fail(void* number) {
  for (int i = 0; i < kTurns; ++i) {
    larder_error mine;
    if (larder_incr(cache, "sum", 3, 1, NULL, &mine) < 0) return number;
    /* Each thread has its own refusals. */
    larder_info wrong = LARDER_INFO_INIT;
    wrong.struct_bytes = (size_t)(intptr_t)number;
    char words[32];
    snprintf(words, sizeof words, "struct_bytes is %d;", (int)(intptr_t)number);
    if (larder_get_info(cache, "sum", 3, &wrong, &mine) != LARDER_INVALID) return number;
    if (strstr(mine.message, words) == NULL) return number;
  }
  return NULL;
}

static void threads(void) {
  begin("threads");
  pthread_t all[kThreads];
  for (intptr_t i = 0; i < kThreads; ++i) CHECK(pthread_create(&all[i], NULL, count_and_fail, (void*)(i + 1)) == 0);
  for (int i = 0; i < kThreads; ++i) {
    void* failed = NULL;
    CHECK(pthread_join(all[i], &failed) == 0 && failed == NULL);
  }
  char sum[16];
  snprintf(sum, sizeof sum, "%d", kThreads * kTurns);
  CHECK(holds("sum", sum));
  end();
}

static void forked_children(void) {
  begin("forked_children");
  CHECK(set("sum", "40") == 0);
  const pid_t child = fork();
  if (child == 0) {
    const int wrong = larder_incr(cache, "sum", 3, 2, NULL, NULL) < 0;
    larder_close(cache);
    _exit(wrong);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(holds("sum", "42"));
  end();
}

/* Moves an amount, of which there may be too little. */
static int move(larder_transaction* transaction, void* amount) {
  int64_t left = 0;
  const int64_t moved = *(const int64_t*)amount;
  int answer = larder_transaction_incr(transaction, "from", 4, -moved, &left, &error);
  if (answer < 0) return answer;
  if (left < 0) return LARDER_DENIED;
  return larder_transaction_incr(transaction, "to", 2, moved, NULL, &error);
}
static int fail(larder_transaction* transaction, void* context) {
  CHECK(larder_transaction_set(transaction, "inner", 5, "1", 1, NULL, &error) == 0);
  return *(const int*)context;
}
static int everything(larder_transaction* transaction, void* context) {
  void* value = NULL;
  size_t bytes = 0;
  int refusal = LARDER_EXISTS;
  CHECK(larder_transaction_get(transaction, "none", 4, &value, &bytes, &error) == 0 && value == NULL);
  CHECK(larder_transaction_set(transaction, "a", 1, "1", 1, NULL, &error) == 0);
  CHECK(larder_transaction_get(transaction, "a", 1, &value, &bytes, &error) == 1 && strcmp(value, "1") == 0);
  larder_free(value);
  CHECK(larder_transaction_add(transaction, "a", 1, "2", 1, NULL, &error) == 0);
  CHECK(larder_transaction_add(transaction, "b", 1, "2", 1, NULL, &error) == 1);
  CHECK(larder_transaction_contains(transaction, "b", 1, &error) == 1);
  CHECK(larder_transaction_del(transaction, "b", 1, &error) == 1);
  CHECK(larder_transaction_del(transaction, "b", 1, &error) == 0);
  CHECK(larder_transaction_nested(transaction, fail, &refusal, &error) == LARDER_EXISTS);
  CHECK(larder_transaction_contains(transaction, "inner", 5, &error) == 0);
  CHECK(larder_transaction_set(transaction, "", 0, "1", 1, NULL, &error) == LARDER_INVALID);
  CHECK(larder_transaction_get(NULL, "a", 1, &value, &bytes, &error) == LARDER_INVALID && says("transaction is NULL"));
  CHECK(holds("a", NULL)); /* not yet for others */
  ++*(int*)context;
  return 0;
}
static void transactions(void) {
  begin("transactions");
  int64_t amount = 30;
  CHECK(set("from", "50") == 0);
  CHECK(larder_transact(cache, move, &amount, 1000, &error) == 0);
  CHECK(holds("from", "20") && holds("to", "30"));
  CHECK(larder_transact(cache, move, &amount, 1000, &error) == LARDER_DENIED && error.code == LARDER_DENIED);
  CHECK(holds("from", "20") && holds("to", "30"));
  int runs = 0;
  CHECK(larder_transact(cache, everything, &runs, 1000, &error) == 0 && runs == 1);
  CHECK(holds("a", "1") && holds("b", NULL) && holds("inner", NULL));
  int odd = 7;
  CHECK(larder_transact(cache, fail, &odd, 1000, &error) == LARDER_INVALID && says("answered 7"));
  CHECK(larder_transact(cache, NULL, NULL, 1000, &error) == LARDER_INVALID && says("work is NULL"));
  end();
}

static void changes(void) {
  begin("changes");
  larder_changes* now = NULL;
  CHECK(larder_get_changes(cache, 0, 0, &now, &error) == 0 && larder_changes_count(now) == 0);
  const uint64_t at = larder_changes_next(now);
  larder_changes_free(now);
  CHECK(larder_wait_changes(cache, at, 1, &error) == 0);
  CHECK(set("a", "1") == 0 && set("b", "1") == 0 && larder_del(cache, "a", 1, &error) == 1);
  CHECK(larder_wait_changes(cache, at, 1000, &error) == 1);
  CHECK(larder_get_changes(cache, at, 100, &now, &error) == 0 && larder_changes_lost(now) == 0);
  const size_t count = larder_changes_count(now);
  CHECK(count >= 2);
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const char* const key = larder_changes_key(now, i, &bytes);
    CHECK(bytes == 1 && (*key == 'a' || *key == 'b'));
    CHECK(larder_changes_sequence(now, i) > at);
  }
  CHECK(larder_changes_kind(now, count - 1) == LARDER_CHANGE_DELETED);
  CHECK(larder_changes_kind(now, count - 2) == LARDER_CHANGE_SET);
  CHECK(larder_changes_next(now) > at);
  CHECK(larder_changes_key(now, count, &bytes) == NULL && bytes == 0);
  larder_changes_free(now);
  CHECK(larder_clear(cache, NULL, &error) == 0);
  CHECK(larder_get_changes(cache, at, 100, &now, &error) == 0 && larder_changes_lost(now) == 1);
  larder_changes_free(now);
  CHECK(larder_get_changes(cache, 0, 0, NULL, &error) == LARDER_INVALID && says("changes is NULL"));
  end();
}

static int count_steps(void* context, uint64_t done, uint64_t all) {
  CHECK(done <= all);
  return ++*(int*)context > 100;
}
static int stop(void* context, uint64_t done, uint64_t all) {
  (void)context;
  return done <= all;
}
static void copies(void) {
  begin("copies");
  char copy[96];
  char again[96];
  char command[256];
  snprintf(copy, sizeof copy, "%s.copy", directory);
  snprintf(again, sizeof again, "%s.again", directory);
  int steps = 0;
  CHECK(set("a", "1") == 0);
  CHECK(larder_backup(cache, copy, stop, NULL, &error) == LARDER_CANCELLED);
  CHECK(larder_backup(cache, copy, count_steps, &steps, &error) == 0 && steps > 0);
  CHECK(larder_backup(cache, copy, NULL, NULL, &error) == LARDER_EXISTS && says(copy));
  CHECK(larder_backup(cache, NULL, NULL, NULL, &error) == LARDER_INVALID && says("to is NULL"));
  larder_report* report = NULL;
  CHECK(larder_restore(copy, again, count_steps, &steps, &report, &error) == 0);
  CHECK(larder_report_entries(report) == 1 && larder_report_findings(report) == 0);
  larder_report_free(report);
  CHECK(larder_restore(directory, copy, NULL, NULL, NULL, &error) == LARDER_UNAVAILABLE);
  CHECK(larder_restore(copy, NULL, NULL, NULL, NULL, &error) == LARDER_INVALID && says("to is NULL"));
  larder_cache* const first = cache;
  CHECK(larder_open(again, NULL, &cache, &error) == 0 && holds("a", "1"));
  larder_close(cache);
  cache = first;
  snprintf(command, sizeof command, "rm -r '%s' '%s'", copy, again);
  CHECK(system(command) == 0);
  end();
}

/* Whether the value under `key` is `size` times `letter`, read in parts of `part` bytes. */
static int streams_as(const char* key, size_t size, char letter, size_t part) {
  char* buffer = malloc(part);
  larder_reader* reader = NULL;
  CHECK(larder_open_reader(cache, key, strlen(key), &reader, &error) == 1);
  int same = larder_reader_bytes(reader) == size;
  size_t all = 0;
  size_t got = 0;
  int more = 0;
  while ((more = larder_reader_read(reader, buffer, part, &got, &error)) == 1) {
    CHECK(got > 0 && got <= part);
    for (size_t i = 0; i < got; ++i) same = same && buffer[i] == letter;
    all += got;
  }
  CHECK(more == 0 && got == 0);
  larder_reader_close(reader);
  free(buffer);
  return same && all == size;
}
static void streams(void) {
  enum { kPart = 10000, kParts = 300 };
  begin("streams");
  char* part = malloc(kPart);
  memset(part, 'v', kPart);
  CHECK(set("large", "before") == 0);
  larder_writer* writer = NULL;
  larder_set_options options = LARDER_SET_OPTIONS_INIT;
  options.ttl_ms = 3600 * 1000;
  options.format = 5;
  CHECK(larder_open_writer(cache, "large", 5, &options, &writer, &error) == 0);
  for (int i = 0; i < kParts; ++i) CHECK(larder_writer_write(writer, part, kPart, &error) == 0);
  CHECK(larder_writer_write(writer, NULL, 0, &error) == 0);
  CHECK(larder_writer_bytes(writer) == kPart * kParts);
  CHECK(holds("large", "before")); /* until it is committed */
  CHECK(larder_writer_commit(writer, &error) == 0);
  CHECK(larder_writer_commit(writer, &error) == LARDER_INVALID && says("committed already"));
  larder_writer_close(writer);
  CHECK(streams_as("large", kPart * kParts, 'v', 77777));

  larder_reader* reader = NULL;
  CHECK(larder_open_reader(cache, "large", 5, &reader, &error) == 1);
  CHECK(set("large", "after") == 0);
  larder_info info = LARDER_INFO_INIT;
  CHECK(larder_reader_info(reader, &info, &error) == 0 && info.format == 5 && info.expires_ms > info.stored_ms);
  size_t got = 0;
  larder_reader_seek(reader, kPart * kParts - 3); /* of the value as it was */
  CHECK(larder_reader_read(reader, part, kPart, &got, &error) == 1 && got == 3);
  larder_reader_seek(reader, kPart * kParts + 3);
  CHECK(larder_reader_read(reader, part, kPart, &got, &error) == 0 && got == 0);
  CHECK(larder_reader_read(reader, part, 0, &got, &error) == LARDER_INVALID && says("buffer_bytes is 0"));
  CHECK(larder_reader_read(reader, NULL, 1, &got, &error) == LARDER_INVALID && says("buffer is NULL"));
  CHECK(larder_reader_read(reader, part, 1, NULL, &error) == LARDER_INVALID && says("got is NULL"));
  larder_reader_close(reader);

  /* A small one; one that is given up; what cannot be. */
  CHECK(larder_open_writer(cache, "small", 5, NULL, &writer, &error) == 0);
  CHECK(larder_writer_write(writer, "vvv", 3, &error) == 0 && larder_writer_commit(writer, &error) == 0);
  larder_writer_close(writer);
  CHECK(holds("small", "vvv") && streams_as("small", 3, 'v', 2));
  CHECK(larder_open_writer(cache, "given up", 8, NULL, &writer, &error) == 0);
  for (int i = 0; i < kParts; ++i) CHECK(larder_writer_write(writer, part, kPart, &error) == 0);
  larder_writer_close(writer);
  CHECK(larder_open_reader(cache, "given up", 8, &reader, &error) == 0 && reader == NULL);
  CHECK(larder_open_writer(cache, "too large", 9, NULL, &writer, &error) == 0);
  int refused = 0;
  for (size_t i = 0; refused == 0 && i <= larder_value_bytes_max(cache) / kPart; ++i)
    refused = larder_writer_write(writer, part, kPart, &error);
  CHECK(refused == LARDER_TOO_LARGE && larder_writer_commit(writer, &error) == LARDER_TOO_LARGE);
  larder_writer_close(writer);
  larder_stats stats = LARDER_STATS_INIT;
  CHECK(larder_clear(cache, NULL, &error) == 0 && larder_flush(cache, &error) == 0);
  CHECK(larder_get_stats(cache, &stats, &error) == 0 && stats.entries == 0 && stats.blob_bytes == 0);

  CHECK(larder_open_writer(cache, "", 0, NULL, &writer, &error) == LARDER_INVALID && writer == NULL);
  CHECK(larder_open_writer(cache, "a", 1, NULL, NULL, &error) == LARDER_INVALID && says("writer is NULL"));
  CHECK(larder_open_reader(cache, "a", 1, NULL, &error) == LARDER_INVALID && says("reader is NULL"));
  CHECK(larder_writer_write(NULL, "v", 1, &error) == LARDER_INVALID && larder_writer_bytes(NULL) == 0);
  CHECK(larder_writer_commit(NULL, &error) == LARDER_INVALID && larder_reader_bytes(NULL) == 0);
  CHECK(larder_reader_info(NULL, &info, &error) == LARDER_INVALID);
  larder_writer_close(NULL);
  larder_reader_close(NULL);
  free(part);
  end();
}

int main(void) {
  streams();
  transactions();
  changes();
  copies();
  entries();
  expiry();
  buffers_and_pins();
  errors();
  opening();
  structs_that_grow();
  lists();
  tags_and_filters();
  comparing();
  many_at_once();
  settings();
  checking();
  threads();
  forked_children();
  if (failures > 0) fprintf(stderr, "%d checks failed\n", failures);
  return failures > 0;
}
