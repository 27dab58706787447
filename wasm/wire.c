#include "wasm/wire.h"

bool wire_u8(struct wire *w, uint8_t *value_r)
{
    if (w->p == w->end)
        return false;
    *value_r = *w->p++;
    return true;
}

/* At most five bytes; the unused bits of the fifth must be zero. */
bool wire_u32(struct wire *w, uint32_t *value_r)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte;
        if (!wire_u8(w, &byte) || (shift == 28 && byte > 0x0f))
            return false;
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *value_r = value;
            return true;
        }
    }
    return false;
}

bool wire_skip(struct wire *w, size_t n)
{
    if ((size_t)(w->end - w->p) < n)
        return false;
    w->p += n;
    return true;
}

bool wire_name(struct wire *w, struct str *name_r)
{
    uint32_t n;
    if (!wire_u32(w, &n))
        return false;
    const uint8_t *start = w->p;
    if (!wire_skip(w, n))
        return false;
    *name_r = (struct str){(const char *)start, n};
    return true;
}

bool wire_limits(struct wire *w, struct wire_limits *limits_r)
{
    struct wire_limits l = {0};
    if (!wire_u8(w, &l.flags) || l.flags > 3 || !wire_u32(w, &l.min))
        return false;
    l.has_max = l.flags & 1;
    if (l.has_max && !wire_u32(w, &l.max))
        return false;
    *limits_r = l;
    return true;
}

bool wire_open(struct wire *w, const void *bytes, size_t n)
{
    static const char magic[8] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    w->p = bytes;
    w->end = w->p + n;
    if (n < sizeof(magic) || memcmp(bytes, magic, sizeof(magic)) != 0)
        return false;
    w->p += sizeof(magic);
    return true;
}

bool wire_next_section(struct wire *w, struct wire_section *section_r)
{
    if (w->p == w->end)
        return false;
    struct wire at = *w;
    struct wire_section s = {.start = at.p};
    uint8_t id;
    uint32_t size;
    if (!wire_u8(&at, &id) || !wire_u32(&at, &size))
        return false;
    s.id = id;
    s.body.p = at.p;
    if (!wire_skip(&at, size))
        return false;
    s.body.end = at.p;
    if (id == WIRE_CUSTOM && !wire_name(&s.body, &s.name))
        return false;
    *w = at;
    *section_r = s;
    return true;
}

char wire_type_letter(uint8_t type)
{
    switch (type) {
    case 0x7f:
        return 'i';
    case 0x7e:
        return 'l';
    case 0x7d:
        return 'f';
    case 0x7c:
        return 'd';
    case 0x7b:
        return 'x';
    case 0x70:
        return 'r';
    case 0x6f:
        return 'e';
    default:
        return 0;
    }
}
