/* Messages for the differential test: well-formed ones put together from parts, then damaged.
 * The same seed gives the same messages. */
#ifndef TESTS_UNIT_HTTP_MUTATE_H
#define TESTS_UNIT_HTTP_MUTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct mutate {
    uint64_t seed;
};

/* A number below n. */
unsigned mutate_below(struct mutate *m, unsigned n);
/* Replaces out by a request or a response, damaged in 0 to 3 places. */
void mutate_request(struct mutate *m, struct sbuf *out);
void mutate_response(struct mutate *m, struct sbuf *out);

#endif
