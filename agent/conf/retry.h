/* What a route does when its upstream fails (envoy.config.route.v3.RetryPolicy). Immutable. */
#ifndef CONF_RETRY_H
#define CONF_RETRY_H

#include "conf/route.h"

/* Conditions, by the words of retry_on and of x-envoy-retry-on, x-envoy-retry-grpc-on. */
#define CONF_RETRY_MAP(X)                                  \
    X(5XX, "5xx", false)                                   \
    X(GATEWAY_ERROR, "gateway-error", false)               \
    X(CONNECT_FAILURE, "connect-failure", false)           \
    X(RETRIABLE_4XX, "retriable-4xx", false)               \
    X(REFUSED_STREAM, "refused-stream", false)             \
    X(STATUS_CODES, "retriable-status-codes", false)       \
    X(HEADERS, "retriable-headers", false)                 \
    X(RESET, "reset", false)                               \
    X(RESET_BEFORE_REQUEST, "reset-before-request", false) \
    X(RATELIMITED, "envoy-ratelimited", false)             \
    X(GRPC_CANCELLED, "cancelled", true)                   \
    X(GRPC_DEADLINE_EXCEEDED, "deadline-exceeded", true)   \
    X(GRPC_INTERNAL, "internal", true)                     \
    X(GRPC_RESOURCE_EXHAUSTED, "resource-exhausted", true) \
    X(GRPC_UNAVAILABLE, "unavailable", true)

enum conf_retry_bit {
#define X(name, text, is_grpc) CONF_RETRY_BIT_##name,
    CONF_RETRY_MAP(X)
#undef X
};
enum conf_retry_on {
#define X(name, text, is_grpc) CONF_RETRY_##name = 1u << CONF_RETRY_BIT_##name,
    CONF_RETRY_MAP(X)
#undef X
};

/* A response header that says when to come again. */
struct conf_reset_header {
    struct str name;
    bool is_timestamp; /* seconds of the wall clock, else from now */
};

struct conf_retry_policy {
    uint32_t on; /* CONF_RETRY_x */
    uint32_t num_retries;
    uint32_t per_try_timeout_ms, per_try_idle_timeout_ms; /* 0: none */
    uint32_t base_ms, max_ms;                             /* of the backoff; at least 1 */
    uint32_t host_attempts;                               /* picks beyond the first */
    bool previous_hosts;                                  /* a retry avoids hosts that were tried */
    uint32_t *codes;
    size_t codes_n;
    struct conf_header_match *headers, *request_headers;
    size_t headers_n, request_headers_n;
    struct conf_reset_header *resets;
    size_t resets_n;
    uint32_t reset_max_ms;
};

/* The conditions in a list separated by commas; unknown words count for nothing, as in Envoy. */
uint32_t conf_retry_parse(struct str list, bool is_grpc);
/* Releases regular expressions; p may be NULL. */
void conf_retry_fini(const struct conf_retry_policy *p);

#endif
