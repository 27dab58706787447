#include "xds/runtime_values.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "envoy/type/v3/percent.pb-c.h"
#include "proto/json.h"
#include "proto/value.h"
#include "proto/yaml.h"

typedef Google__Protobuf__Struct struct_msg;
typedef Google__Protobuf__Value value_msg;

#define KIND(x) GOOGLE__PROTOBUF__VALUE__KIND_##x
#define DENOMINATOR(x) ENVOY__TYPE__V3__FRACTIONAL_PERCENT__DENOMINATOR_TYPE__##x

enum { DEPTH_MAX = 16 };

/* ---- maps ---- */

static bool read_fraction(const struct_msg *s, struct runtime_fraction *f)
{
    const value_msg *n = pb_struct_get(s, "numerator"), *d = pb_struct_get(s, "denominator");
    if (!n || n->kind_case != KIND(NUMBER_VALUE) || n->number_value < 0 ||
        n->number_value > UINT32_MAX)
        return false;
    *f = (struct runtime_fraction){(uint32_t)n->number_value, 100};
    if (d && d->kind_case == KIND(STRING_VALUE) && !strcmp(d->string_value, "TEN_THOUSAND"))
        f->denominator = 10000;
    else if (d && d->kind_case == KIND(STRING_VALUE) && !strcmp(d->string_value, "MILLION"))
        f->denominator = 1000000;
    else if (d && d->kind_case == KIND(STRING_VALUE) && strcmp(d->string_value, "HUNDRED") != 0)
        return false;
    return true;
}

static void add_struct(struct runtime *r, const char *prefix, const struct_msg *s, unsigned depth);

static void add_fraction(struct runtime *r, struct str key, const struct runtime_fraction *f)
{
    struct sbuf text = {0};
    sbuf_printf(&text, "{\"numerator\":%u,\"denominator\":\"%s\"}", f->numerator,
                f->denominator == 100     ? "HUNDRED"
                : f->denominator == 10000 ? "TEN_THOUSAND"
                                          : "MILLION");
    runtime_set(r, key, text.p, f);
    sbuf_fini(&text);
}

static void add_value(struct runtime *r, const char *key, const value_msg *v, unsigned depth)
{
    struct runtime_fraction fraction;
    struct sbuf text = {0};
    if (hash_count(&r->values) >= RUNTIME_KEYS_MAX || strlen(key) > RUNTIME_KEY_MAX)
        return;
    switch (v->kind_case) {
    case KIND(NUMBER_VALUE):
        sbuf_printf(&text, "%.15g", v->number_value);
        runtime_set(r, str_of(key), text.p, NULL);
        sbuf_fini(&text);
        break;
    case KIND(BOOL_VALUE):
        runtime_set(r, str_of(key), v->bool_value ? "true" : "false", NULL);
        break;
    case KIND(STRING_VALUE):
        runtime_read_text(r, key, v->string_value);
        break;
    case KIND(STRUCT_VALUE):
        if (read_fraction(v->struct_value, &fraction))
            add_fraction(r, str_of(key), &fraction);
        else
            add_struct(r, key, v->struct_value, depth + 1);
        break;
    default:
        log_warn(LOG_CONFIG, "runtime: %s: a list or null is no runtime value", key);
    }
}

/* Nested maps are names with dots. */
static void add_struct(struct runtime *r, const char *prefix, const struct_msg *s, unsigned depth)
{
    for (size_t i = 0; s && i < s->n_fields && depth < DEPTH_MAX; i++) {
        struct sbuf key = {0};
        sbuf_printf(&key, "%s%s%s", prefix, *prefix ? "." : "", s->fields[i]->key);
        if (s->fields[i]->value)
            add_value(r, key.p, s->fields[i]->value, depth);
        sbuf_fini(&key);
    }
}

void runtime_read_struct(struct runtime *r, const struct_msg *s)
{
    add_struct(r, "", s, 0);
}

/* ---- texts ---- */

static bool parse_fraction(const char *text, struct runtime_fraction *f)
{
    struct pb_arena arena;
    struct error err;
    ProtobufCMessage *msg;
    json_t *json = NULL;
    pb_arena_init(&arena, pb_budget(strlen(text)));
    bool is_good = !pb_yaml_load(text, strlen(text), &json, &err) && json_is_object(json) &&
                   !pb_from_json(json, &envoy__type__v3__fractional_percent__descriptor, &arena,
                                 NULL, &msg, &err);
    if (is_good) {
        const Envoy__Type__V3__FractionalPercent *m = (const void *)msg;
        f->numerator = m->numerator;
        f->denominator = m->denominator == DENOMINATOR(MILLION)        ? 1000000
                         : m->denominator == DENOMINATOR(TEN_THOUSAND) ? 10000
                                                                       : 100;
    }
    json_decref(json);
    pb_arena_fini(&arena);
    return is_good;
}

bool runtime_read_text(struct runtime *r, const char *key, const char *text)
{
    struct runtime_fraction fraction;
    if (!*key || strlen(key) > RUNTIME_KEY_MAX || strlen(text) > RUNTIME_FILE_MAX ||
        hash_count(&r->values) >= RUNTIME_KEYS_MAX)
        return false;
    bool is_fraction = (strstr(text, "numerator") || strstr(text, "denominator")) &&
                       parse_fraction(text, &fraction);
    runtime_set(r, str_of(key), text, is_fraction ? &fraction : NULL);
    return true;
}

/* ---- folders ---- */

struct walk {
    struct runtime *runtime;
    unsigned left; /* entries */
    struct error *err;
};

static void cut_comments(struct str text, struct sbuf *out)
{
    struct str line;
    while (str_next(&text, '\n', &line))
        if (!line.n || line.p[0] != '#')
            sbuf_printf(out, "%.*s\n", STR_ARG(line));
    while (out->n && strchr(" \t\r\n", out->p[out->n - 1]))
        out->p[--out->n] = 0;
}

static int read_file(struct walk *w, int fd, const char *key)
{
    struct sbuf text = {0}, value = {0};
    char chunk[4096];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0 && text.n <= RUNTIME_FILE_MAX)
        sbuf_add(&text, chunk, (size_t)n);
    bool is_good = !n && (!text.n || !memchr(text.p, 0, text.n));
    if (is_good) {
        cut_comments((struct str){text.p ? text.p : "", text.n}, &value);
        is_good = runtime_read_text(w->runtime, key, value.n ? value.p : "");
    }
    sbuf_fini(&text);
    sbuf_fini(&value);
    return is_good ? 0
                   : error_set(w->err, ERR_LIMIT,
                               "%s: unreadable, binary, longer than %d bytes, or one too many", key,
                               RUNTIME_FILE_MAX);
}

static int walk_folder(struct walk *w, int fd, const char *prefix, unsigned depth);

static int visit(struct walk *w, int folder, const char *name, const char *prefix, unsigned depth)
{
    struct sbuf key = {0};
    struct stat st;
    int rc = 0;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    sbuf_printf(&key, "%s%s%s", prefix, *prefix ? "." : "", name);
    if (fd < 0 || fstat(fd, &st)) {
        rc = error_set_errno(w->err, errno, "%s", key.p);
    } else if (S_ISDIR(st.st_mode)) {
        rc = walk_folder(w, fd, key.p, depth + 1);
        fd = -1;
    } else if (S_ISREG(st.st_mode)) {
        rc = read_file(w, fd, key.p);
    }
    if (fd >= 0)
        close(fd);
    sbuf_fini(&key);
    return rc;
}

/* Closes fd. */
static int walk_folder(struct walk *w, int fd, const char *prefix, unsigned depth)
{
    DIR *dir = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
    struct dirent *d;
    int rc = 0;
    if (!dir) {
        close(fd);
        return error_set(w->err, ERR_LIMIT, "%s: deeper than %d folders", prefix, DEPTH_MAX);
    }
    while (!rc && (d = readdir(dir))) {
        if (!strcmp(d->d_name, ".") || !strncmp(d->d_name, "..", 2))
            continue;
        rc = w->left-- ? visit(w, dirfd(dir), d->d_name, prefix, depth)
                       : error_set(w->err, ERR_LIMIT, "more than %d entries", RUNTIME_KEYS_MAX);
    }
    closedir(dir);
    return rc;
}

int runtime_read_folder(struct runtime *r, const char *path, struct error *err)
{
    struct walk w = {r, RUNTIME_KEYS_MAX, err};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", path);
    return walk_folder(&w, fd, "", 0) ? error_prefix(err, "%s: ", path) : 0;
}
