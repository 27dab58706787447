#include "wasm/protowire.h"

static bool take_varint(struct str *s, uint64_t *v_r)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 10 && i < s->n; i++) {
        v |= (uint64_t)(s->p[i] & 0x7f) << (7 * i);
        if (!(s->p[i] & 0x80)) {
            *v_r = v;
            *s = (struct str){s->p + i + 1, s->n - i - 1};
            return true;
        }
    }
    return false;
}

static bool take_fixed(struct str *s, size_t n, uint64_t *v_r)
{
    if (s->n < n)
        return false;
    *v_r = 0;
    memcpy(v_r, s->p, n);
    *s = (struct str){s->p + n, s->n - n};
    return true;
}

bool protowire_next(struct str *s, struct protowire_field *f)
{
    struct str rest = *s;
    uint64_t tag;
    if (!take_varint(&rest, &tag) || tag >> 3 == 0 || tag >> 32)
        return false;
    f->number = (uint32_t)(tag >> 3);
    f->type = tag & 7;
    f->bytes = STR_NULL;
    switch (f->type) {
    case PROTOWIRE_VARINT:
        if (!take_varint(&rest, &f->value))
            return false;
        break;
    case PROTOWIRE_FIXED64:
        if (!take_fixed(&rest, 8, &f->value))
            return false;
        break;
    case PROTOWIRE_FIXED32:
        if (!take_fixed(&rest, 4, &f->value))
            return false;
        break;
    case PROTOWIRE_BYTES:
        if (!take_varint(&rest, &f->value) || f->value > rest.n)
            return false;
        f->bytes = (struct str){rest.p, f->value};
        rest = (struct str){rest.p + f->value, rest.n - f->value};
        break;
    default:
        return false;
    }
    *s = rest;
    return true;
}

bool protowire_find(struct str s, uint32_t number, struct str *bytes_r)
{
    struct protowire_field f;
    bool found = false;
    while (protowire_next(&s, &f))
        if (f.number == number && f.type == PROTOWIRE_BYTES) {
            *bytes_r = f.bytes;
            found = true;
        }
    return found && s.n == 0;
}
