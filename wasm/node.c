#include "wasm/node.h"

#include "base/mem.h"
#include "wasm/protowire.h"

/* Fields of Node, Locality, Struct, Value. */
enum { NODE_METADATA = 3, NODE_LOCALITY = 4, STRUCT_FIELDS = 1, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { VALUE_NUMBER = 2, VALUE_STRING = 3, VALUE_BOOL = 4, VALUE_STRUCT = 5, VALUE_LIST = 6 };
enum { DEPTH_MAX = 16 };

static struct str node;

void pwasm_node_set(struct str bytes)
{
    mem_free((char *)node.p);
    node = (struct str){mem_dup(bytes.p, bytes.n), bytes.n};
}

static const struct {
    const char *name;
    uint32_t number;
} node_fields[] = {{"id", 1},
                   {"cluster", 2},
                   {"metadata", NODE_METADATA},
                   {"locality", NODE_LOCALITY},
                   {"user_agent_name", 6}},
  locality_fields[] = {{"region", 1}, {"zone", 2}, {"sub_zone", 3}};

static enum pwasm_status put(struct sbuf *out, const void *p, size_t n)
{
    sbuf_add(out, p, n);
    return PWASM_OK;
}

static bool find_entry(struct str fields, struct str key, struct str *value_r)
{
    struct protowire_field f;
    bool found = false;
    while (protowire_next(&fields, &f)) {
        struct str k;
        if (f.number == STRUCT_FIELDS && protowire_find(f.bytes, ENTRY_KEY, &k) && str_eq(k, key) &&
            protowire_find(f.bytes, ENTRY_VALUE, value_r))
            found = true;
    }
    return found;
}

static enum pwasm_status put_value(struct str value, unsigned depth, struct sbuf *out);

static void put_u32(struct sbuf *b, size_t v)
{
    uint32_t value = (uint32_t)v;
    sbuf_add(b, &value, sizeof(value));
}

/* A map or list as the ABI's serialized map; elements of a list are keys without values. */
static enum pwasm_status put_entries(struct str fields, bool is_list, unsigned depth,
                                     struct sbuf *out)
{
    struct sbuf lengths = {0}, bytes = {0};
    struct protowire_field f;
    size_t n = 0;
    enum pwasm_status st = depth < DEPTH_MAX ? PWASM_OK : PWASM_SERIALIZATION_FAILURE;
    while (st == PWASM_OK && protowire_next(&fields, &f)) {
        struct str key, value;
        size_t start = bytes.n;
        if (f.number != STRUCT_FIELDS)
            continue;
        if (is_list) {
            st = put_value(f.bytes, depth, &bytes);
            put_u32(&lengths, bytes.n - start);
            put_u32(&lengths, 0);
            sbuf_add(&bytes, "\0", 2);
        } else if (protowire_find(f.bytes, ENTRY_KEY, &key) &&
                   protowire_find(f.bytes, ENTRY_VALUE, &value)) {
            sbuf_add(&bytes, key.p, key.n);
            sbuf_addc(&bytes, 0);
            start = bytes.n;
            st = put_value(value, depth, &bytes);
            put_u32(&lengths, key.n);
            put_u32(&lengths, bytes.n - start);
            sbuf_addc(&bytes, 0);
        } else {
            st = PWASM_SERIALIZATION_FAILURE;
        }
        n++;
    }
    if (st == PWASM_OK && n) {
        put_u32(out, n);
        sbuf_add(out, lengths.p, lengths.n);
        sbuf_add(out, bytes.p, bytes.n);
    }
    sbuf_fini(&lengths);
    sbuf_fini(&bytes);
    return st;
}

static enum pwasm_status put_value(struct str value, unsigned depth, struct sbuf *out)
{
    struct protowire_field f;
    if (!protowire_next(&value, &f))
        return PWASM_SERIALIZATION_FAILURE;
    uint8_t flag = f.value != 0;
    switch (f.number) {
    case VALUE_NUMBER:
        return put(out, &f.value, sizeof(f.value));
    case VALUE_STRING:
        return put(out, f.bytes.p, f.bytes.n);
    case VALUE_BOOL:
        return put(out, &flag, sizeof(flag));
    case VALUE_STRUCT:
        return put_entries(f.bytes, false, depth + 1, out);
    case VALUE_LIST:
        return put_entries(f.bytes, true, depth + 1, out);
    default:
        return PWASM_SERIALIZATION_FAILURE; /* null */
    }
}

static enum pwasm_status metadata_property(struct str fields, const struct pwasm_path *path,
                                           unsigned at, struct sbuf *out)
{
    struct str value = STR_NULL;
    if (at == path->n)
        return put_entries(fields, false, 0, out);
    for (;; at++) {
        struct protowire_field f;
        if (!find_entry(fields, path->part[at], &value))
            return PWASM_NOT_FOUND;
        if (at + 1 == path->n)
            return put_value(value, 0, out);
        if (!protowire_next(&value, &f) || f.number != VALUE_STRUCT)
            return PWASM_NOT_FOUND;
        fields = f.bytes;
    }
}

static enum pwasm_status locality_property(struct str locality, struct str name, struct sbuf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(locality_fields); i++) {
        struct str value = STR("");
        if (!str_is(name, locality_fields[i].name))
            continue;
        protowire_find(locality, locality_fields[i].number, &value);
        return put(out, value.p, value.n);
    }
    return PWASM_NOT_FOUND;
}

enum pwasm_status pwasm_node_property(const struct pwasm_path *path, unsigned from,
                                      struct sbuf *out)
{
    if (!node.n)
        return PWASM_NOT_FOUND;
    if (path->n == from)
        return put(out, node.p, node.n);
    for (size_t i = 0; i < ARRAY_LEN(node_fields); i++) {
        struct str value = STR("");
        if (!str_is(path->part[from], node_fields[i].name))
            continue;
        protowire_find(node, node_fields[i].number, &value);
        if (node_fields[i].number == NODE_METADATA)
            return metadata_property(value, path, from + 1, out);
        if (path->n == from + 1)
            return put(out, value.p, value.n);
        if (node_fields[i].number == NODE_LOCALITY && path->n == from + 2)
            return locality_property(value, path->part[from + 1], out);
    }
    return PWASM_NOT_FOUND;
}
