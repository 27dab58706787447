#include "fake_dns.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/sock.h"

enum { TYPE_A = 1, TYPE_AAAA = 28 };

static void put16(struct buf *b, unsigned v)
{
    unsigned char two[2] = {(unsigned char)(v >> 8), (unsigned char)v};
    buf_add(b, two, 2);
}

static void put_answer(struct buf *b, const char *ip)
{
    bool is_v6 = strchr(ip, ':');
    unsigned char raw[16];
    assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, ip, raw), 1);
    put16(b, 0xc00c); /* the name of the question */
    put16(b, is_v6 ? TYPE_AAAA : TYPE_A);
    put16(b, 1);
    put16(b, 0);
    put16(b, 60); /* TTL */
    put16(b, is_v6 ? 16 : 4);
    buf_add(b, raw, is_v6 ? 16 : 4);
}

/* The name of the question in dotted form; returns its length on the wire. */
static size_t read_name(const unsigned char *p, size_t n, char *name)
{
    size_t at = 0, out = 0;
    while (at < n && p[at] && out + p[at] + 1 < 255) {
        if (out)
            name[out++] = '.';
        memcpy(name + out, p + at + 1, p[at]);
        out += p[at];
        at += p[at] + 1u;
    }
    name[out] = 0;
    return at + 1;
}

static void on_query(struct loop_io *io, uint32_t events)
{
    (void)events;
    struct fake_dns *d = container_of(io, struct fake_dns, io);
    unsigned char q[512];
    char name[256];
    struct addr from = {.len = sizeof(from.ss)};
    ssize_t n = recvfrom(io->fd, q, sizeof(q), 0, &from.sa, &from.len);
    if (n < 17)
        return;
    d->queries++;
    size_t name_n = read_name(q + 12, (size_t)n - 12, name);
    unsigned type = (unsigned)q[12 + name_n] << 8 | q[13 + name_n];
    unsigned answers = 0;
    int rcode = 3;
    struct buf body = {0}, b = {0};
    for (size_t i = 0; i < d->records_n; i++) {
        const struct fake_record *r = &d->records[i];
        if (strcmp(r->name, name) != 0)
            continue;
        rcode = r->rcode;
        if (r->ip && (strchr(r->ip, ':') != NULL) == (type == TYPE_AAAA)) {
            put_answer(&body, r->ip);
            answers++;
        }
    }
    buf_add(&b, q, 2);
    put16(&b, 0x8180u | (unsigned)rcode);
    put16(&b, 1);
    put16(&b, answers);
    put16(&b, 0);
    put16(&b, 0);
    buf_add(&b, q + 12, name_n + 4);
    buf_adds(&b, buf_str(&body));
    sendto(io->fd, buf_head(&b), b.len, 0, &from.sa, from.len);
    buf_fini(&b);
    buf_fini(&body);
}

void fake_dns_open(struct fake_dns *d, struct loop *loop, const struct fake_record *records,
                   size_t n)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    addr_from_ip(STR("127.0.0.1"), 0, &d->addr, NULL);
    assert_int_equal(bind(fd, &d->addr.sa, d->addr.len), 0);
    sock_local(fd, &d->addr);
    addr_format(&d->addr, d->address);
    d->io = (struct loop_io){fd, on_query};
    d->records = records;
    d->records_n = n;
    d->queries = 0;
    assert_int_equal(loop_add_listen(loop, &d->io), 0);
}

void fake_dns_close(struct fake_dns *d, struct loop *loop)
{
    loop_del(loop, &d->io);
    close(d->io.fd);
}
