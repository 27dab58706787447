#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <string.h>

enum { V2_HEAD = 16, SIGNATURE = 12, IPV4_BLOCK = 12, IPV6_BLOCK = 36, WORDS = 6 };

static const uint8_t signature[SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";

static bool is_unicast(const struct addr *a)
{
    if (addr_is_any(a))
        return false;
    if (a->sa.sa_family == AF_INET6)
        return !IN6_IS_ADDR_MULTICAST(&a->v6.sin6_addr);
    uint32_t ip = ntohl(a->v4.sin_addr.s_addr);
    return ip != INADDR_BROADCAST && !IN_MULTICAST(ip);
}

static enum proxy_protocol_result check(const struct proxy_protocol *o)
{
    return is_unicast(&o->source) && is_unicast(&o->destination) ? PROXY_PROTOCOL_FOUND
                                                                 : PROXY_PROTOCOL_BAD;
}

/* ---- version 1 ---- */

static bool parse_port(struct str s, uint16_t *port_r)
{
    uint32_t v = 0;
    if (!s.n || s.n > 5)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(s.p[i] - '0');
    }
    *port_r = (uint16_t)v;
    return v <= UINT16_MAX;
}

static bool parse_address(struct str ip, struct str port, int family, struct addr *a)
{
    uint16_t number;
    return parse_port(port, &number) && !addr_from_ip(ip, number, a, NULL) &&
           a->sa.sa_family == family;
}

/* Words between blanks, at most max; more give max + 1. */
static size_t split(struct str line, struct str *words, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < line.n;) {
        size_t begin = i;
        while (i < line.n && line.p[i] != ' ')
            i++;
        if (i > begin && n == max)
            return max + 1;
        if (i > begin)
            words[n++] = (struct str){line.p + begin, i - begin};
        i++;
    }
    return n;
}

static enum proxy_protocol_result parse_line(struct str line, struct proxy_protocol *o)
{
    struct str w[WORDS];
    size_t n = split(line, w, WORDS);
    if (n < 2 || !str_is(w[0], "PROXY"))
        return PROXY_PROTOCOL_BAD;
    if (str_is(w[1], "UNKNOWN")) {
        o->is_local = true;
        return PROXY_PROTOCOL_FOUND;
    }
    int family = str_is(w[1], "TCP4") ? AF_INET : str_is(w[1], "TCP6") ? AF_INET6 : AF_UNSPEC;
    if (n != WORDS || family == AF_UNSPEC || !parse_address(w[2], w[4], family, &o->source) ||
        !parse_address(w[3], w[5], family, &o->destination))
        return PROXY_PROTOCOL_BAD;
    return check(o);
}

static enum proxy_protocol_result parse_v1(const uint8_t *p, size_t n, struct proxy_protocol *o)
{
    o->version = 1;
    size_t max = n < PROXY_PROTOCOL_V1_MAX ? n : PROXY_PROTOCOL_V1_MAX;
    const uint8_t *end = memmem(p, max, "\r\n", 2);
    if (!end)
        return n < PROXY_PROTOCOL_V1_MAX ? PROXY_PROTOCOL_MORE : PROXY_PROTOCOL_BAD;
    o->len = o->tlvs_at = (size_t)(end - p) + 2;
    return parse_line((struct str){(const char *)p, (size_t)(end - p)}, o);
}

/* ---- version 2 ---- */

static void read_addresses(const uint8_t *p, bool is_v6, struct proxy_protocol *o)
{
    struct addr *both[] = {&o->source, &o->destination};
    for (size_t i = 0; i < 2; i++) {
        if (is_v6) {
            both[i]->len = sizeof(both[i]->v6);
            both[i]->v6.sin6_family = AF_INET6;
            memcpy(&both[i]->v6.sin6_addr, p + i * 16, 16);
            memcpy(&both[i]->v6.sin6_port, p + 32 + i * 2, 2);
        } else {
            both[i]->len = sizeof(both[i]->v4);
            both[i]->v4.sin_family = AF_INET;
            memcpy(&both[i]->v4.sin_addr, p + i * 4, 4);
            memcpy(&both[i]->v4.sin_port, p + 8 + i * 2, 2);
        }
    }
}

static bool adds_up(const uint8_t *p, size_t n)
{
    size_t at = 0;
    while (at < n) {
        if (n - at < 3)
            return false;
        size_t len = (size_t)p[at + 1] << 8 | p[at + 2];
        if (len > n - at - 3)
            return false;
        at += 3 + len;
    }
    return true;
}

static enum proxy_protocol_result parse_v2(const uint8_t *p, size_t n, struct proxy_protocol *o)
{
    o->version = 2;
    if (n < V2_HEAD)
        return PROXY_PROTOCOL_MORE;
    unsigned command = p[12] & 15, family = p[13] >> 4, transport = p[13] & 15;
    size_t rest = (size_t)p[14] << 8 | p[15];
    size_t block = family == 1 ? IPV4_BLOCK : IPV6_BLOCK;
    o->len = V2_HEAD + rest;
    o->is_local = command == 0;
    if (p[12] >> 4 != 2 || command > 1)
        return PROXY_PROTOCOL_BAD;
    if (command == 1 &&
        (family < 1 || family > 2 || transport < 1 || transport > 2 || rest < block))
        return PROXY_PROTOCOL_BAD;
    if (n < o->len)
        return PROXY_PROTOCOL_MORE;
    o->tlvs_at = o->len;
    if (o->is_local) /* whatever follows is of no concern */
        return PROXY_PROTOCOL_FOUND;
    o->tlvs_at = V2_HEAD + block;
    read_addresses(p + V2_HEAD, family == 2, o);
    return adds_up(p + o->tlvs_at, o->len - o->tlvs_at) ? check(o) : PROXY_PROTOCOL_BAD;
}

enum proxy_protocol_result proxy_protocol_parse(const uint8_t *p, size_t n,
                                                struct proxy_protocol *o)
{
    static const char v1[] = "PROXY ";
    memset(o, 0, sizeof(*o));
    if (!n)
        return PROXY_PROTOCOL_MORE;
    if (!memcmp(p, signature, n < SIGNATURE ? n : SIGNATURE))
        return n < SIGNATURE ? PROXY_PROTOCOL_MORE : parse_v2(p, n, o);
    if (!memcmp(p, v1, n < 6 ? n : 6))
        return n < 6 ? PROXY_PROTOCOL_MORE : parse_v1(p, n, o);
    return PROXY_PROTOCOL_NONE;
}

bool proxy_protocol_next_tlv(const uint8_t *p, size_t n, size_t *at, uint8_t *type_r,
                             struct str *value_r)
{
    if (*at >= n || n - *at < 3)
        return false;
    size_t len = (size_t)p[*at + 1] << 8 | p[*at + 2];
    if (len > n - *at - 3)
        return false;
    *type_r = p[*at];
    *value_r = (struct str){(const char *)p + *at + 3, len};
    *at += 3 + len;
    return true;
}

/* ---- writing ---- */

static void write_v1(const struct addr *source, const struct addr *destination, struct sbuf *out)
{
    char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
    if (!source) {
        sbuf_addz(out, "PROXY UNKNOWN\r\n");
        return;
    }
    sbuf_printf(out, "PROXY TCP%d %s %s %u %u\r\n", source->sa.sa_family == AF_INET ? 4 : 6,
                addr_format_ip(source, from), addr_format_ip(destination, to), addr_port(source),
                addr_port(destination));
}

static void add_addresses(const struct addr *source, const struct addr *destination,
                          struct sbuf *out)
{
    uint16_t ports[] = {htons(addr_port(source)), htons(addr_port(destination))};
    if (source->sa.sa_family == AF_INET) {
        sbuf_add(out, &source->v4.sin_addr, 4);
        sbuf_add(out, &destination->v4.sin_addr, 4);
    } else {
        sbuf_add(out, &source->v6.sin6_addr, 16);
        sbuf_add(out, &destination->v6.sin6_addr, 16);
    }
    sbuf_add(out, ports, sizeof(ports));
}

static void write_v2(const struct addr *source, const struct addr *destination, struct str tlvs,
                     struct sbuf *out)
{
    size_t block = !source ? 0 : source->sa.sa_family == AF_INET ? IPV4_BLOCK : IPV6_BLOCK;
    size_t rest = block + (source ? tlvs.n : 0);
    const uint8_t head[] = {source ? 0x21 : 0x20,
                            block == IPV4_BLOCK   ? 0x11
                            : block == IPV6_BLOCK ? 0x21
                                                  : 0,
                            (uint8_t)(rest >> 8), (uint8_t)rest};
    sbuf_add(out, signature, SIGNATURE);
    sbuf_add(out, head, sizeof(head));
    if (!source)
        return;
    add_addresses(source, destination, out);
    sbuf_add(out, tlvs.p, tlvs.n);
}

void proxy_protocol_write(unsigned version, const struct addr *source,
                          const struct addr *destination, struct str tlvs, struct sbuf *out)
{
    int family = source ? source->sa.sa_family : AF_UNSPEC;
    if (!destination || destination->sa.sa_family != family ||
        (family != AF_INET && family != AF_INET6))
        source = NULL;
    if (version == 1)
        write_v1(source, destination, out);
    else
        write_v2(source, destination, tlvs, out);
}

bool proxy_protocol_add_tlv(struct sbuf *tlvs, uint8_t type, struct str value)
{
    if (tlvs->n + value.n + 3 > UINT16_MAX - IPV6_BLOCK)
        return false;
    const uint8_t head[] = {type, (uint8_t)(value.n >> 8), (uint8_t)value.n};
    sbuf_add(tlvs, head, sizeof(head));
    sbuf_add(tlvs, value.p, value.n);
    return true;
}
