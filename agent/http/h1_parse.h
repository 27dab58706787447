/* Strict HTTP/1.x message parser (RFC 9112), incremental, for requests and responses. It parses
 * heads, chunked framing and trailers; it owns no bytes. One per connection and direction, one
 * thread. What it refuses is everything on which two parsers could disagree (smuggling); the list
 * is the case table of tests/unit/http/test_h1_parse.c. Limits are Envoy's (60 KiB, 100 headers)
 * unless set. */
#ifndef HTTP_H1_PARSE_H
#define HTTP_H1_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "http/header_case.h"
#include "http/headers.h"

enum h1_kind { H1_REQUEST, H1_RESPONSE };

/* Why a message was refused; the status and details Envoy answers with (http1.* details). */
#define H1_ERROR_MAP(X)                                                                \
    X(NONE, 0, "")                                                                     \
    X(CODEC, 400, "http1.codec_error")                                                 \
    X(INVALID_CHARACTERS, 400, "http1.invalid_characters")                             \
    X(INVALID_URL, 400, "http1.invalid_url")                                           \
    X(INVALID_SCHEME, 400, "http1.invalid_scheme")                                     \
    X(CONTENT_LENGTH_AND_CHUNKED, 400, "http1.content_length_and_chunked_not_allowed") \
    X(HTTPS_ON_PLAINTEXT, 403, "http1.https_url_on_plaintext_connection")              \
    X(UNEXPECTED_UNDERSCORE, 400, "http1.unexpected_underscore")                       \
    X(BODY_DISALLOWED, 400, "http1.body_disallowed")                                   \
    X(CONTENT_LENGTH_NOT_ALLOWED, 400, "http1.content_length_not_allowed")             \
    X(TRANSFER_ENCODING_NOT_ALLOWED, 400, "http1.transfer_encoding_not_allowed")       \
    X(TRANSFER_ENCODING, 501, "http1.invalid_transfer_encoding")                       \
    X(CONNECTION_HEADER, 400, "http1.connection_header_rejected")                      \
    X(HEADERS_TOO_LARGE, 431, "http1.headers_too_large")                               \
    X(TOO_MANY_HEADERS, 431, "http1.too_many_headers")                                 \
    X(MISSING_HOST, 400, "missing_host_header")                                        \
    X(LOW_VERSION, 426, "low_version")

enum h1_error {
#define X(name, status, details) H1_ERROR_##name,
    H1_ERROR_MAP(X)
#undef X
};

unsigned h1_error_status(enum h1_error e);
const char *h1_error_details(enum h1_error e);

enum h1_body {
    H1_BODY_NONE,
    H1_BODY_LENGTH, /* content_length bytes */
    H1_BODY_CHUNKED,
    H1_BODY_UNTIL_CLOSE, /* responses only */
};

enum h1_state {
    H1_HEAD, /* start line or header fields */
    H1_BODY,
    H1_TRAILERS,
    H1_DONE, /* message complete; h1_parse_next starts the next one */
    H1_FAILED,
};

/* What the owner allows or wants beside the standard's reading of requests; all false at first. */
struct h1_rules {
    bool takes_any_method;     /* else the registered ones that Envoy knows */
    bool keeps_absolute;       /* an absolute target becomes :path as it stands */
    bool refuses_https;        /* as scheme of an absolute target */
    bool chunked_beats_length; /* else both together are refused */
};

struct h1_parser {
    enum h1_kind kind;
    enum h1_state state;
    enum h1_error error;
    enum h1_body body;
    uint64_t content_length;   /* H1_BODY_LENGTH */
    uint8_t minor_version;     /* HTTP/1.minor; 1 before a start line was read */
    bool keep_alive;           /* by version and connection header */
    bool is_upgrade;           /* connection: upgrade with an upgrade header */
    bool accept_http_10;       /* set by the owner; else requests in 1.0 are LOW_VERSION */
    struct h1_rules rules;     /* set by the owner */
    struct header_case *names; /* set by the owner: where a head's names are kept; NULL */
    enum conf_header_case names_conf;
    bool request_was_head, request_was_connect; /* responses: set by the owner before the head */
    size_t headers_size_max;                    /* bytes of start line and header fields */
    unsigned headers_count_max;
    /* private to h1_*.c */
    uint64_t left;       /* of the body or the chunk */
    size_t line_from;    /* start of the line that is incomplete; the lines before are sound */
    size_t scan_from;    /* no line feed between line_from and here; 0: nothing looked at */
    size_t chunk_excess; /* bytes of chunk extensions not yet paid for by data */
    unsigned chunk_state, count;
};

void h1_parse_init(struct h1_parser *p, enum h1_kind kind);
/* Gets ready for the next message on the connection; what the owner set stays (also request_was_*,
 * so that a final response after a 1xx one is still read rightly). */
void h1_parse_next(struct h1_parser *p);

/* H1_HEAD: looks for a complete head in `in`. Returns the bytes consumed (0: more is needed, or
 * failed - see p->state), and then `out` holds the fields with pseudo headers in front
 * (:method, :path, :authority from Host or the absolute URI, :scheme when the URI had one;
 * :status for responses). Leading empty lines before a request are skipped (at most one).
 * While more is needed the next call must see the same bytes again with more behind them; what
 * `out` holds meanwhile has no meaning. A request's fields that its Connection header names are
 * removed, as is Host, whose place is :authority.
 * Afterwards state is H1_BODY, or H1_DONE when there is no body. 1xx responses other than 101
 * end in H1_DONE with body none. */
size_t h1_parse_head(struct h1_parser *p, struct str in, struct headers *out);

/* H1_BODY: says where body bytes lie in `in`: *data_r is a run inside `in` (possibly empty) and
 * the return value is how many bytes of `in` are used up by it and by framing before and after.
 * 0 consumed: more input is needed. State becomes H1_TRAILERS or H1_DONE at the end. */
size_t h1_parse_body(struct h1_parser *p, struct str in, struct str *data_r);

/* H1_TRAILERS: like h1_parse_head for the trailer section; trailers are checked and counted
 * against limits of the same size as the head's. `out` NULL drops them. State becomes H1_DONE. */
size_t h1_parse_trailers(struct h1_parser *p, struct str in, struct headers *out);

/* The peer closed. True when that ends the message properly (H1_BODY_UNTIL_CLOSE). */
bool h1_parse_eof(struct h1_parser *p);

#endif
