/* A cache is a directory; this is its face for C and for languages that call C. larder/cache.h says what each call
 * promises; this header says how it is called.
 *
 *   larder_error error;
 *   larder_cache* cache;
 *   if (larder_open("cache", NULL, &cache, &error) < 0) return fail(error.message);
 *   larder_set(cache, "user:7", 6, "Ada", 3, NULL, &error);
 *   void* value;
 *   size_t bytes;
 *   if (larder_get(cache, "user:7", 6, &value, &bytes, &error) == 1) {
 *     use(value, bytes);
 *     larder_free(value);
 *   }
 *   larder_close(cache);
 *
 * Answers: what is less than zero is a refusal, one of enum larder_code, and nothing was changed. Else a call that asks
 * something answers 1 for yes (found, was there, was stored) and 0 for no; every other call answers 0. A miss is no
 * refusal.
 *
 * Errors: every call that can be refused takes a larder_error of the caller's, or NULL; it is written on a refusal
 * alone. No state is kept behind the caller's back, so threads, fibres and goroutines may move as they like. No C++
 * exception leaves a call.
 *
 * Ownership: what a call hands out through a pointer to a pointer belongs to the caller, who gives it back with the
 * call named beside it; giving back NULL does nothing. On a refusal, and on the answer 0, nothing is handed out and
 * NULL is stored. What is passed in is read during the call and never kept.
 *
 * Structs begin with `struct_bytes`, which the caller sets to sizeof its own struct (or uses the macro beside it), so
 * that they may grow: a larder that knows more fields takes those that are missing as 0; one that knows fewer refuses
 * fields that are not 0 (LARDER_UNSUPPORTED). In structs that a call fills, it writes what both know.
 *
 * Threads: a cache may be used by any number of threads at once, and by one at a time while it is closed. Processes:
 * each opens its own. After fork() the child may go on using the cache it inherited, and must close it too; pins,
 * writers and readers it inherited it may only give back. Keys and values are any bytes, with their length; keys are 1
 * byte to 64 KiB.
 *
 * C99. The functions are those of liblarder.so.0, whose interface only ever grows.
 */
#ifndef LARDER_LARDER_H
#define LARDER_LARDER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why something was refused. */
enum larder_code {
  LARDER_INVALID = -1,      /* the caller's input is wrong */
  LARDER_NOT_FOUND = -2,    /* the thing named does not exist */
  LARDER_EXISTS = -3,       /* it exists already, and must not */
  LARDER_UNSUPPORTED = -4,  /* a version, option or operation that this larder does not know */
  LARDER_CORRUPT = -5,      /* bytes that Larder wrote are not what was written */
  LARDER_NO_SPACE = -6,     /* the disk is full, or the limit is reached and nothing may be evicted */
  LARDER_TOO_LARGE = -7,    /* larger than a limit */
  LARDER_TIMEOUT = -8,      /* the deadline passed */
  LARDER_CANCELLED = -9,    /* the caller went away */
  LARDER_DENIED = -10,      /* not allowed */
  LARDER_UNAVAILABLE = -11, /* what is needed cannot be had now; trying later may help */
  LARDER_IO = -12,          /* the operating system refused */
  LARDER_INTERNAL = -13,    /* a defect in Larder; please report */
  LARDER_NO_MEMORY = -14    /* memory ran out */
};

typedef struct larder_error {
  int code;          /* of enum larder_code */
  char message[508]; /* one sentence, UTF-8, ended by 0; cut where it is longer */
} larder_error;

typedef struct larder_cache larder_cache;         /* larder_close */
typedef struct larder_pin larder_pin;             /* larder_pin_release */
typedef struct larder_words larder_words;         /* larder_words_free */
typedef struct larder_items larder_items;         /* larder_items_free */
typedef struct larder_tag_stats larder_tag_stats; /* larder_tag_stats_free */
typedef struct larder_report larder_report;       /* larder_report_free */
typedef struct larder_changes larder_changes;     /* larder_changes_free */
typedef struct larder_writer larder_writer;       /* larder_writer_close */
typedef struct larder_reader larder_reader;       /* larder_reader_close */
typedef struct larder_transaction larder_transaction;

/* Bytes of the caller's: a key, a value, a tag. */
typedef struct larder_bytes {
  const void* bytes;
  size_t size;
} larder_bytes;

/* Bytes of the library's, in the order in which it found them. */
size_t larder_words_count(const larder_words* words);
/* At `index`, which must be less than the count; valid until the words are given back. */
const void* larder_words_at(const larder_words* words, size_t index, size_t* size);
void larder_words_free(larder_words* words);

/* --- Opening --- */

enum larder_durability {
  LARDER_DURABILITY_DEFAULT = 0, /* timed */
  LARDER_DURABILITY_NONE = 1,    /* when the kernel writes back by itself */
  LARDER_DURABILITY_TIMED = 2,   /* at most flush_every_ms after the write */
  LARDER_DURABILITY_EACH = 3     /* before the write is acknowledged */
};

/* What goes when there is no room. */
enum larder_policy {
  LARDER_POLICY_S3_FIFO = 0,               /* what was read since it was stored stays longer: the default */
  LARDER_POLICY_LEAST_RECENTLY_STORED = 1, /* the oldest goes, read or not */
  LARDER_POLICY_LEAST_RECENTLY_USED = 2,   /* what was not read for longest goes */
  LARDER_POLICY_LEAST_FREQUENTLY_USED = 3, /* what was read least goes */
  LARDER_POLICY_NONE = 4                   /* nothing goes: a full cache refuses writes, LARDER_NO_SPACE */
};

/* Zero asks for the default, everywhere. All but the last two count when the cache is created and are kept in the
 * directory. */
typedef struct larder_options {
  size_t struct_bytes;
  uint64_t size_limit_bytes; /* of all files together; default 1 GiB, least 16 MiB */
  uint64_t capacity_bytes;   /* what size_limit_bytes may be raised to later; default four times it */
  uint64_t entry_limit;      /* how many entries at most; 0: as many as fit */
  uint32_t shards;           /* a power of two; writers of different shards do not wait for each other */
  uint32_t policy;           /* of enum larder_policy */
  uint32_t durability;       /* of enum larder_durability */
  uint32_t flush_every_ms;   /* for LARDER_DURABILITY_TIMED; default 1000 */
  uint32_t must_exist;       /* 1: a missing cache is LARDER_NOT_FOUND in place of being created */
  uint32_t read_only;        /* 1: no file is written; writes are LARDER_DENIED */
} larder_options;
#define LARDER_OPTIONS_INIT \
  { sizeof(larder_options), 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* `options` may be NULL. Give the cache back with larder_close. */
int larder_open(const char* directory, const larder_options* options, larder_cache** cache, larder_error* error);
/* No other thread may be in a call on it, and all its pins must have been released. */
void larder_close(larder_cache* cache);

/* The options as kept in the directory; the settings as they are now. */
int larder_get_options(const larder_cache* cache, larder_options* options, larder_error* error);
/* As it was given to larder_open; valid until larder_close. */
const char* larder_directory(const larder_cache* cache);
/* The largest value that this cache takes. */
uint64_t larder_value_bytes_max(const larder_cache* cache);

/* Settings that anybody who has the cache open may change; all openers follow at once. `change` says which: a sum of
 * enum larder_setting. */
enum larder_setting {
  LARDER_SETTING_SIZE_LIMIT = 1,
  LARDER_SETTING_ENTRY_LIMIT = 2,
  LARDER_SETTING_POLICY = 4,
  LARDER_SETTING_DURABILITY = 8,
  LARDER_SETTING_FLUSH_EVERY = 16
};
typedef struct larder_settings {
  size_t struct_bytes;
  uint64_t change;
  uint64_t size_limit_bytes; /* 16 MiB to capacity_bytes; the next writes make room */
  uint64_t entry_limit;
  uint32_t policy;
  uint32_t durability;
  uint32_t flush_every_ms;
  uint32_t reserved; /* 0 */
} larder_settings;
#define LARDER_SETTINGS_INIT \
  { sizeof(larder_settings), 0, 0, 0, 0, 0, 0, 0 }
int larder_change(larder_cache* cache, const larder_settings* settings, larder_error* error);

/* --- Reads: no lock, no system call. An expired entry is a miss. --- */

/* What is known of an entry beside its value. */
typedef struct larder_info {
  size_t struct_bytes;
  uint64_t sequence;  /* place in the order of writes, unique in the directory */
  int64_t stored_ms;  /* since 1970-01-01 UTC */
  int64_t expires_ms; /* since 1970-01-01 UTC; 0: never */
  uint64_t value_bytes;
  uint64_t place;  /* in the order of larder_list: the sequence, or that of an earlier value (keeps_place) */
  uint64_t cost;   /* as given; 0: not known */
  uint32_t format; /* as given */
  uint32_t pinned; /* 1: is never evicted */
  uint32_t tagged; /* 1: has tags */
  uint32_t reserved;
} larder_info;
#define LARDER_INFO_INIT \
  { sizeof(larder_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* A copy of the value, with a 0 behind it that is not counted. Give it back with larder_free. */
int larder_get(const larder_cache* cache, const void* key, size_t key_bytes, void** value, size_t* value_bytes,
               larder_error* error);
void larder_free(void* value);
/* A copy of the value into the caller's buffer. `value_bytes` is the size of the whole value even when that is larger
 * than the buffer; then the answer is 1 and the buffer is unchanged, so give it a larger one and ask again. */
int larder_get_into(const larder_cache* cache, const void* key, size_t key_bytes, void* buffer, size_t buffer_bytes,
                    size_t* value_bytes, larder_error* error);
/* A view of the value in shared memory, without a copy. Its bytes stay valid and unchanged until it is released,
 * whatever becomes of the entry. It holds back the space it points into: keep it for a moment, not for hours. Any one
 * thread at a time may use and release it. */
int larder_get_pin(const larder_cache* cache, const void* key, size_t key_bytes, larder_pin** pin, larder_error* error);
/* The same without touching statistics or eviction: for lists of what is there. */
int larder_peek(const larder_cache* cache, const void* key, size_t key_bytes, larder_pin** pin, larder_error* error);
/* For each of `count` keys what larder_get_pin would give, or NULL, into `pins`; quicker than one by one. Answers 0. */
int larder_get_many(const larder_cache* cache, const larder_bytes* keys, size_t count, larder_pin** pins,
                    larder_error* error);
const void* larder_pin_bytes(const larder_pin* pin, size_t* value_bytes);
int larder_pin_info(const larder_pin* pin, larder_info* info, larder_error* error);
void larder_pin_release(larder_pin* pin);

int larder_contains(const larder_cache* cache, const void* key, size_t key_bytes, larder_error* error);
/* Without touching statistics or eviction. */
int larder_get_info(const larder_cache* cache, const void* key, size_t key_bytes, larder_info* info,
                    larder_error* error);
/* The tags of the entry: 1 and its words, which go back with larder_words_free. 0: it has none, or is not there. */
int larder_get_tags(const larder_cache* cache, const void* key, size_t key_bytes, larder_words** tags,
                    larder_error* error);

/* --- Writes --- */

typedef struct larder_set_options {
  size_t struct_bytes;
  int64_t ttl_ms;           /* lives this long; 0: until evicted */
  const larder_bytes* tags; /* at most 16, of 1 to 255 bytes; see larder_evict */
  size_t tag_count;
  uint64_t cost;        /* of making the value anew, in any unit: dear ones stay longer; 0: not known */
  uint32_t format;      /* 0 to 15, the caller's: how the value is to be read */
  uint32_t pinned;      /* 1: is never evicted */
  uint32_t keeps_place; /* 1: in the order of larder_list, where the key's value before had its place */
  uint32_t reserved;    /* 0 */
} larder_set_options;
#define LARDER_SET_OPTIONS_INIT \
  { sizeof(larder_set_options), 0, NULL, 0, 0, 0, 0, 0, 0 }

/* `options` may be NULL, here and below. */
int larder_set(larder_cache* cache, const void* key, size_t key_bytes, const void* value, size_t value_bytes,
               const larder_set_options* options, larder_error* error);
/* Stores only when there is none: 1. Else 0. */
int larder_add(larder_cache* cache, const void* key, size_t key_bytes, const void* value, size_t value_bytes,
               const larder_set_options* options, larder_error* error);
/* Stores only when there is one: 1. Else 0. */
int larder_replace(larder_cache* cache, const void* key, size_t key_bytes, const void* value, size_t value_bytes,
                   const larder_set_options* options, larder_error* error);
/* Stores only when the entry is the one with this sequence (larder_info; 0: when there is none): 1. Else 0. */
int larder_compare_and_set(larder_cache* cache, const void* key, size_t key_bytes, uint64_t sequence, const void* value,
                           size_t value_bytes, const larder_set_options* options, larder_error* error);
/* Stores `count` entries, each as atomic as larder_set, the whole not; quicker than one by one. A refusal ends it,
 * naming the key; what came before it stays written. */
int larder_set_many(larder_cache* cache, const larder_bytes* keys, const larder_bytes* values, size_t count,
                    const larder_set_options* options, larder_error* error);
/* 0: it was not there. */
int larder_del(larder_cache* cache, const void* key, size_t key_bytes, larder_error* error);
/* Deletes only the entry with this sequence: 1. Else 0. */
int larder_compare_and_del(larder_cache* cache, const void* key, size_t key_bytes, uint64_t sequence,
                           larder_error* error);
/* How many were there goes to `removed`, which may be NULL, here and below. */
int larder_del_many(larder_cache* cache, const larder_bytes* keys, size_t count, uint64_t* removed,
                    larder_error* error);
/* Takes the entry out: of all who pop it, one gets it. 0: it was not there. The value as from larder_get; `info` may be
 * NULL. */
int larder_pop(larder_cache* cache, const void* key, size_t key_bytes, void** value, size_t* value_bytes,
               larder_info* info, larder_error* error);
/* A new time to live from now; 0: lives until evicted. Answers 0: it was not there. */
int larder_touch(larder_cache* cache, const void* key, size_t key_bytes, int64_t ttl_ms, larder_error* error);
/* Adds to the decimal integer that is kept, from 0 when there is none; the sum goes to `sum`, which may be NULL. */
int larder_incr(larder_cache* cache, const void* key, size_t key_bytes, int64_t delta, int64_t* sum,
                larder_error* error);
/* Removes every entry. */
int larder_clear(larder_cache* cache, uint64_t* removed, larder_error* error);

/* --- Values part by part, so that none has to be in memory whole: larder/stream.h says what is promised --- */

/* A value on its way into the cache. Readers see what was there before until larder_writer_commit, and then all of it
 * at once. Writers and readers are for one thread at a time, and are given back before the cache is closed. */
int larder_open_writer(larder_cache* cache, const void* key, size_t key_bytes, const larder_set_options* options,
                       larder_writer** writer, larder_error* error);
/* Appends. What was refused (LARDER_TOO_LARGE, LARDER_NO_SPACE) cannot be committed any more. */
int larder_writer_write(larder_writer* writer, const void* bytes, size_t size, larder_error* error);
uint64_t larder_writer_bytes(const larder_writer* writer); /* so many so far */
/* Once; the ttl counts from here. */
int larder_writer_commit(larder_writer* writer, larder_error* error);
/* Of what was not committed nothing is left. */
void larder_writer_close(larder_writer* writer);

/* The value as it is now, whatever happens to the entry later: 1. 0: it is not there. */
int larder_open_reader(const larder_cache* cache, const void* key, size_t key_bytes, larder_reader** reader,
                       larder_error* error);
int larder_reader_info(const larder_reader* reader, larder_info* info, larder_error* error);
uint64_t larder_reader_bytes(const larder_reader* reader); /* of the whole value */
/* The next bytes into the buffer, how many to `got`: 1. 0: that was all. LARDER_IO and LARDER_CORRUPT: the disk failed,
 * or somebody has cut the file. */
int larder_reader_read(larder_reader* reader, void* buffer, size_t buffer_bytes, size_t* got, larder_error* error);
/* Reading goes on at this byte; behind the end there is nothing to read. */
void larder_reader_seek(larder_reader* reader, uint64_t at);
void larder_reader_close(larder_reader* reader);

/* Which entries: those to which all that is given applies. */
typedef struct larder_filter {
  size_t struct_bytes;
  larder_bytes prefix;  /* keys that begin so */
  larder_bytes pattern; /* keys that match, as in a shell: * ? [abc] [!a-z], \ before one of these */
  larder_bytes tag;
} larder_filter;
#define LARDER_FILTER_INIT                                   \
  {                                                          \
    sizeof(larder_filter), {NULL, 0}, {NULL, 0}, { NULL, 0 } \
  }

/* From this moment on every entry that was stored with the tag is gone, for every reader of every process, however many
 * they are; they are removed as room is made, or by larder_cull. */
int larder_evict_tag(larder_cache* cache, const void* tag, size_t tag_bytes, larder_error* error);
/* Removes the entries that the filter names, pinned ones too, and walks all entries to find them. With nothing but a
 * tag they are gone at once. A filter that names nothing is LARDER_INVALID; larder_clear is for all. */
int larder_evict(larder_cache* cache, const larder_filter* filter, uint64_t* removed, larder_error* error);
/* Removes what has expired or lost its tag, and evicts until all limits are kept. */
int larder_cull(larder_cache* cache, uint64_t* removed, larder_error* error);

/* --- The whole cache --- */

/* The next at most `limit` entries stored after the place `after` (larder_info; 0: from the first), in the order in
 * which they were stored; an empty list: there are no more. `filter` may be NULL: all. Give it back with
 * larder_items_free. */
int larder_list(const larder_cache* cache, uint64_t after, size_t limit, const larder_filter* filter,
                larder_items** items, larder_error* error);
/* The same backwards: those stored before the place `before` (0: from the last), latest first. */
int larder_list_back(const larder_cache* cache, uint64_t before, size_t limit, const larder_filter* filter,
                     larder_items** items, larder_error* error);
size_t larder_items_count(const larder_items* items);
/* The key of the item at `index`, which must be less than the count; valid until larder_items_free. */
const void* larder_items_key(const larder_items* items, size_t index, size_t* key_bytes);
int larder_items_info(const larder_items* items, size_t index, larder_info* info, larder_error* error);
/* Its tags, which belong to the items; NULL where there is no such item. */
const larder_words* larder_items_tags(const larder_items* items, size_t index);
void larder_items_free(larder_items* items);

/* Numbers since the cache was created, over all processes, unless said. */
typedef struct larder_stats {
  size_t struct_bytes;
  uint64_t entries;     /* now */
  uint64_t value_bytes; /* now: keys, values and record headers */
  uint64_t disk_bytes;  /* now: space taken by all files */
  uint64_t size_limit_bytes;
  uint64_t hits;
  uint64_t misses;
  uint64_t sets;
  uint64_t deletes;
  uint64_t evictions;   /* entries that went to make room */
  uint64_t expirations; /* entries whose time had come */
  uint64_t repairs;     /* times that a dead process's unfinished write was put right */
  uint64_t shards;
  uint64_t processes;    /* that have it open now */
  uint64_t pinned_bytes; /* now: of value_bytes, what is never evicted */
  uint64_t blob_bytes;   /* now: of disk_bytes, large values in files of their own */
} larder_stats;
#define LARDER_STATS_INIT \
  { sizeof(larder_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

int larder_get_stats(const larder_cache* cache, larder_stats* stats, larder_error* error);
/* Of the shard at `index`, which must be less than larder_stats' shards; what counts for the whole cache alone is 0. */
int larder_get_shard_stats(const larder_cache* cache, size_t index, larder_stats* stats, larder_error* error);
/* Of each tag that live entries have, by name; walks all entries. Give it back with larder_tag_stats_free. */
int larder_get_tag_stats(const larder_cache* cache, larder_tag_stats** stats, larder_error* error);
size_t larder_tag_stats_count(const larder_tag_stats* stats);
/* The tag at `index`, which must be less than the count; valid until larder_tag_stats_free. */
const void* larder_tag_stats_tag(const larder_tag_stats* stats, size_t index, size_t* tag_bytes);
uint64_t larder_tag_stats_entries(const larder_tag_stats* stats, size_t index);
uint64_t larder_tag_stats_bytes(const larder_tag_stats* stats, size_t index);
void larder_tag_stats_free(larder_tag_stats* stats);

/* Reads everything and tells what is damaged; with `repair` 1 puts right what can be. Damage is in the report and no
 * refusal. Give the report back with larder_report_free. */
int larder_check(larder_cache* cache, int repair, larder_report** report, larder_error* error);
uint64_t larder_report_entries(const larder_report* report); /* that were read whole and are right */
uint64_t larder_report_bytes(const larder_report* report);
uint64_t larder_report_repaired(const larder_report* report);
size_t larder_report_findings(const larder_report* report); /* how many */
/* The sentence at `index`, which must be less than the count; valid until larder_report_free. */
const char* larder_report_finding(const larder_report* report, size_t index);
void larder_report_free(larder_report* report);

/* Returns when everything acknowledged so far is on the disk. */
int larder_flush(larder_cache* cache, larder_error* error);

/* --- Several keys in one step: larder/transaction.h says what is promised --- */

/* What is to be done, with the caller's `context`. It answers 0 when all of it shall happen, and a number of enum
 * larder_code when nothing shall. It may be run several times, when others change what it has read; then calls in it
 * answer LARDER_UNAVAILABLE, which it hands on. It must return; no longjmp, no exception. */
typedef int (*larder_work)(larder_transaction* transaction, void* context);

/* All of it happens or nothing, for readers in all processes and for a death at any moment. What the work refuses with
 * is the answer. LARDER_TIMEOUT: others were quicker for `deadline_ms`. */
int larder_transact(larder_cache* cache, larder_work work, void* context, int64_t deadline_ms, larder_error* error);
/* A part that may fail by itself: when `work` refuses, what it wrote is taken back, and the rest goes on. */
int larder_transaction_nested(larder_transaction* transaction, larder_work work, void* context, larder_error* error);
/* As the calls of the same name above; for the thread and the time in which the work runs. */
int larder_transaction_get(larder_transaction* transaction, const void* key, size_t key_bytes, void** value,
                           size_t* value_bytes, larder_error* error);
int larder_transaction_contains(larder_transaction* transaction, const void* key, size_t key_bytes,
                                larder_error* error);
int larder_transaction_set(larder_transaction* transaction, const void* key, size_t key_bytes, const void* value,
                           size_t value_bytes, const larder_set_options* options, larder_error* error);
int larder_transaction_add(larder_transaction* transaction, const void* key, size_t key_bytes, const void* value,
                           size_t value_bytes, const larder_set_options* options, larder_error* error);
int larder_transaction_del(larder_transaction* transaction, const void* key, size_t key_bytes, larder_error* error);
int larder_transaction_incr(larder_transaction* transaction, const void* key, size_t key_bytes, int64_t delta,
                            int64_t* sum, larder_error* error);

/* --- What changed: larder/feed.h says what is told --- */

enum larder_change_kind { LARDER_CHANGE_SET = 0, LARDER_CHANGE_DELETED = 1 };

/* The next at most `limit` changes after the sequence `after`; with limit 0 none, but where the feed is now. Give it
 * back with larder_changes_free. */
int larder_get_changes(const larder_cache* cache, uint64_t after, size_t limit, larder_changes** changes,
                       larder_error* error);
/* 1: there may be changes after `after`. 0: there were none in that time. */
int larder_wait_changes(const larder_cache* cache, uint64_t after, int64_t timeout_ms, larder_error* error);
uint64_t larder_changes_next(const larder_changes* changes); /* the sequence to go on with */
int larder_changes_lost(const larder_changes* changes);      /* 1: everything may have changed */
size_t larder_changes_count(const larder_changes* changes);
/* Of the change at `index`, which must be less than the count; valid until larder_changes_free. */
const void* larder_changes_key(const larder_changes* changes, size_t index, size_t* key_bytes);
int larder_changes_kind(const larder_changes* changes, size_t index); /* of enum larder_change_kind */
uint64_t larder_changes_sequence(const larder_changes* changes, size_t index);
void larder_changes_free(larder_changes* changes);

/* --- Copies --- */

/* Told now and then how far the work has come; what is not 0 stops it (LARDER_CANCELLED, nothing is left of it). */
typedef int (*larder_progress)(void* context, uint64_t bytes_done, uint64_t bytes_all);

/* A copy of the cache as it is at one moment, in the new directory `to`, while all go on reading and writing.
 * `progress` may be NULL, here and below. LARDER_EXISTS: there is something in `to`. */
int larder_backup(larder_cache* cache, const char* to, larder_progress progress, void* context, larder_error* error);
/* The new directory `to` from the backup `from`, which stays as it is, or from any cache that nobody has open. What is
 * damaged is left out, and named in the report, which may be NULL; give it back with larder_report_free. */
int larder_restore(const char* from, const char* to, larder_progress progress, void* context, larder_report** report,
                   larder_error* error);

/* --- About --- */

/* "0.1.0", of the library that runs. */
const char* larder_version(void);
/* The name of a code: "not_found"; "ok" for what is no refusal. */
const char* larder_code_name(int code);

#ifdef __cplusplus
}
#endif

#endif
