/* Route configuration (envoy.config.route.v3.RouteConfiguration). Immutable, shared. */
#ifndef CONF_ROUTE_H
#define CONF_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "conf/object.h"

enum conf_string_match_kind {
    CONF_STRING_EXACT,
    CONF_STRING_PREFIX,
    CONF_STRING_SUFFIX,
    CONF_STRING_CONTAINS,
    CONF_STRING_REGEX,
};

struct conf_retry_policy;
struct regex;

struct conf_string_match {
    enum conf_string_match_kind kind;
    struct str text;
    bool ignore_case;
    struct regex *regex; /* CONF_STRING_REGEX */
};

enum conf_header_match_kind { CONF_HEADER_PRESENT, CONF_HEADER_STRING, CONF_HEADER_RANGE };

struct conf_header_match {
    struct str name; /* lower case */
    enum conf_header_match_kind kind;
    bool present; /* CONF_HEADER_PRESENT: wanted presence */
    struct conf_string_match string;
    int64_t range_start, range_end;
    bool invert, treat_missing_as_empty;
};

enum conf_path_match_kind {
    CONF_PATH_PREFIX,
    CONF_PATH_EXACT,
    CONF_PATH_SEPARATED_PREFIX,
    CONF_PATH_REGEX,
};

enum conf_action_kind { CONF_ACTION_CLUSTER, CONF_ACTION_DIRECT_RESPONSE };

struct conf_header_value_option {
    struct str name, value;
    enum { CONF_APPEND_OR_ADD, CONF_ADD_IF_ABSENT, CONF_OVERWRITE_OR_ADD } action;
};

struct conf_header_ops {
    struct conf_header_value_option *add;
    struct str *remove;
    size_t add_n, remove_n;
};

struct conf_route {
    struct str name;
    enum conf_path_match_kind path_kind;
    struct str path;
    bool case_sensitive;
    struct regex *path_regex;
    struct conf_header_match *headers;
    size_t headers_n;
    enum conf_action_kind action;
    struct str cluster; /* CONF_ACTION_CLUSTER */
    unsigned cluster_not_found_status;
    uint32_t timeout_ms; /* 0: none; default 15000 */
    bool has_idle_timeout;
    uint32_t idle_timeout_ms;
    struct str prefix_rewrite, host_rewrite; /* p NULL: none */
    unsigned direct_status;                  /* CONF_ACTION_DIRECT_RESPONSE */
    struct str direct_body;
    struct conf_header_ops request_headers, response_headers;
    const struct conf_retry_policy *retry; /* conf/retry.h; NULL: the virtual host's */
};

struct conf_virtual_host {
    struct str name;
    struct conf_route *routes;
    size_t routes_n;
    struct conf_header_ops request_headers, response_headers;
    const struct conf_retry_policy *retry; /* or NULL */
    bool include_attempts_in_request, include_attempts_in_response, include_is_timeout_retry;
};

/* "*.suffix" or "prefix.*" domains, longest first. */
struct conf_wildcard_domain {
    struct str text; /* without the star, lower case */
    struct conf_virtual_host *vhost;
};

struct conf_route_config {
    struct conf_object object;
    struct conf_virtual_host *vhosts;
    size_t vhosts_n;
    struct hash exact_domains; /* lower-case domain -> struct conf_virtual_host * */
    struct conf_wildcard_domain *suffix_domains, *prefix_domains;
    size_t suffix_n, prefix_n;
    struct conf_virtual_host *any_domain; /* "*", or NULL */
    bool ignore_port_in_host_matching;
    struct conf_header_ops request_headers, response_headers;
};

/* An empty one; its regular expressions and its index are released with it. */
struct conf_route_config *conf_route_config_create(const char *name);

struct conf_domain {
    struct str text;
    struct conf_virtual_host *vhost;
};

/* Fills the domain index, once. A domain that is empty or stands twice is an error; *bad_r is its
 * place in the list. */
int conf_route_config_index(struct conf_route_config *rc, const struct conf_domain *domains,
                            size_t n, size_t *bad_r, struct error *err);

#endif
