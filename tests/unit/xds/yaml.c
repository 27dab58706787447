#include "yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/pb.h"
#include "proto/yaml.h"
#include "proto/json.h"

struct str yaml_pack(struct arena *a, const char *type, const char *yaml)
{
    struct pb_arena pb;
    struct error err = {0};
    struct buf bytes = {0};
    ProtobufCMessage *msg;
    json_t *json;
    pb_arena_init(&pb, PB_ARENA_MIN);
    if (pb_yaml_load(yaml, strlen(yaml), &json, &err) ||
        pb_from_json(json, pb_find(str_of(type)), &pb, NULL, &msg, &err))
        fail_msg("%s\n%s", err.text, yaml);
    pb_pack(msg, &bytes);
    struct str packed = {arena_strndup(a, buf_str(&bytes).p, bytes.len), bytes.len};
    buf_fini(&bytes);
    json_decref(json);
    pb_arena_fini(&pb);
    return packed;
}
