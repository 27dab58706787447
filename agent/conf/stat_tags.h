/* Tags: parts of a statistic's name that become labels ("cluster.x.upstream_rq_200" is
 * "cluster.upstream_rq" of cluster x and code 200). Nothing is kept per statistic: tags are found
 * when somebody looks, and an extractor is only tried on names that begin with its first token and
 * hold the part that it needs.
 * [main]. Source: envoy.config.metrics.v3.TagSpecifier; Envoy's TagProducerImpl, TagExtractorImpl,
 * well_known_names. */
#ifndef CONF_STAT_TAGS_H
#define CONF_STAT_TAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

struct regex;

/* One of these is set: tokens, pattern or value. */
struct conf_stat_tag {
    const char *name;
    /* Tokens between dots: "$" is the value, "*" any token, "**" any number of them. */
    const char *tokens;
    /* RE2, searched for: its first group leaves the name, its second one (else the first) is the
     * value. */
    const char *pattern;
    const char *value;   /* of every statistic */
    const char *part;    /* text that a name must hold; NULL: none. Only with pattern */
    const char *but;     /* a value that is none; NULL: all are. Only with pattern */
    struct regex *regex; /* of the pattern; own. NULL: compiled at first use */
};

/* Envoy's well-known ones, in its order. */
extern const struct conf_stat_tag conf_stat_default_tags[];
extern const size_t conf_stat_default_tags_n;

/* What is tried, in this order. */
struct conf_stat_tags {
    struct conf_stat_tag *v;
    size_t n, cap;
    struct conf_stat_tag_list *any; /* those for any first token */
    struct hash by_first;           /* first token -> struct conf_stat_tag_list * */
};

/* A copy; its texts must live as long, its regex is taken over. */
void conf_stat_tags_add(struct conf_stat_tags *t, const struct conf_stat_tag *tag);
/* The default ones of this name (NULL: all); false: there is none. */
bool conf_stat_tags_add_default(struct conf_stat_tags *t, const char *name);
void conf_stat_tags_fini(struct conf_stat_tags *t);

/* A statistic's tags; value points into its name, or lives as long as the extractors. */
struct conf_stat_label {
    const char *name;
    struct str value;
};

/* Finds the tags of a name. Labels, in the order of extractors (conf_stat_tags.n are enough); the
 * rest of the name is appended to `rest`. Returns their number. */
size_t conf_stat_tags_find(struct conf_stat_tags *t, struct str name,
                           struct conf_stat_label *labels, struct sbuf *rest);

/* An ECMAScript expression, as Envoy's tag specifiers have them, in RE2's words: "(?=\.)" before
 * ".*?\.", ".*\." or "\." is known, as Istio's bootstrap has it; other lookahead stays and is
 * refused by RE2. Appends to out. */
void conf_stat_pattern(const char *ecma, struct sbuf *out);
/* A text that every match of an expression that RE2 takes holds, for conf_stat_tag.part: appended.
 * False: none was found, which says nothing. */
bool conf_stat_pattern_part(const char *re2, struct sbuf *out);

#endif
