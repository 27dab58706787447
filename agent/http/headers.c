/* Header map. Names and values are appended to one byte area; an entry that shrinks, moves or
 * goes leaves dead bytes behind, which are squeezed out when the area would have to grow and at
 * least half of it is dead. `present` has a bit for each well-known id in the map, so that
 * looking for an absent one (most look-ups of a request) costs one test. */
#include "http/headers.h"

#include <assert.h>

#include "base/mem.h"
#include "http/chars.h"

enum {
    /* Offsets are 32 bit. Callers' limits (60 KiB from the wire, a plugin's memory cap) lie far
     * below; what would not fit is dropped rather than wrapped. */
    BYTES_MAX = 1 << 28,
    ENTRIES_MAX = 1 << 20,
    BYTES_MIN = 1024,
    ENTRIES_MIN = 16,
};

static_assert(HDR_COUNT <= 64, "headers.present is one 64 bit word");

void headers_fini(struct headers *h)
{
    mem_free(h->v);
    mem_free(h->bytes);
    *h = (struct headers){0};
}

void headers_clear(struct headers *h)
{
    h->n = h->bytes_n = h->live = 0;
    h->present = 0;
}

void headers_copy(struct headers *dst, const struct headers *src)
{
    if (dst == src)
        return;
    headers_clear(dst);
    for (size_t i = 0; i < src->n; i++)
        headers_add(dst, header_name(src, &src->v[i]), header_value(src, &src->v[i]));
}

static inline uint32_t put_at(char *to, size_t *n, const char *from, size_t len)
{
    size_t at = *n;
    chars_copy(to + at, from, len);
    *n = at + len;
    return (uint32_t)at;
}

/* Makes room for `need` more bytes. The old area is returned for the caller to free once it has
 * copied what may lie in there. */
static char *grow_bytes(struct headers *h, size_t need)
{
    char *old = h->bytes;
    size_t cap = h->bytes_cap ? h->bytes_cap : BYTES_MIN;
    bool is_mostly_dead = h->bytes_n - h->live >= h->bytes_n / 2;
    size_t kept = is_mostly_dead ? h->live : h->bytes_n;
    while (cap < kept + need)
        cap *= 2;
    char *bytes = mem_alloc(cap);
    if (is_mostly_dead) {
        size_t n = 0;
        for (size_t i = 0; i < h->n; i++) {
            struct header *e = &h->v[i];
            e->name_off = put_at(bytes, &n, old + e->name_off, e->name_len);
            e->value_off = put_at(bytes, &n, old + e->value_off, e->value_len);
        }
        h->bytes_n = n;
    } else if (h->bytes_n) {
        memcpy(bytes, old, h->bytes_n);
    }
    h->bytes = bytes;
    h->bytes_cap = cap;
    return old;
}

/* Room for an entry of `need` bytes; false when the map is as large as it may get. *old_r as
 * above, or NULL. */
static inline bool reserve(struct headers *h, size_t need, char **old_r)
{
    *old_r = NULL;
    if (__builtin_expect(h->n == h->v_cap, 0)) {
        if (h->n >= ENTRIES_MAX)
            return false;
        mem_grow((void **)&h->v, &h->v_cap, h->n ? h->n + 1 : ENTRIES_MIN, sizeof(*h->v));
    }
    if (__builtin_expect(h->bytes_cap - h->bytes_n < need, 0)) {
        if (need > BYTES_MAX || h->live + need > BYTES_MAX)
            return false;
        *old_r = grow_bytes(h, need);
    }
    return true;
}

static inline uint32_t append(struct headers *h, struct str s)
{
    return put_at(h->bytes, &h->bytes_n, s.p, s.n);
}

static size_t pseudo_count(const struct headers *h)
{
    size_t n = 0;
    while (n < h->n && h->v[n].name_len && h->bytes[h->v[n].name_off] == ':')
        n++;
    return n;
}

/* A new entry at the end, or for pseudo headers before the ordinary ones. */
static inline struct header *new_entry(struct headers *h, bool is_pseudo)
{
    size_t at = is_pseudo ? pseudo_count(h) : h->n;
    if (at < h->n)
        memmove(&h->v[at + 1], &h->v[at], (h->n - at) * sizeof(*h->v));
    h->n++;
    return &h->v[at];
}

static void add_entry(struct headers *h, struct str name, enum hdr id, struct str value)
{
    char *old;
    if (!reserve(h, name.n + value.n, &old))
        return;
    uint32_t name_off = (uint32_t)h->bytes_n;
    chars_lower_copy(h->bytes + name_off, name.p, name.n);
    h->bytes_n += name.n;
    if (id == HDR_OTHER)
        id = header_id((struct str){h->bytes + name_off, name.n});
    struct header *e = new_entry(h, name.n && name.p[0] == ':');
    e->name_off = name_off;
    e->name_len = (uint32_t)name.n;
    e->value_off = append(h, value);
    e->value_len = (uint32_t)value.n;
    e->id = (uint16_t)id;
    h->live += name.n + value.n;
    h->present |= 1ull << id;
    if (old)
        mem_free(old);
}

void headers_add_wire(struct headers *h, struct str name, struct str value, const char *end)
{
    /* Both runs lie before `end`, value last: with sixteen bytes to spare behind it, whole blocks
     * can be read, and written if the map has them to spare too. */
    size_t need = name.n + value.n;
    if (h->n == h->v_cap || h->bytes_cap - h->bytes_n < need + 16 ||
        (size_t)(end - value.p) < value.n + 16) {
        headers_add(h, name, value);
        return;
    }
    char *to = h->bytes + h->bytes_n;
    chars_lower_copy_loose(to, name.p, name.n);
    chars_copy_loose(to + name.n, value.p, value.n);
    enum hdr id = header_id((struct str){to, name.n});
    h->v[h->n++] = (struct header){.name_off = (uint32_t)h->bytes_n,
                                   .value_off = (uint32_t)(h->bytes_n + name.n),
                                   .name_len = (uint32_t)name.n,
                                   .value_len = (uint32_t)value.n,
                                   .id = (uint16_t)id};
    h->bytes_n += need;
    h->live += need;
    h->present |= 1ull << id;
}

void headers_add(struct headers *h, struct str name, struct str value)
{
    add_entry(h, name, HDR_OTHER, value);
}

void headers_add_id(struct headers *h, enum hdr id, struct str value)
{
    add_entry(h, header_id_name(id), id, value);
}

static void set_value(struct headers *h, struct header *e, struct str value)
{
    size_t index = (size_t)(e - h->v);
    if (value.n <= e->value_len) {
        if (value.n)
            memmove(h->bytes + e->value_off, value.p, value.n);
        h->live -= e->value_len - value.n;
        e->value_len = (uint32_t)value.n;
        return;
    }
    char *old;
    if (!reserve(h, value.n, &old))
        return;
    e = &h->v[index];
    h->live += value.n - e->value_len;
    e->value_off = append(h, value);
    e->value_len = (uint32_t)value.n;
    if (old)
        mem_free(old);
}

static bool is_named(const struct headers *h, const struct header *e, enum hdr id, struct str name)
{
    return id != HDR_OTHER ? e->id == id
                           : e->id == HDR_OTHER && str_eq_nocase(header_name(h, e), name);
}

/* Removes the entries of that name from index `from` on. */
static size_t remove_from(struct headers *h, size_t from, enum hdr id, struct str name)
{
    size_t kept = from;
    for (size_t i = from; i < h->n; i++) {
        if (is_named(h, &h->v[i], id, name))
            h->live -= h->v[i].name_len + h->v[i].value_len;
        else if (kept++ != i)
            h->v[kept - 1] = h->v[i];
    }
    size_t removed = h->n - kept;
    h->n = kept;
    if (!h->n)
        h->bytes_n = 0;
    return removed;
}

/* Id of a name in any case. */
static enum hdr id_of(struct str name)
{
    char lower[64]; /* no well-known name is longer */
    if (name.n > sizeof(lower))
        return HDR_OTHER;
    chars_lower_copy(lower, name.p, name.n);
    return header_id((struct str){lower, name.n});
}

static struct header *find_id(const struct headers *h, enum hdr id)
{
    if (!(h->present >> id & 1))
        return NULL;
    for (size_t i = 0; i < h->n; i++)
        if (h->v[i].id == id)
            return &h->v[i];
    return NULL;
}

static struct header *find(const struct headers *h, enum hdr id, struct str name)
{
    if (id != HDR_OTHER)
        return find_id(h, id);
    for (size_t i = 0; i < h->n; i++)
        if (h->v[i].name_len == name.n && is_named(h, &h->v[i], id, name))
            return &h->v[i];
    return NULL;
}

static void set(struct headers *h, enum hdr id, struct str name, struct str value)
{
    struct header *first = find(h, id, name);
    if (!first) {
        add_entry(h, name, id, value);
        return;
    }
    size_t index = (size_t)(first - h->v);
    set_value(h, first, value);
    /* The name may lie in the map and just have moved: take it from the entry. */
    remove_from(h, index + 1, id, header_name(h, &h->v[index]));
}

void headers_set(struct headers *h, struct str name, struct str value)
{
    set(h, id_of(name), name, value);
}

void headers_set_id(struct headers *h, enum hdr id, struct str value)
{
    set(h, id, header_id_name(id), value);
}

static size_t remove_all(struct headers *h, enum hdr id, struct str name)
{
    const struct header *first = find(h, id, name);
    if (!first)
        return 0;
    if (id != HDR_OTHER)
        h->present &= ~(1ull << id);
    return remove_from(h, (size_t)(first - h->v), id, name);
}

size_t headers_remove(struct headers *h, struct str name)
{
    return remove_all(h, id_of(name), name);
}

size_t headers_remove_id(struct headers *h, enum hdr id)
{
    return h->present >> id & 1 ? remove_all(h, id, header_id_name(id)) : 0;
}

void headers_move_last(struct headers *h, enum hdr id)
{
    const struct header *last = &h->v[h->n - 1];
    struct header *to = find_id(h, id);
    h->live -= to->value_len + last->name_len;
    to->value_off = last->value_off;
    to->value_len = last->value_len;
    h->n--;
    if (last->id != HDR_OTHER && !(last->id == id))
        h->present &= ~(1ull << last->id);
}

const struct header *headers_find(const struct headers *h, enum hdr id)
{
    assert(id != HDR_OTHER);
    return find_id(h, id);
}

const struct header *headers_find_name(const struct headers *h, struct str name)
{
    return find(h, id_of(name), name);
}

static struct str value_or_null(const struct headers *h, const struct header *e)
{
    return e ? header_value(h, e) : STR_NULL;
}

struct str headers_get(const struct headers *h, enum hdr id)
{
    return value_or_null(h, find_id(h, id));
}

struct str headers_get_name(const struct headers *h, struct str name)
{
    return value_or_null(h, headers_find_name(h, name));
}

bool header_name_is_valid(struct str name)
{
    return name.n && chars_skip_token(name.p, name.p + name.n) == name.p + name.n;
}

bool header_value_is_valid(struct str value)
{
    return !value.n || chars_skip_value(value.p, value.p + value.n) == value.p + value.n;
}

unsigned headers_status(const struct headers *h)
{
    struct str text = headers_get(h, HDR_STATUS);
    unsigned status = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return 0;
        status = status * 10 + (unsigned)(text.p[i] - '0');
        if (status > 999)
            return 0;
    }
    return status;
}
