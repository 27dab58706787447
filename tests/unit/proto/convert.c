/* Converts between wire bytes and proto3 JSON, for oracle.py: standard input holds lines
 * "b TYPE base64" or "j TYPE JSON"; each is answered by the other form, or by "! error". */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proto/base64.h"
#include "proto/json.h"

static int from_bytes(const ProtobufCMessageDescriptor *desc, const char *in, struct error *err)
{
    struct pb_arena a;
    ProtobufCMessage *msg;
    size_t n;
    uint8_t *bytes = mem_alloc(strlen(in) + 3);
    int rc = base64_decode(in, strlen(in), bytes, &n) ? 0 : error_set(err, ERR_INVALID, "base64");
    pb_arena_init(&a, pb_budget(n));
    if (!rc)
        rc = pb_unpack(desc, bytes, n, &a, &msg, err);
    json_t *json = rc ? NULL : pb_to_json(msg, err);
    if (json) {
        char *text = pb_json_text(json, false, NULL);
        puts(text);
        mem_free(text);
        json_decref(json);
    }
    pb_arena_fini(&a);
    mem_free(bytes);
    return json ? 0 : -1;
}

static int from_json(const ProtobufCMessageDescriptor *desc, const char *in, struct error *err)
{
    struct pb_arena a;
    ProtobufCMessage *msg;
    json_t *json;
    struct buf out = {0};
    int rc = pb_json_load(in, strlen(in), &json, err);
    pb_arena_init(&a, pb_budget(strlen(in)));
    if (!rc)
        rc = pb_from_json(json, desc, &a, NULL, &msg, err);
    if (!rc) {
        pb_pack(msg, &out);
        char *text = mem_alloc(base64_encoded_size(out.len));
        base64_encode((const uint8_t *)buf_str(&out).p, out.len, text);
        puts(text);
        mem_free(text);
        buf_consume(&out, out.len);
    }
    json_decref(json);
    pb_arena_fini(&a);
    return rc;
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 2) {
        struct error err = {0};
        struct str rest = {line + 2, (size_t)n - 3}, type;
        line[n - 1] = '\0';
        str_next(&rest, ' ', &type);
        const ProtobufCMessageDescriptor *desc = pb_find(type);
        int rc = !desc            ? error_set(&err, ERR_NOT_FOUND, "unknown type")
                 : line[0] == 'b' ? from_bytes(desc, rest.p, &err)
                                  : from_json(desc, rest.p, &err);
        if (rc)
            printf("! %s\n", err.text);
        fflush(stdout);
    }
    mem_free(line);
    buf_pool_drain();
    return 0;
}
