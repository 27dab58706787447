#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stat.h"
#include "proto/json.h"
#include "proto/yaml.h"
#include "xds/bootstrap_private.h"

enum { FILE_MAX = 64 * 1024 * 1024 };

static void on_unknown(void *arg, const char *path)
{
    static stat_id counter;
    static bool is_defined;
    (void)arg;
    if (!is_defined)
        counter = stat_define(STAT_COUNTER, "server.static_unknown_fields");
    is_defined = true;
    stat_inc(counter);
    log_warn(LOG_CONFIG, "bootstrap: unknown field %s is ignored", path);
}

const struct pb_unknown *bootstrap_unknown(const struct bootstrap_options *o)
{
    static const struct pb_unknown unknown = {on_unknown, NULL};
    return o->allow_unknown_static_fields ? &unknown : NULL;
}

static int read_all(int fd, const char *path, struct sbuf *text, struct error *err)
{
    char chunk[16384];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        if (text->n + (size_t)n > FILE_MAX)
            return error_set(err, ERR_LIMIT, "more than %d bytes", FILE_MAX);
        sbuf_add(text, chunk, (size_t)n);
    }
    return n < 0 ? error_set_errno(err, errno, "cannot read %s", path) : 0;
}

static int read_file(const char *path, struct sbuf *text, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "unable to read file: %s", path);
    int rc = read_all(fd, path, text, err);
    close(fd);
    return rc;
}

static int check_object(const json_t *json, struct error *err)
{
    return json_is_object(json) ? 0
                                : error_set(err, ERR_INVALID,
                                            "Unable to convert YAML as JSON: "
                                            "the bootstrap must be an object");
}

static int parse_text(struct str text, bool is_json, struct pb_arena *a, ProtobufCMessage **msg_r,
                      struct error *err)
{
    json_t *json = NULL;
    int rc = is_json ? pb_json_load(text.p, text.n, &json, err)
                     : pb_yaml_load(text.p, text.n, &json, err);
    if (!rc)
        rc = check_object(json, err);
    if (!rc)
        rc = pb_from_json(json, &envoy__config__bootstrap__v3__bootstrap__descriptor, a, a->unknown,
                          msg_r, err);
    json_decref(json);
    return rc;
}

static bool has_suffix(const char *path, const char *suffix)
{
    return str_ends(str_of(path), str_of(suffix));
}

static int parse_file(const char *path, struct pb_arena *a, ProtobufCMessage **msg_r,
                      struct error *err)
{
    struct sbuf text = {0};
    int rc = has_suffix(path, ".pb_text")
                 ? error_set(err, ERR_UNSUPPORTED, "text protobuf is not supported")
                 : read_file(path, &text, err);
    struct str s = {text.p ? text.p : "", text.n};
    if (!rc && has_suffix(path, ".pb"))
        rc = pb_unpack(&envoy__config__bootstrap__v3__bootstrap__descriptor, s.p, s.n, a, msg_r,
                       err);
    else if (!rc)
        rc = parse_text(s, has_suffix(path, ".json"), a, msg_r, err);
    sbuf_fini(&text);
    return rc;
}

int bootstrap_read(const struct bootstrap_options *o, struct pb_arena *a, ProtobufCMessage **msg_r,
                   struct error *err)
{
    bool has_path = o->config_path && *o->config_path;
    bool has_yaml = o->config_yaml && *o->config_yaml;
    ProtobufCMessage *override;
    int rc = 0;
    a->unknown = bootstrap_unknown(o);
    if (!has_path && !has_yaml)
        return error_set(err, ERR_INVALID,
                         "At least one of --config-path or --config-yaml should be non-empty");
    if (has_path)
        rc = parse_file(o->config_path, a, msg_r, err);
    if (rc || !has_yaml)
        return rc;
    if (parse_text(str_of(o->config_yaml), false, a, &override, err))
        return error_prefix(err, "--config-yaml: ");
    if (!has_path)
        *msg_r = override;
    else if (pb_merge(*msg_r, override, a))
        return error_set(err, ERR_LIMIT, "--config-yaml: too large");
    return 0;
}
