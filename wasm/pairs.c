#include "wasm/pairs.h"

#include "wasm/abi.h"

enum { ENTRY_HEAD = 8 };

size_t pairs_size(const struct headers *h)
{
    if (h->n == 0)
        return 0;
    return sizeof(uint32_t) + h->n * (ENTRY_HEAD + 2) + headers_byte_size(h);
}

static char *put_u32(char *p, size_t v)
{
    uint32_t value = (uint32_t)v;
    memcpy(p, &value, sizeof(value));
    return p + sizeof(value);
}

static char *put_text(char *p, struct str s)
{
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p + s.n + 1;
}

void pairs_encode(const struct headers *h, char *dst)
{
    if (h->n == 0)
        return;
    dst = put_u32(dst, h->n);
    for (size_t i = 0; i < h->n; i++) {
        dst = put_u32(dst, h->v[i].name_len);
        dst = put_u32(dst, h->v[i].value_len);
    }
    for (size_t i = 0; i < h->n; i++) {
        dst = put_text(dst, header_name(h, &h->v[i]));
        dst = put_text(dst, header_value(h, &h->v[i]));
    }
}

static bool is_pseudo_name(struct str name)
{
    return str_is(name, ":method") || str_is(name, ":path") || str_is(name, ":authority") ||
           str_is(name, ":scheme") || str_is(name, ":status");
}

bool pairs_is_header(struct str name, struct str value)
{
    if (!name.n || name.p[0] != ':')
        return header_name_is_valid(name) && header_value_is_valid(value);
    if (!is_pseudo_name(name))
        return false;
    /* A request cannot become a tunnel on its way. */
    if (str_is(name, ":method") && (!header_name_is_valid(value) || str_is(value, "CONNECT")))
        return false;
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] <= ' ' || value.p[i] == 0x7f)
            return false;
    return true;
}

static uint32_t get_u32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* Takes n bytes and their terminator. */
static bool take_text(struct str *rest, uint32_t n, struct str *text_r)
{
    if (rest->n <= n || rest->p[n] != 0)
        return false;
    *text_r = (struct str){rest->p, n};
    *rest = (struct str){rest->p + n + 1, rest->n - n - 1};
    return true;
}

/* Walks the entries; h NULL: only checks them. */
static bool walk(struct str s, struct headers *h)
{
    uint32_t count = get_u32(s.p);
    const char *lengths = s.p + sizeof(count);
    size_t head = sizeof(count) + (size_t)count * ENTRY_HEAD;
    struct str rest = {s.p + head, s.n - head};
    for (uint32_t i = 0; i < count; i++, lengths += ENTRY_HEAD) {
        struct str name, value;
        if (!take_text(&rest, get_u32(lengths), &name) ||
            !take_text(&rest, get_u32(lengths + 4), &value) || !pairs_is_header(name, value))
            return false;
        if (h)
            headers_add(h, name, value);
    }
    return rest.n == 0;
}

bool pairs_decode(struct str s, struct headers *h)
{
    if (s.n == 0)
        return true;
    if (s.n < sizeof(uint32_t) || s.n > PWASM_PAIRS_BYTES_MAX)
        return false;
    uint32_t count = get_u32(s.p);
    if (count > PWASM_PAIRS_MAX || s.n - sizeof(count) < (size_t)count * ENTRY_HEAD)
        return false;
    return walk(s, NULL) && walk(s, h);
}
