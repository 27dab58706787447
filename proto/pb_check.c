/* The pre-validator: walks wire bytes by descriptor before protobuf-c sees them. It refuses what
 * protobuf-c would accept to its harm, and counts the memory that decoding will take. */
#include "proto/pb.h"

#include <inttypes.h>
#include <string.h>

#include "proto/reflect.h"

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

/* What protobuf-c keeps per member while it decodes; the first sixteen lie on its stack. */
enum { SCRATCH_FREE = 16, SCRATCH_SIZE = 80, UNKNOWN_SIZE = 32 };

struct check {
    size_t mem, mem_max;
    struct error *err;
};

struct member {
    uint32_t id;
    unsigned wire;
    const uint8_t *p; /* payload, for WIRE_BYTES after its length */
    size_t len;
    const ProtobufCFieldDescriptor *field; /* NULL: not declared */
};

static const uint8_t *read_varint(const uint8_t *p, const uint8_t *end, uint64_t *value_r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && p < end; shift += 7) {
        uint8_t c = *p++;
        if (shift == 63 && c > 1)
            return NULL;
        v |= (uint64_t)(c & 127) << shift;
        if (!(c & 128)) {
            *value_r = v;
            return p;
        }
    }
    return NULL;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *d, uint32_t id)
{
    return protobuf_c_message_descriptor_get_field(d, id);
}

/* Reads one member; returns what follows it, or NULL when it is malformed. */
static const uint8_t *read_member(const uint8_t *p, const uint8_t *end, struct member *m_r)
{
    uint64_t tag, v;
    p = read_varint(p, end, &tag);
    if (!p || tag > UINT32_MAX || !(tag >> 3))
        return NULL;
    m_r->id = (uint32_t)(tag >> 3);
    m_r->wire = tag & 7;
    m_r->p = p;
    switch (m_r->wire) {
    case WIRE_VARINT:
        p = read_varint(p, end, &v);
        break;
    case WIRE_64:
        p = end - p < 8 ? NULL : p + 8;
        break;
    case WIRE_32:
        p = end - p < 4 ? NULL : p + 4;
        break;
    case WIRE_BYTES:
        p = read_varint(p, end, &v);
        if (!p || v > (uint64_t)(end - p))
            return NULL;
        m_r->p = p;
        m_r->len = v;
        return p + v;
    default:
        return NULL; /* groups do not exist in proto3 */
    }
    if (p)
        m_r->len = (size_t)(p - m_r->p);
    return p;
}

static unsigned wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    default:
        return WIRE_VARINT;
    }
}

/* Which element of a repeated field the member at `at` is. Only asked for error texts. */
static size_t index_of(const uint8_t *start, const uint8_t *at, const uint8_t *end, uint32_t id)
{
    struct member m;
    size_t n = 0;
    while (start < at) {
        start = read_member(start, end, &m);
        n += m.id == id;
    }
    return n;
}

static int prefix_field(struct check *c, const struct member *m, const uint8_t *start,
                        const uint8_t *at, const uint8_t *end, bool is_inner)
{
    /* A hundred levels of names would push the cause out of the text. */
    if (strlen(c->err->text) > sizeof(c->err->text) / 2)
        return -(int)c->err->code;
    /* Between two names of a path stands a dot, before the cause a colon. */
    const char *sep = is_inner ? "." : ": ";
    if (m->field->label != PROTOBUF_C_LABEL_REPEATED)
        return error_prefix(c->err, "%s%s", m->field->name, sep);
    return error_prefix(c->err, "%s[%zu]%s", m->field->name, index_of(start, at, end, m->id), sep);
}

static int check_packed(struct check *c, const struct member *m)
{
    unsigned wire = wire_of(m->field->type);
    size_t size = wire == WIRE_32 ? 4 : 8, count = 0;
    uint64_t v;
    if (wire != WIRE_VARINT) {
        if (m->len % size)
            return error_set(c->err, ERR_INVALID, "malformed packed field");
        count = m->len / size;
    } else {
        for (const uint8_t *p = m->p, *end = m->p + m->len; p < end; count++) {
            p = read_varint(p, end, &v);
            if (!p)
                return error_set(c->err, ERR_INVALID, "malformed packed field");
        }
    }
    c->mem += count * reflect_size(m->field);
    return 0;
}

/* Everything but nested messages. */
static int check_leaf(struct check *c, const struct member *m)
{
    const ProtobufCFieldDescriptor *f = m->field;
    unsigned wire = wire_of(f->type);
    if (m->wire == WIRE_BYTES && wire != WIRE_BYTES && f->label == PROTOBUF_C_LABEL_REPEATED)
        return check_packed(c, m);
    if (m->wire != wire)
        return error_set(c->err, ERR_INVALID, "wrong wire type %u", m->wire);
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        c->mem += reflect_size(f);
    if (wire == WIRE_BYTES)
        c->mem += m->len + 16;
    if (f->type == PROTOBUF_C_TYPE_STRING && !reflect_is_text(m->p, m->len))
        return error_set(c->err, ERR_INVALID, "string holds NUL or is not UTF-8");
    return 0;
}

static int check_message(struct check *c, const ProtobufCMessageDescriptor *d, const uint8_t *p,
                         size_t len, unsigned depth, bool *is_inner_r);

/* *is_inner_r: the error text already begins with a field's name. */
static int check_member(struct check *c, const struct member *m, unsigned depth, bool *is_inner_r)
{
    *is_inner_r = false;
    if (m->field->type != PROTOBUF_C_TYPE_MESSAGE)
        return check_leaf(c, m);
    if (m->wire != WIRE_BYTES)
        return error_set(c->err, ERR_INVALID, "wrong wire type %u", m->wire);
    c->mem += sizeof(void *);
    return check_message(c, m->field->descriptor, m->p, m->len, depth + 1, is_inner_r);
}

static int check_message(struct check *c, const ProtobufCMessageDescriptor *d, const uint8_t *p,
                         size_t len, unsigned depth, bool *is_inner_r)
{
    const uint8_t *start = p, *end = p + len;
    size_t members = 0;
    *is_inner_r = false;
    if (depth > PB_DEPTH_MAX)
        return error_set(c->err, ERR_LIMIT, "nested deeper than %d messages", PB_DEPTH_MAX);
    c->mem += d->sizeof_message + 16;
    while (p < end) {
        const uint8_t *at = p;
        struct member m;
        p = read_member(p, end, &m);
        if (!p)
            return error_set(c->err, ERR_INVALID, "malformed wire format at byte %td", at - start);
        m.field = find_field(d, m.id);
        if (++members > SCRATCH_FREE)
            c->mem += SCRATCH_SIZE;
        if (!m.field) {
            c->mem += m.len + UNKNOWN_SIZE;
        } else {
            bool is_inner;
            int rc = check_member(c, &m, depth, &is_inner);
            if (rc) {
                *is_inner_r = true;
                return prefix_field(c, &m, start, at, end, is_inner);
            }
        }
        if (c->mem > c->mem_max)
            return error_set(c->err, ERR_LIMIT, "would take more than %zu bytes of memory",
                             c->mem_max);
    }
    return 0;
}

int pb_check(const ProtobufCMessageDescriptor *desc, const void *bytes, size_t n, size_t mem_max,
             struct error *err)
{
    struct error scratch;
    struct check c = {.mem_max = mem_max, .err = err ? err : &scratch};
    bool is_inner;
    return check_message(&c, desc, n ? bytes : "", n, 1, &is_inner);
}
