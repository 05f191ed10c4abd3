/* Counts how often it was run, whoever runs it: visits DIRECTORY [NAME]
 *
 * The C twin of examples/cpp/visits.cc; both may work on one directory at once.
 */
#include <larder/larder.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int visit(larder_cache* cache, const char* name, larder_error* error) {
  /* Counting is atomic, over all processes. */
  char key[128];
  int64_t visits = 0;
  snprintf(key, sizeof key, "visits:%s", name);
  if (larder_incr(cache, key, strlen(key), 1, &visits, error) < 0) return -1;
  printf("%s was here %" PRId64 " times\n", name, visits);

  /* 1: found, 0: not here, less than zero: refused. */
  void* last = NULL;
  size_t last_bytes = 0;
  const int found = larder_get(cache, "last", 4, &last, &last_bytes, error);
  if (found < 0) return -1;
  if (found == 1) {
    printf("the last one was %.*s\n", (int)last_bytes, (const char*)last);
  } else {
    printf("nobody was here lately\n");
  }
  larder_free(last);

  larder_set_options options = LARDER_SET_OPTIONS_INIT;
  options.ttl_ms = 60 * 60 * 1000;
  return larder_set(cache, "last", 4, name, strlen(name), &options, error);
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: visits DIRECTORY [NAME]\n");
    return 2;
  }
  larder_error error;
  larder_cache* cache = NULL;
  larder_options options = LARDER_OPTIONS_INIT;
  options.size_limit_bytes = 64 << 20; /* counts when the directory is made */
  if (larder_open(argv[1], &options, &cache, &error) < 0) {
    fprintf(stderr, "visits: %s\n", error.message);
    return 1;
  }
  const int done = visit(cache, argc > 2 ? argv[2] : "somebody", &error);
  if (done < 0) fprintf(stderr, "visits: %s\n", error.message);
  larder_close(cache);
  return done < 0;
}
