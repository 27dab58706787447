/* Command-line flags with the syntax of Go's pflag: -p 1, -p1, -p=1, --x 1, --x=1, -nq 80; a bool
 * takes a value only behind '='; "--" ends the flags; other words are returned as they are left.
 * Every flag may also be set by one or two environment variables. [main] thread, no ownership:
 * string values point into argv or the environment. */
#ifndef NETFILTER_PFLAG_H
#define NETFILTER_PFLAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum pflag_kind {
    PFLAG_STRING,   /* const char * */
    PFLAG_BOOL,     /* bool */
    PFLAG_PORT,     /* uint16_t */
    PFLAG_DURATION, /* uint32_t, milliseconds */
    PFLAG_IGNORED,  /* string value that is accepted and dropped */
    PFLAG_IGNORED_BOOL
};

struct pflag {
    const char *name;
    char short_name;        /* 0: none */
    const char *env;        /* NULL: none */
    const char *env_second; /* wins over env; NULL: none */
    enum pflag_kind kind;
    size_t offset; /* of the target within the struct given to pflag_parse */
    const char *help;
};

/* Applies the environment, then argv[1..argc-1], to *target. A bad value in the environment is
 * logged and skipped, a bad value or an unknown flag in argv is an error. *wants_help_r is set by
 * -h and --help, where parsing stops. */
int pflag_parse(const struct pflag *flags, size_t flag_count, int argc, char **argv, void *target,
                bool *wants_help_r, struct error *err);
/* The values Go's ParseBool knows: 1 t T TRUE true True 0 f F FALSE false False. */
bool pflag_to_bool(struct str text, bool *value_r);
/* Go's duration syntax ("5s", "1m30s", "1.5h", "0"), not negative, at most 24 h. */
bool pflag_to_duration_ms(struct str text, uint32_t *ms_r);

#endif
