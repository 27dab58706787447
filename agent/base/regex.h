/* Regular expressions by RE2, on bytes: linear time whatever the pattern and the text. Immutable
 * after creation; [any] thread may match. Source: RE2 syntax, envoy.type.matcher.v3.RegexMatcher.
 */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct regex;

enum { REGEX_SUBSTITUTION_MAX = 4096 };

/* Compiles the pattern; memory and program size are bounded. -ERR_INVALID with RE2's reason. */
int regex_create(struct str pattern, struct regex **re_r, struct error *err);
void regex_destroy(struct regex **re);
/* Does the whole text match? */
bool regex_match(const struct regex *re, struct str text);
/* Does some part of the text match? */
bool regex_search(const struct regex *re, struct str text);
/* How many groups it has. */
unsigned regex_groups(const struct regex *re);
/* Searches: the first match goes to groups[0], its groups behind it, up to n in all; p NULL: the
 * group took no part, or there is none. False: nothing matches. */
bool regex_find(const struct regex *re, struct str text, struct str *groups, size_t n);
/* Is `to` a substitution for the pattern: \0 the match, \1 to \9 groups that it has, \\? */
int regex_check_substitution(const struct regex *re, struct str to, struct error *err);
/* Appends the text with every match replaced. False (and nothing useful in out) when that were more
 * than max bytes. */
bool regex_replace(const struct regex *re, struct str text, struct str to, size_t max,
                   struct sbuf *out);

#endif
