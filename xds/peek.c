#include "xds/peek.h"

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

static bool read_varint(struct str *s, uint64_t *value_r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && s->n; shift += 7) {
        uint8_t c = (uint8_t)*s->p++;
        s->n--;
        v |= (uint64_t)(c & 127) << shift;
        if (!(c & 128)) {
            *value_r = v;
            return true;
        }
    }
    return false;
}

static bool skip(struct str *s, uint64_t n)
{
    if (n > s->n)
        return false;
    s->p += n;
    s->n -= n;
    return true;
}

/* Reads one member; *value_r is its payload when it is length-delimited. */
static bool read_member(struct str *s, uint32_t *id_r, struct str *value_r)
{
    uint64_t tag, v;
    *value_r = STR_NULL;
    if (!read_varint(s, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return false;
    *id_r = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case WIRE_VARINT:
        return read_varint(s, &v);
    case WIRE_64:
        return skip(s, 8);
    case WIRE_32:
        return skip(s, 4);
    case WIRE_BYTES:
        if (!read_varint(s, &v) || v > s->n)
            return false;
        *value_r = (struct str){s->p, v};
        return skip(s, v);
    default:
        return false;
    }
}

bool peek_string(struct str msg, uint32_t id, struct str *r)
{
    uint32_t found;
    struct str value;
    *r = (struct str){"", 0};
    while (msg.n) {
        if (!read_member(&msg, &found, &value))
            return false;
        if (found != id || !value.p)
            continue;
        if (peek_utf8(value) != value.n)
            return false;
        *r = value;
    }
    return true;
}

/* Length of the well-formed sequence at the head of s (Unicode, table 3-7), or 0. */
static size_t sequence(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    if (p[0] < 0x80)
        return p[0] ? 1 : 0;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || s.n < n)
        return 0;
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

size_t peek_utf8(struct str s)
{
    size_t done = 0;
    while (done < s.n) {
        size_t n = sequence((struct str){s.p + done, s.n - done});
        if (!n)
            break;
        done += n;
    }
    return done;
}
