#include "net/client_hello.h"

#include <stdbool.h>
#include <string.h>

#include "base/str.h"

enum {
    RECORD_HEADER = 5,
    RECORD_MAX = 16384,
    TYPE_HANDSHAKE = 22,
    HANDSHAKE_CLIENT_HELLO = 1,
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_ALPN = 16,
};

/* A cursor; once something was missing, `is_bad` stays set and reads give nothing. */
struct reader {
    const uint8_t *p;
    size_t n;
    bool is_bad;
};

static struct reader take(struct reader *r, size_t n)
{
    struct reader part = {r->p, n, false};
    if (r->is_bad || n > r->n) {
        r->is_bad = true;
        return (struct reader){NULL, 0, true};
    }
    r->p += n;
    r->n -= n;
    return part;
}

static size_t number(struct reader *r, size_t bytes)
{
    struct reader part = take(r, bytes);
    size_t v = 0;
    for (size_t i = 0; i < part.n; i++)
        v = v << 8 | part.p[i];
    return v;
}

/* A vector with its length before it. */
static struct reader vector(struct reader *r, size_t length_bytes)
{
    size_t n = number(r, length_bytes);
    return take(r, n);
}

static bool is_name_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

static void read_server_name(struct reader ext, struct client_hello *out)
{
    struct reader list = vector(&ext, 2);
    while (list.n && !list.is_bad) {
        size_t type = number(&list, 1);
        struct reader name = vector(&list, 2);
        if (list.is_bad || type != 0)
            continue;
        if (!name.n || name.n > CLIENT_HELLO_NAME_MAX)
            return;
        for (size_t i = 0; i < name.n; i++) {
            uint8_t c = name.p[i];
            if (c >= 'A' && c <= 'Z')
                c = (uint8_t)(c - 'A' + 'a');
            if (!is_name_char(c)) {
                out->server_name[0] = '\0';
                return;
            }
            out->server_name[i] = (char)c;
        }
        out->server_name[name.n] = '\0';
        return;
    }
}

static void read_protocols(struct reader ext, struct client_hello *out)
{
    struct reader list = vector(&ext, 2);
    size_t used = 0;
    while (list.n && !list.is_bad && out->protocols_n < CLIENT_HELLO_PROTOCOLS_MAX) {
        struct reader name = vector(&list, 1);
        if (list.is_bad || !name.n || memchr(name.p, 0, name.n) ||
            used + name.n + 1 > sizeof(out->text))
            return;
        memcpy(out->text + used, name.p, name.n);
        out->text[used + name.n] = '\0';
        out->protocols[out->protocols_n++] = out->text + used;
        used += name.n + 1;
    }
}

static enum client_hello_result read_hello(struct reader body, struct client_hello *out)
{
    out->server_name[0] = '\0';
    out->protocols_n = 0;
    take(&body, 2 + 32); /* legacy version, random */
    vector(&body, 1);    /* legacy session id */
    vector(&body, 2);    /* cipher suites */
    vector(&body, 1);    /* compression methods */
    if (body.is_bad)
        return CLIENT_HELLO_NONE;
    if (!body.n)
        return CLIENT_HELLO_FOUND;
    struct reader extensions = vector(&body, 2);
    bool has_names = false, has_protocols = false;
    while (extensions.n && !extensions.is_bad) {
        size_t type = number(&extensions, 2);
        struct reader ext = vector(&extensions, 2);
        if (extensions.is_bad)
            break;
        bool *seen = type == EXTENSION_SERVER_NAME ? &has_names
                     : type == EXTENSION_ALPN      ? &has_protocols
                                                   : NULL;
        if (seen && *seen) /* RFC 8446 4.2: not twice */
            return CLIENT_HELLO_NONE;
        if (seen)
            *seen = true;
        if (type == EXTENSION_SERVER_NAME)
            read_server_name(ext, out);
        else if (type == EXTENSION_ALPN)
            read_protocols(ext, out);
    }
    return body.is_bad || extensions.is_bad ? CLIENT_HELLO_NONE : CLIENT_HELLO_FOUND;
}

/* Puts the handshake bytes of the records together, as far as they are there. */
static enum client_hello_result join_records(struct reader in, uint8_t *to, size_t *n_r)
{
    *n_r = 0;
    while (in.n) {
        if (in.p[0] != TYPE_HANDSHAKE || (in.n > 1 && in.p[1] != 3))
            return CLIENT_HELLO_NONE;
        if (in.n < RECORD_HEADER)
            break;
        size_t len = (size_t)in.p[3] << 8 | in.p[4];
        if (!len || len > RECORD_MAX)
            return CLIENT_HELLO_NONE;
        take(&in, RECORD_HEADER);
        struct reader part = take(&in, len < in.n ? len : in.n);
        memcpy(to + *n_r, part.p, part.n);
        *n_r += part.n;
        if (*n_r && to[0] != HANDSHAKE_CLIENT_HELLO)
            return CLIENT_HELLO_NONE;
        if (*n_r >= 4 && *n_r >= 4 + ((size_t)to[1] << 16 | (size_t)to[2] << 8 | to[3]))
            return CLIENT_HELLO_FOUND;
    }
    return CLIENT_HELLO_MORE;
}

enum client_hello_result client_hello_parse(const uint8_t *p, size_t n, struct client_hello *out_r)
{
    uint8_t joined[CLIENT_HELLO_MAX];
    size_t joined_n;
    bool is_cut = n >= CLIENT_HELLO_MAX;
    struct reader in = {p, is_cut ? CLIENT_HELLO_MAX : n, false};
    enum client_hello_result rc = join_records(in, joined, &joined_n);
    if (rc == CLIENT_HELLO_MORE &&
        (is_cut || (joined_n >= 4 && ((size_t)joined[1] << 16 | (size_t)joined[2] << 8 |
                                      joined[3]) > CLIENT_HELLO_MAX)))
        return CLIENT_HELLO_TOO_LARGE;
    if (rc != CLIENT_HELLO_FOUND)
        return rc;
    struct reader message = {joined, joined_n, false};
    take(&message, 1);
    return read_hello(vector(&message, 3), out_r);
}
