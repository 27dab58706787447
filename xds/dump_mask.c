/* Parts of a dump: ?resource= and ?mask=, with the fields that the messages of envoy.admin.v3
 * declare. Source: Envoy's config_dump_handler; google.protobuf.FieldMask. */
#include <string.h>

#include "base/mem.h"
#include "proto/pb.h"
#include "xds/dump.h"

enum { PATH_MAX_LENGTH = 512 };

static const ProtobufCMessageDescriptor *type_of(const json_t *message)
{
    const char *url = json_string_value(json_object_get(message, "@type"));
    return url ? pb_find_url(url) : NULL;
}

enum dump_result dump_take_resource(json_t **sections, const char *field)
{
    size_t i, k;
    json_t *section, *element;
    json_array_foreach(*sections, i, section)
    {
        const ProtobufCMessageDescriptor *type = type_of(section);
        const ProtobufCFieldDescriptor *f =
            type ? protobuf_c_message_descriptor_get_field_by_name(type, field) : NULL;
        if (!f)
            continue;
        if (f->label != PROTOBUF_C_LABEL_REPEATED)
            return DUMP_NOT_REPEATED;
        const ProtobufCMessageDescriptor *of_element = f->descriptor;
        json_t *picked = json_array();
        json_array_foreach(json_object_get(section, field), k, element)
        {
            json_t *typed = json_object();
            json_object_set_new(typed, "@type",
                                json_sprintf("type.googleapis.com/%s", of_element->name));
            json_object_update(typed, element);
            json_array_append_new(picked, typed);
        }
        json_decref(*sections);
        *sections = picked;
        return DUMP_OK;
    }
    return DUMP_NOT_FOUND;
}

/* The first name of a path, and what follows its dot. */
static struct str first_of(struct str path, struct str *rest_r)
{
    struct str name;
    *rest_r = path;
    if (!str_next(rest_r, '.', &name))
        name = STR_NULL;
    return name;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  struct str name)
{
    char text[PATH_MAX_LENGTH];
    if (!name.n || name.n >= sizeof(text))
        return NULL;
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    return protobuf_c_message_descriptor_get_field_by_name(type, text);
}

static bool is_any(const ProtobufCFieldDescriptor *f)
{
    return f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED &&
           strcmp(((const ProtobufCMessageDescriptor *)f->descriptor)->name,
                  "google.protobuf.Any") == 0;
}

/* Paths lead through messages, not through what is repeated. */
static bool is_path(const ProtobufCMessageDescriptor *type, struct str path)
{
    do {
        const ProtobufCFieldDescriptor *f = type ? find_field(type, first_of(path, &path)) : NULL;
        if (!f)
            return false;
        bool is_message =
            f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED;
        type = is_message ? f->descriptor : NULL;
    } while (path.n);
    return true;
}

/* Of an element: the path goes on inside the resource that it holds. */
static bool is_element_path(const json_t *element, struct str path)
{
    const ProtobufCMessageDescriptor *type = type_of(element);
    struct str rest, name = first_of(path, &rest);
    const ProtobufCFieldDescriptor *f = type ? find_field(type, name) : NULL;
    if (!f || !is_any(f))
        return f && is_path(type, path);
    const json_t *resource = json_object_get(element, f->name);
    return !resource || is_path(type_of(resource), rest);
}

/* The value at the path, and "@type" on the way to it. */
static void copy_path(json_t *to, json_t *from, struct str path)
{
    struct str rest, name = first_of(path, &rest);
    json_t *value = json_object_getn(from, name.p, name.n);
    if (value && !rest.n) {
        json_object_setn(to, name.p, name.n, value);
    } else if (json_is_object(value)) {
        json_t *sub = json_object_getn(to, name.p, name.n);
        if (!sub) {
            json_t *type = json_object_get(value, "@type");
            sub = type ? json_pack("{s:O}", "@type", type) : json_object();
            json_object_setn_new(to, name.p, name.n, sub);
        }
        copy_path(sub, value, rest);
    }
}

/* A copy with the masked fields; NULL: a path is none of the message's. */
static json_t *masked(json_t *message, const char *mask,
                      bool (*fits)(const json_t *message, struct str path))
{
    struct str rest = str_of(mask), path;
    json_t *to = json_object();
    json_object_set(to, "@type", json_object_get(message, "@type"));
    while (str_next(&rest, ',', &path)) {
        if (fits(message, path)) {
            copy_path(to, message, path);
            continue;
        }
        json_decref(to);
        return NULL;
    }
    return to;
}

static bool is_section_path(const json_t *section, struct str path)
{
    return is_path(type_of(section), path);
}

bool dump_mask_sections(json_t **sections, const char *mask)
{
    size_t i;
    json_t *section, *kept = json_array();
    json_array_foreach(*sections, i, section)
    {
        json_t *part = masked(section, mask, is_section_path);
        if (part)
            json_array_append_new(kept, part);
    }
    json_decref(*sections);
    *sections = kept;
    return json_array_size(kept) > 0;
}

bool dump_mask_elements(json_t *elements, const char *mask)
{
    size_t i;
    json_t *element;
    json_array_foreach(elements, i, element)
    {
        json_t *part = masked(element, mask, is_element_path);
        if (!part)
            return false;
        json_array_set_new(elements, i, part);
    }
    return true;
}
