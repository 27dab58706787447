/* Parts and normal forms of request targets and authorities: what the parser checks and what
 * routing compares. Views in, views out; nothing is owned. [any] thread.
 * Source: RFC 3986, RFC 9112 3.2, Envoy's path normalization (HCM normalize_path, merge_slashes,
 * path_with_escaped_slashes_action). */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* "/a?b#c": path "/a", query "b" without its mark. query_r->p is NULL when there is no '?'. The
 * fragment is in neither. Outputs may be NULL. */
void uri_split_target(struct str target, struct str *path_r, struct str *query_r);
struct str uri_cut_query(struct str target);
bool uri_has_fragment(struct str target);

/* "host:80" or "[::1]:80": host "host" or "[::1]". A host without port comes back whole. */
struct str uri_cut_port(struct str authority);
/* Port of the authority, or 0 when it has none. */
uint16_t uri_port(struct str authority);
/* host [":" port], not empty; host a name, an IPv4 address or "[" IPv6 "]"; port 1 to 5 digits up
 * to 65535. No userinfo: it has no place in http and is a known trick. */
bool uri_authority_is_valid(struct str authority);
/* Lower-cases in place, for host names that are to be compared. */
void uri_lower(char *p, size_t n);

struct uri {
    struct str scheme, authority, target; /* target: path and query, may be empty */
};

/* scheme "://" authority [ path ] [ "?" query ], the absolute-form of a request target. Only the
 * shape is checked, and that the authority is valid. */
bool uri_parse(struct str text, struct uri *uri_r);

/* Appends the target with its path normalized: dot segments removed (also as %2e), percent-coded
 * unreserved characters decoded, '\' as '/', what has no place in a path percent-coded. The query
 * is copied. False (and nothing useful in out) when the path does not begin with '/' or holds %00.
 */
bool uri_normalize_path(struct str target, struct sbuf *out);
/* Appends the target with runs of slashes in the path made one. */
void uri_merge_slashes(struct str target, struct sbuf *out);
/* %2F or %5C, in any case, in the path. */
bool uri_has_escaped_slashes(struct str target);
/* Appends the target with %2F as '/' and %5C as '\' in the path. */
void uri_unescape_slashes(struct str target, struct sbuf *out);

#endif
