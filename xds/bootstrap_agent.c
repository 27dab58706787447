/* What the node says of the program itself: name and build. Source: Envoy's
 * LocalInfoImpl, VersionInfo::buildVersion. */
#include "base/version.h"
#include "xds/bootstrap_private.h"

typedef Envoy__Config__Core__V3__BuildVersion build_msg;
typedef Envoy__Type__V3__SemanticVersion version_msg;
typedef Google__Protobuf__Struct__FieldsEntry entry_msg;

static entry_msg *text_entry(struct decode *d, const char *key, const char *text)
{
    Google__Protobuf__Value *value = DECODE_NEW(d, Google__Protobuf__Value);
    google__protobuf__value__init(value);
    value->kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    value->string_value = (char *)text;
    entry_msg *e = DECODE_NEW(d, entry_msg);
    google__protobuf__struct__fields_entry__init(e);
    e->key = (char *)key;
    e->value = value;
    return e;
}

static Google__Protobuf__Struct *metadata(struct decode *d)
{
    const struct {
        const char *key, *text;
    } rows[] = {{"revision.sha", version_revision},
                {"revision.status", version_status},
                {"build.type", version_build_type},
                {"ssl.version", version_tls}};
    Google__Protobuf__Struct *s = DECODE_NEW(d, Google__Protobuf__Struct);
    google__protobuf__struct__init(s);
    s->n_fields = ARRAY_LEN(rows);
    s->fields = DECODE_ARRAY(d, entry_msg *, s->n_fields);
    for (size_t i = 0; i < s->n_fields; i++)
        s->fields[i] = text_entry(d, rows[i].key, rows[i].text);
    return s;
}

void bootstrap_set_agent(struct decode *d, Envoy__Config__Core__V3__Node *node)
{
    uint32_t numbers[VERSION_PARTS];
    version_msg *version = DECODE_NEW(d, version_msg);
    build_msg *build = DECODE_NEW(d, build_msg);
    version_numbers(numbers);
    envoy__type__v3__semantic_version__init(version);
    version->major_number = numbers[0];
    version->minor_number = numbers[1];
    version->patch = numbers[2];
    envoy__config__core__v3__build_version__init(build);
    build->version = version;
    build->metadata = metadata(d);
    node->user_agent_name = (char *)"remora";
    node->user_agent_version_type_case =
        ENVOY__CONFIG__CORE__V3__NODE__USER_AGENT_VERSION_TYPE_USER_AGENT_BUILD_VERSION;
    node->user_agent_build_version = build;
}
