/* HTTP/1.1 serialisation: one reservation for the whole head, then copies. What could end a line
 * early (CR, LF, NUL) never gets out: filters and plugins may have put it into the map. */
#include "http/h1_write.h"

#include <stdio.h>

#include "base/mem.h"
#include "http/chars.h"

/* IANA's HTTP Status Code Registry; unassigned codes are "Unknown". */
#define REASON_MAP(X)                         \
    X(100, "Continue")                        \
    X(101, "Switching Protocols")             \
    X(102, "Processing")                      \
    X(103, "Early Hints")                     \
    X(200, "OK")                              \
    X(201, "Created")                         \
    X(202, "Accepted")                        \
    X(203, "Non-Authoritative Information")   \
    X(204, "No Content")                      \
    X(205, "Reset Content")                   \
    X(206, "Partial Content")                 \
    X(207, "Multi-Status")                    \
    X(208, "Already Reported")                \
    X(226, "IM Used")                         \
    X(300, "Multiple Choices")                \
    X(301, "Moved Permanently")               \
    X(302, "Found")                           \
    X(303, "See Other")                       \
    X(304, "Not Modified")                    \
    X(305, "Use Proxy")                       \
    X(307, "Temporary Redirect")              \
    X(308, "Permanent Redirect")              \
    X(400, "Bad Request")                     \
    X(401, "Unauthorized")                    \
    X(402, "Payment Required")                \
    X(403, "Forbidden")                       \
    X(404, "Not Found")                       \
    X(405, "Method Not Allowed")              \
    X(406, "Not Acceptable")                  \
    X(407, "Proxy Authentication Required")   \
    X(408, "Request Timeout")                 \
    X(409, "Conflict")                        \
    X(410, "Gone")                            \
    X(411, "Length Required")                 \
    X(412, "Precondition Failed")             \
    X(413, "Payload Too Large")               \
    X(414, "URI Too Long")                    \
    X(415, "Unsupported Media Type")          \
    X(416, "Range Not Satisfiable")           \
    X(417, "Expectation Failed")              \
    X(421, "Misdirected Request")             \
    X(422, "Unprocessable Entity")            \
    X(423, "Locked")                          \
    X(424, "Failed Dependency")               \
    X(425, "Too Early")                       \
    X(426, "Upgrade Required")                \
    X(428, "Precondition Required")           \
    X(429, "Too Many Requests")               \
    X(431, "Request Header Fields Too Large") \
    X(451, "Unavailable For Legal Reasons")   \
    X(500, "Internal Server Error")           \
    X(501, "Not Implemented")                 \
    X(502, "Bad Gateway")                     \
    X(503, "Service Unavailable")             \
    X(504, "Gateway Timeout")                 \
    X(505, "HTTP Version Not Supported")      \
    X(506, "Variant Also Negotiates")         \
    X(507, "Insufficient Storage")            \
    X(508, "Loop Detected")                   \
    X(511, "Network Authentication Required")

static const struct str reasons[600] = {
#define X(code, text) [code] = {(text), sizeof(text) - 1},
    REASON_MAP(X)
#undef X
};

static struct str reason_of(unsigned status)
{
    return status < ARRAY_LEN(reasons) && reasons[status].p ? reasons[status] : STR("Unknown");
}

const char *h1_reason(unsigned status)
{
    return reason_of(status).p;
}

static inline char *put(char *to, struct str s)
{
    chars_copy(to, s.p, s.n);
    return to + s.n;
}

static size_t fields_size(const struct headers *h)
{
    return headers_byte_size(h) + h->n * (sizeof(": \r\n") - 1) + sizeof("\r\n") - 1;
}

static bool is_pseudo(const struct headers *h, const struct header *e)
{
    return e->name_len && h->bytes[e->name_off] == ':';
}

static inline bool is_value(struct str s)
{
    return chars_skip_value(s.p, s.p + s.n) == s.p + s.n;
}

/* Name and value as one field line; a field that is not one is left out. */
static inline char *put_field(char *to, const struct headers *h, const struct header *e)
{
    struct str name = header_name(h, e), value = header_value(h, e);
    if ((e->id == HDR_OTHER && !header_name_is_valid(name)) || !is_value(value))
        return to;
    to = put(to, name);
    memcpy(to, ": ", 2);
    to = put(to + 2, value);
    memcpy(to, "\r\n", 2);
    return to + 2;
}

static char *put_fields(char *to, const struct headers *h, enum hdr skip)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct header *e = &h->v[i];
        if (!is_pseudo(h, e) && (e->id != skip || skip == HDR_OTHER))
            to = put_field(to, h, e);
    }
    return put(to, STR("\r\n"));
}

static bool is_target(struct str s)
{
    return s.n && chars_skip_target(s.p, s.p + s.n) == s.p + s.n;
}

bool h1_write_request(struct buf *out, const struct headers *h)
{
    struct str method = headers_get(h, HDR_METHOD), target = headers_get(h, HDR_PATH);
    struct str authority = headers_get(h, HDR_AUTHORITY);
    if (str_is(method, "CONNECT"))
        target = authority;
    if (!header_name_is_valid(method) || !is_target(target) ||
        (authority.n && !is_target(authority)))
        return false;
    char *start = buf_reserve(out, method.n + target.n + authority.n + fields_size(h) +
                                       sizeof("  HTTP/1.1\r\nhost: \r\n"));
    char *to = put(start, method);
    to = put(to, STR(" "));
    to = put(to, target);
    to = put(to, STR(" HTTP/1.1\r\n"));
    if (authority.p) {
        to = put(to, STR("host: "));
        to = put(to, authority);
        to = put(to, STR("\r\n"));
    }
    to = put_fields(to, h, authority.p ? HDR_HOST : HDR_OTHER);
    buf_commit(out, (size_t)(to - start));
    return true;
}

void h1_write_response(struct buf *out, const struct headers *h, unsigned minor_version)
{
    unsigned status = headers_status(h);
    /* A status that is no number can only come from a filter; the peer must get a response. */
    if (status < 100)
        status = 500;
    struct str reason = reason_of(status);
    char *start = buf_reserve(out, sizeof("HTTP/1.1 999 \r\n") + reason.n + fields_size(h));
    char code[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                   (char)('0' + status % 10), ' '};
    char *to = put(start, minor_version ? STR("HTTP/1.1 ") : STR("HTTP/1.0 "));
    to = put(to, (struct str){code, sizeof(code)});
    to = put(to, reason);
    to = put(to, STR("\r\n"));
    to = put_fields(to, h, HDR_OTHER);
    buf_commit(out, (size_t)(to - start));
}

void h1_write_chunk(struct buf *out, const void *p, size_t n)
{
    if (!n)
        return;
    char size[24];
    int digits = snprintf(size, sizeof(size), "%zx\r\n", n);
    char *start = buf_reserve(out, (size_t)digits + n + 2);
    char *to = put(start, (struct str){size, (size_t)digits});
    to = put(to, (struct str){p, n});
    to = put(to, STR("\r\n"));
    buf_commit(out, (size_t)(to - start));
}

void h1_write_last_chunk(struct buf *out, const struct headers *trailers)
{
    static const struct headers none = {0};
    if (!trailers)
        trailers = &none;
    char *start = buf_reserve(out, sizeof("0\r\n") + fields_size(trailers));
    char *to = put_fields(put(start, STR("0\r\n")), trailers, HDR_OTHER);
    buf_commit(out, (size_t)(to - start));
}
