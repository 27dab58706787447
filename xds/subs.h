/* What one type of resource is asked for: names with counts, what of it the current stream has been
 * told, and which versions the receiver holds. Names keep the order in which they were first
 * wanted. Embedded in the type's state of struct ads. [main] */
#ifndef XDS_SUBS_H
#define XDS_SUBS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "base/list.h"

/* A configuration that refers to more names than this has lost its mind; those beyond are not
 * asked for. */
enum { SUBS_NAMES_MAX = 200000 };

struct sub {
    struct list node;
    unsigned count; /* wants */
    bool is_sent;   /* the stream was asked for it */
    char *version;  /* NULL: not held; "" where the server gives none */
    char name[];
};

struct subs {
    struct hash names; /* -> struct sub */
    struct list list;
    bool is_all, is_all_sent; /* every resource of the type */
    bool is_named;            /* a name was sent on this stream: an empty list is no wildcard now */
    size_t wanted, sent;      /* number of names */
};

void subs_init(struct subs *s);
void subs_fini(struct subs *s);
/* A new stream knows nothing. */
void subs_reset_stream(struct subs *s);

/* -ERR_LIMIT when there are too many names. */
int subs_want(struct subs *s, const char *name);
void subs_unwant(struct subs *s, const char *name);
bool subs_is_wanted(const struct subs *s, const char *name);
void subs_set_held(struct subs *s, const char *name, const char *version);
void subs_drop_held(struct subs *s, const char *name);

static inline bool subs_is_empty(const struct subs *s)
{
    return !s->is_all && !s->wanted;
}
/* Whether the stream has been told something else than what is wanted. */
bool subs_has_changes(const struct subs *s);
/* The stream was told all that is wanted. */
void subs_mark_sent(struct subs *s);

#endif
