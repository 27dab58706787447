/* Header map: one form for HTTP/1, HTTP/2 and Wasm guests. Names are lower-cased; names and
 * values live in one byte area of the map as offset + length, never in a receive buffer.
 * Pseudo headers (":method", ":path", ":authority", ":scheme", ":status") are entries like others
 * and come first. Order and duplicates are kept.
 *
 * Owned by the stream that embeds it; one thread. Views (struct str) hold until the next change
 * of the map. Source: RFC 9110 5, RFC 9113 8.3, Envoy's HeaderMap. */
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Well-known names: found by id instead of by comparing bytes. */
#define HDR_MAP(X)                                                      \
    X(METHOD, ":method")                                                \
    X(PATH, ":path")                                                    \
    X(AUTHORITY, ":authority")                                          \
    X(SCHEME, ":scheme")                                                \
    X(STATUS, ":status")                                                \
    X(CONNECTION, "connection")                                         \
    X(CONTENT_LENGTH, "content-length")                                 \
    X(CONTENT_TYPE, "content-type")                                     \
    X(DATE, "date")                                                     \
    X(EXPECT, "expect")                                                 \
    X(HOST, "host")                                                     \
    X(KEEP_ALIVE, "keep-alive")                                         \
    X(LOCATION, "location")                                             \
    X(PROXY_CONNECTION, "proxy-connection")                             \
    X(REFERER, "referer")                                               \
    X(SERVER, "server")                                                 \
    X(TE, "te")                                                         \
    X(TRAILER, "trailer")                                               \
    X(TRANSFER_ENCODING, "transfer-encoding")                           \
    X(UPGRADE, "upgrade")                                               \
    X(USER_AGENT, "user-agent")                                         \
    X(X_ENVOY_EXPECTED_RQ_TIMEOUT_MS, "x-envoy-expected-rq-timeout-ms") \
    X(X_ENVOY_INTERNAL, "x-envoy-internal")                             \
    X(X_ENVOY_ORIGINAL_PATH, "x-envoy-original-path")                   \
    X(X_ENVOY_UPSTREAM_SERVICE_TIME, "x-envoy-upstream-service-time")   \
    X(X_FORWARDED_FOR, "x-forwarded-for")                               \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")                           \
    X(X_REQUEST_ID, "x-request-id")                                     \
    X(GRPC_STATUS, "grpc-status")                                       \
    X(GRPC_MESSAGE, "grpc-message")

enum hdr {
    HDR_OTHER,
#define X(id, text) HDR_##id,
    HDR_MAP(X)
#undef X
        HDR_COUNT
};

struct header {
    uint32_t name_off, value_off;
    uint32_t name_len, value_len;
    uint16_t id; /* enum hdr; HDR_OTHER: compare the name */
};

struct headers {
    struct header *v;
    char *bytes;
    size_t n, v_cap;           /* entries */
    size_t bytes_n, bytes_cap; /* bytes_n counts dead bytes too, until compaction */
    size_t live;               /* bytes of names and values that are in use */
    uint64_t present;          /* bit per well-known id in the map; private to headers.c */
};

/* Zero-initialised is an empty map. */
void headers_fini(struct headers *h);
void headers_clear(struct headers *h); /* keeps its memory */
void headers_copy(struct headers *dst, const struct headers *src);

static inline struct str header_name(const struct headers *h, const struct header *e)
{
    return (struct str){h->bytes + e->name_off, e->name_len};
}

static inline struct str header_value(const struct headers *h, const struct header *e)
{
    return (struct str){h->bytes + e->value_off, e->value_len};
}

/* Id of a lower-case name, or HDR_OTHER. */
enum hdr header_id(struct str lower_name);
struct str header_id_name(enum hdr id);

/* First entry or NULL. The name is compared in lower case. */
const struct header *headers_find(const struct headers *h, enum hdr id);
const struct header *headers_find_name(const struct headers *h, struct str name);
/* First value, or STR_NULL (p == NULL) when absent. */
struct str headers_get(const struct headers *h, enum hdr id);
struct str headers_get_name(const struct headers *h, struct str name);

/* Adds an entry behind the others (pseudo headers go before the ordinary ones). The name is
 * lower-cased; name and value are copied and may point into the map itself. */
void headers_add(struct headers *h, struct str name, struct str value);
void headers_add_id(struct headers *h, enum hdr id, struct str value);
/* Removes every entry of that name, then adds one in the place of the first. */
void headers_set(struct headers *h, struct str name, struct str value);
void headers_set_id(struct headers *h, enum hdr id, struct str value);
/* Number of entries removed. */
size_t headers_remove(struct headers *h, struct str name);
size_t headers_remove_id(struct headers *h, enum hdr id);

/* For the HTTP/1 parser: like headers_add for an ordinary field that lies in an input up to
 * `end`, outside the map, its value behind its name. */
void headers_add_wire(struct headers *h, struct str name, struct str value, const char *end);
/* For the HTTP/1 parser: takes away the last entry, the only one of its name; its value becomes
 * that of the first entry of `id`, which is there. */
void headers_move_last(struct headers *h, enum hdr id);

/* Sum of name and value lengths: what limits and proxy_get_header_map_size count. */
static inline size_t headers_byte_size(const struct headers *h)
{
    return h->live;
}

/* RFC 9110: is this a token (header name, method); is this a legal field value? */
bool header_name_is_valid(struct str name);
bool header_value_is_valid(struct str value);
/* Number of :status, or 0. */
unsigned headers_status(const struct headers *h);

#endif
