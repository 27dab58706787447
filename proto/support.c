#include "proto/support.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proto/reflect.h"
#include "proto/support_private.h"

/* Descriptor -> row of the table. A walk asks for every message, so this is a hash of pointers. */
enum { SLOTS = 4096 };
_Static_assert(REGISTRY_COUNT * 2 < SLOTS, "the table of descriptors is too small");

static struct {
    const ProtobufCMessageDescriptor *desc;
    const unsigned char *statuses;
} slots[SLOTS];

static pthread_once_t once = PTHREAD_ONCE_INIT;

static size_t slot_of(const ProtobufCMessageDescriptor *desc)
{
    size_t i = ((uintptr_t)desc >> 4) * 0x9e3779b97f4a7c15ull >> 52;
    while (slots[i].desc && slots[i].desc != desc)
        i = (i + 1) % SLOTS;
    return i;
}

static void fill_slots(void)
{
    for (size_t i = 0; i < REGISTRY_COUNT; i++) {
        size_t slot = slot_of(registry[i]);
        slots[slot].desc = registry[i];
        slots[slot].statuses = support_table[i];
    }
}

/* Status of each field of a message; NULL: all refused. */
static const unsigned char *statuses_of(const ProtobufCMessageDescriptor *desc)
{
    pthread_once(&once, fill_slots);
    return slots[slot_of(desc)].statuses;
}

/* Types such as Struct and Duration are values, taken or refused by the field they stand in. */
static bool is_value(const ProtobufCMessageDescriptor *desc)
{
    return strncmp(desc->name, "google.", 7) == 0;
}

enum support_status support_find(const ProtobufCMessageDescriptor *desc, const char *field)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(desc, field);
    const unsigned char *statuses = statuses_of(desc);
    if (f && is_value(desc))
        return SUPPORT_IMPLEMENTED;
    return f && statuses ? (enum support_status)statuses[f - desc->fields] : SUPPORT_REFUSED;
}

struct walk {
    const struct pb_unknown *unknown;
    struct error *err;
    struct reflect_path path;
    unsigned depth;
};

static int walk_message(struct walk *w, const ProtobufCMessage *msg);

static int fail(struct walk *w, enum err code, const char *text)
{
    return error_set(w->err, code, "%s: %s", w->path.text, text);
}

static int report_unknown(struct walk *w, const ProtobufCMessage *msg)
{
    for (unsigned i = 0; i < msg->n_unknown_fields; i++) {
        char name[16];
        snprintf(name, sizeof(name), "#%" PRIu32, msg->unknown_fields[i].tag);
        size_t before = reflect_push(&w->path, name, -1);
        int rc = w->unknown ? 0 : fail(w, ERR_UNSUPPORTED, "unknown field");
        if (w->unknown)
            w->unknown->on_unknown(w->unknown->arg, w->path.text);
        reflect_pop(&w->path, before);
        if (rc)
            return rc;
    }
    return 0;
}

/* Passes on fields that a TypedStruct names and its type does not have, with the outer path. */
static void on_unknown_inner(void *arg, const char *path)
{
    struct walk *w = arg;
    size_t before = reflect_push(&w->path, path, -1);
    w->unknown->on_unknown(w->unknown->arg, w->path.text);
    reflect_pop(&w->path, before);
}

/* A payload of unknown type is left to whoever would decode it: that fails there, by name. */
static int walk_any(struct walk *w, const Google__Protobuf__Any *any)
{
    const ProtobufCMessageDescriptor *desc = pb_find(pb_any_type(any));
    struct pb_unknown inner = {on_unknown_inner, w};
    struct pb_arena arena;
    ProtobufCMessage *msg;
    if (!desc)
        return 0;
    pb_arena_init(&arena, pb_budget(any->value.len));
    arena.unknown = w->unknown ? &inner : NULL;
    int rc = pb_any_unpack(any, &arena, &msg, w->err);
    if (rc)
        error_prefix(w->err, "%s%s", w->path.text, w->path.n ? ": " : "");
    else
        rc = walk_message(w, msg);
    pb_arena_fini(&arena);
    return rc;
}

static int walk_submessage(struct walk *w, const ProtobufCMessage *msg, const char *name,
                           long index)
{
    size_t before = reflect_push(&w->path, name, index);
    int rc = walk_message(w, msg);
    reflect_pop(&w->path, before);
    return rc;
}

/* The value of a map entry; its key is the name in the path. */
static int walk_entry(struct walk *w, const ProtobufCMessage *entry, const char *name)
{
    const ProtobufCFieldDescriptor *kf = &entry->descriptor->fields[0];
    const ProtobufCFieldDescriptor *vf = &entry->descriptor->fields[1];
    const ProtobufCMessage *value = *(ProtobufCMessage *const *)reflect_at(entry, vf->offset);
    bool is_named = kf->type == PROTOBUF_C_TYPE_STRING;
    if (!value)
        return 0;
    size_t before = reflect_push(&w->path, name, -1);
    int rc = walk_submessage(w, value,
                             is_named ? *(char *const *)reflect_at(entry, kf->offset) : "*", -1);
    reflect_pop(&w->path, before);
    return rc;
}

static int walk_field(struct walk *w, const ProtobufCMessage *msg,
                      const ProtobufCFieldDescriptor *f)
{
    bool is_repeated = f->label == PROTOBUF_C_LABEL_REPEATED;
    bool is_map = is_repeated && reflect_is_map(msg->descriptor, f);
    size_t n = is_repeated ? reflect_count(msg, f) : 1;
    const ProtobufCMessageDescriptor *d = f->descriptor;
    if (is_map && d->fields[1].type != PROTOBUF_C_TYPE_MESSAGE)
        return 0;
    for (size_t i = 0; i < n; i++) {
        const ProtobufCMessage *sub = *(ProtobufCMessage *const *)reflect_elem(msg, f, i);
        int rc = is_map ? walk_entry(w, sub, f->name)
                        : walk_submessage(w, sub, f->name, is_repeated ? (long)i : -1);
        if (rc)
            return rc;
    }
    return 0;
}

static int refuse(struct walk *w, const ProtobufCFieldDescriptor *f)
{
    reflect_push(&w->path, f->name, -1);
    return fail(w, ERR_UNSUPPORTED, "not supported");
}

static int walk_fields(struct walk *w, const ProtobufCMessage *msg)
{
    const ProtobufCMessageDescriptor *desc = msg->descriptor;
    const unsigned char *statuses = statuses_of(desc);
    int rc = msg->n_unknown_fields ? report_unknown(w, msg) : 0;
    for (unsigned i = 0; !rc && i < desc->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &desc->fields[i];
        enum support_status status = statuses ? (enum support_status)statuses[i] : SUPPORT_REFUSED;
        if (status == SUPPORT_HARMLESS || !reflect_is_set(msg, f))
            continue;
        if (status == SUPPORT_REFUSED)
            return refuse(w, f);
        if (f->type == PROTOBUF_C_TYPE_MESSAGE)
            rc = walk_field(w, msg, f);
    }
    return rc;
}

/* Undeclared fields of Struct and its like. */
static int walk_value(struct walk *w, const ProtobufCMessage *msg)
{
    return msg->n_unknown_fields ? report_unknown(w, msg) : 0;
}

static int walk_message(struct walk *w, const ProtobufCMessage *msg)
{
    if (w->depth >= PB_DEPTH_MAX)
        return fail(w, ERR_LIMIT, "nested too deep");
    w->depth++;
    int rc = msg->descriptor == &google__protobuf__any__descriptor
                 ? walk_any(w, (const Google__Protobuf__Any *)msg)
             : is_value(msg->descriptor) ? walk_value(w, msg)
                                         : walk_fields(w, msg);
    w->depth--;
    return rc;
}

int support_check(const ProtobufCMessage *msg, const struct pb_unknown *unknown, struct error *err)
{
    struct error scratch;
    struct walk w = {.unknown = unknown, .err = err ? err : &scratch};
    return walk_message(&w, msg);
}
