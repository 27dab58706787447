#include "mutate.h"

#include "base/mem.h"

#define PICK(m, list) (list)[mutate_below((m), ARRAY_LEN(list))]

/* xorshift64* */
unsigned mutate_below(struct mutate *m, unsigned n)
{
    m->seed ^= m->seed >> 12;
    m->seed ^= m->seed << 25;
    m->seed ^= m->seed >> 27;
    return (unsigned)((m->seed * 0x2545f4914f6cdd1dull) >> 33) % n;
}

static const struct str methods[] = {
    STR("GET"),     STR("POST"),  STR("PUT"),    STR("HEAD"),  STR("OPTIONS"),
    STR("CONNECT"), STR("PATCH"), STR("DELETE"), STR("PURGE"), STR("GETX"),
};

static const struct str targets[] = {
    STR("/"),           STR("/a/b?c=d"), STR("*"),        STR("http://b/x"), STR("http://b"),
    STR("https://b?q"), STR("b:443"),    STR("[::1]:80"), STR("/a%20b"),     STR("http://u@b/"),
    STR("/x#y"),        STR("/\x80"),    STR("//x"),      STR("ftp://b/"),
};

static const struct str fields[] = {
    STR("Accept: */*\r\n"),
    STR("X-A: 1\r\n"),
    STR("x-b:\t two words \r\n"),
    STR("X-Empty:\r\n"),
    STR("X-High: \xc3\xa9\r\n"),
    STR("Cookie: a=b; c=d\r\n"),
    STR("!#$%&'*+-.^_`|~: tchars\r\n"),
    STR("Connection: close\r\n"),
    STR("Connection: keep-alive\r\n"),
    STR("Connection: keep-alive, x-a\r\n"),
    STR("Connection: upgrade\r\n"),
    STR("Upgrade: websocket\r\n"),
    STR("Upgrade: h2c\r\n"),
    STR("TE: trailers\r\n"),
    STR("Expect: 100-continue\r\n"),
    STR("Proxy-Connection: close\r\n"),
};

/* These come once in a while, for they mostly make a message one to refuse. */
static const struct str framing_fields[] = {
    STR("Host: a\r\n"),
    STR("Content-Length: 0\r\n"),
    STR("Content-Length: 5\r\n"),
    STR("Content-Length: 05\r\n"),
    STR("Transfer-Encoding: chunked\r\n"),
    STR("transfer-encoding:CHUNKED\r\n"),
    STR("Transfer-Encoding: gzip, chunked\r\n"),
    STR("Transfer-Encoding: identity\r\n"),
};

static const struct str bodies[] = {
    STR(""),
    STR("hello"),
    STR("0\r\n\r\n"),
    STR("5\r\nhello\r\n0\r\n\r\n"),
    STR("5\r\nhello\r\n0\r\nT: 1\r\nu: 2\r\n\r\n"),
    STR("1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\nrest"),
    STR("3;x=y\r\nabc\r\n0;z\r\n\r\n"),
    STR("003\r\nabc\r\n000\r\n\r\n"),
    STR("helloGET / HTTP/1.1\r\nhost: a\r\n\r\n"),
};

static const struct str status_lines[] = {
    STR("HTTP/1.1 200 OK\r\n"),
    STR("HTTP/1.1 200 OK\r\n"),
    STR("HTTP/1.1 404 Not Found\r\n"),
    STR("HTTP/1.0 200 OK\r\n"),
    STR("HTTP/1.1 204 No Content\r\n"),
    STR("HTTP/1.1 304 X\r\n"),
    STR("HTTP/1.1 100 Continue\r\n"),
    STR("HTTP/1.1 101 X\r\n"),
    STR("HTTP/1.1 200\r\n"),
    STR("HTTP/1.1 503 \r\n"),
};

/* What damage puts in. */
static const struct str splinters[] = {
    STR("\r"),
    STR("\n"),
    STR("\r\n"),
    STR(" "),
    STR("\t"),
    STR("\0"),
    STR("\x0b"),
    STR("\x0c"),
    STR("\x7f"),
    STR("\x80"),
    STR("\xff"),
    STR(":"),
    STR(","),
    STR(";"),
    STR("="),
    STR("\""),
    STR("+"),
    STR("-"),
    STR("0"),
    STR("1"),
    STR("9"),
    STR("f"),
    STR("x"),
    STR("/"),
    STR("@"),
    STR("#"),
    STR("\\"),
    STR("\r\n "),
    STR("\r\n\r\n"),
    STR("chunked"),
    STR(", chunked"),
    STR("Content-Length: 5\r\n"),
    STR("Transfer-Encoding: chunked\r\n"),
    STR("\r\nContent-Length: 3\r\n"),
    STR("0\r\n\r\n"),
    STR("HTTP/1.0"),
    STR("ffffffffffffffff"),
    STR("18446744073709551616"),
};

static void add(struct sbuf *out, struct str s)
{
    sbuf_add(out, s.p, s.n);
}

static void damage(struct mutate *m, struct sbuf *b)
{
    unsigned times = mutate_below(m, 4);
    for (unsigned i = 0; i < times && b->n; i++) {
        size_t at = mutate_below(m, (unsigned)b->n);
        struct sbuf tail = {0};
        unsigned how = mutate_below(m, 4);
        size_t gone = how == 0 ? 0 : how == 1 ? mutate_below(m, 6) : 1;
        if (gone > b->n - at)
            gone = b->n - at;
        sbuf_add(&tail, b->p + at + gone, b->n - at - gone);
        b->n = at;
        if (how != 3)
            add(b, PICK(m, splinters));
        if (how == 2 && at)
            sbuf_add(b, b->p, mutate_below(m, (unsigned)(at < 40 ? at : 40)));
        sbuf_add(b, tail.p, tail.n);
        sbuf_fini(&tail);
    }
}

static void add_fields(struct mutate *m, struct sbuf *out)
{
    for (unsigned n = mutate_below(m, 5); n; n--)
        add(out, mutate_below(m, 16) ? PICK(m, fields) : PICK(m, framing_fields));
}

/* A body with what announces it, or any of each. */
static void add_end(struct mutate *m, struct sbuf *out)
{
    switch (mutate_below(m, 4)) {
    case 0:
        sbuf_addz(out, "\r\n");
        break;
    case 1:
        sbuf_addz(out, "Content-Length: 5\r\n\r\nhello");
        break;
    case 2:
        sbuf_addz(out, "Transfer-Encoding: chunked\r\n\r\n");
        add(out, bodies[2 + mutate_below(m, ARRAY_LEN(bodies) - 3)]);
        break;
    default:
        sbuf_addz(out, "\r\n");
        add(out, PICK(m, bodies));
    }
}

void mutate_request(struct mutate *m, struct sbuf *out)
{
    out->n = 0;
    add(out, mutate_below(m, 8) ? methods[mutate_below(m, 2)] : PICK(m, methods));
    sbuf_addc(out, ' ');
    add(out, mutate_below(m, 4) ? targets[mutate_below(m, 2)] : PICK(m, targets));
    sbuf_addz(out, mutate_below(m, 10) ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
    if (mutate_below(m, 20))
        sbuf_addz(out, "Host: a.b:80\r\n");
    add_fields(m, out);
    add_end(m, out);
    damage(m, out);
}

void mutate_response(struct mutate *m, struct sbuf *out)
{
    out->n = 0;
    add(out, PICK(m, status_lines));
    add_fields(m, out);
    add_end(m, out);
    damage(m, out);
}
