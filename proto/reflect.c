#include "proto/reflect.h"

#include <stdio.h>

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

bool reflect_json_name(const char *name, char *out, size_t cap)
{
    size_t n = 0;
    bool is_word_start = false;
    for (; *name; name++) {
        if (*name == '_') {
            is_word_start = true;
            continue;
        }
        if (n + 1 >= cap)
            return false;
        out[n++] = is_word_start ? upper(*name) : *name;
        is_word_start = false;
    }
    out[n] = '\0';
    return true;
}

bool reflect_is_map(const ProtobufCMessageDescriptor *parent, const ProtobufCFieldDescriptor *f)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;
    char name[128];
    if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE ||
        d->n_fields != 2 || d->fields[0].id != 1 || d->fields[1].id != 2 ||
        strcmp(d->fields[0].name, "key") != 0 || strcmp(d->fields[1].name, "value") != 0)
        return false;
    size_t scope = strlen(parent->name);
    if (strncmp(d->name, parent->name, scope) != 0 || d->name[scope] != '.' ||
        !reflect_json_name(f->name, name, sizeof(name)))
        return false;
    const char *own = d->name + scope + 1;
    size_t n = strlen(name);
    return own[0] == upper(name[0]) && strncmp(own + 1, name + 1, n - 1) == 0 &&
           strcmp(own + n, "Entry") == 0;
}

static void append(struct reflect_path *p, const char *s, size_t n)
{
    size_t room = sizeof(p->text) - 1 - p->n;
    if (n > room)
        n = room;
    memcpy(p->text + p->n, s, n);
    p->n += n;
    p->text[p->n] = '\0';
}

/* Called for every message of a walk, so without a general printf where a copy does. */
size_t reflect_push(struct reflect_path *p, const char *name, long index)
{
    size_t before = p->n;
    if (p->n)
        append(p, ".", 1);
    append(p, name, strlen(name));
    if (index >= 0) {
        char text[32];
        append(p, text, (size_t)snprintf(text, sizeof(text), "[%ld]", index));
    }
    return before;
}

/* Length of the well-formed multi-byte sequence at p (RFC 3629), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *p, size_t n)
{
    uint8_t c = p[0], low = 0x80, high = 0xbf;
    size_t len = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : 4;
    if (c < 0xc2 || c > 0xf4 || len > n)
        return 0;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool reflect_is_text(const uint8_t *p, size_t n)
{
    const uint64_t high = 0x8080808080808080ull, ones = 0x0101010101010101ull;
    size_t i = 0;
    while (i < n) {
        uint64_t word;
        if (n - i >= 8) {
            memcpy(&word, p + i, 8);
            if (!((word | ((word - ones) & ~word)) & high)) {
                i += 8;
                continue;
            }
        }
        if (p[i] >= 0x80) {
            size_t len = utf8_sequence(p + i, n - i);
            if (!len)
                return false;
            i += len;
        } else if (p[i++] == 0) {
            return false;
        }
    }
    return true;
}
