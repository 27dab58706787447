#include "conf/runtime.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static void fini_runtime(struct conf_object *o)
{
    hash_fini(&container_of(o, struct runtime, object)->values);
}

struct runtime *runtime_create(void)
{
    struct runtime *r = conf_object_create(sizeof(*r), "");
    r->object.fini = fini_runtime;
    return r;
}

bool runtime_add_layer(struct runtime *r, const char *name)
{
    if (r->layers_n == RUNTIME_LAYERS_MAX)
        return false;
    r->layers[r->layers_n++] = arena_strdup(&r->object.arena, name);
    return true;
}

static void read_text(struct runtime_value *v)
{
    char *end;
    v->number = strtod(v->text, &end);
    v->is_number = *v->text && !*end && isfinite(v->number);
    /* An integer is a truth value, too. */
    bool is_integer = v->is_number && v->number >= 0 && v->number == floor(v->number);
    bool is_true = !strcasecmp(v->text, "true");
    v->is_bool = is_integer || is_true || !strcasecmp(v->text, "false");
    v->boolean = is_true || (is_integer && v->number > 0);
}

void runtime_set(struct runtime *r, struct str key, const char *text,
                 const struct runtime_fraction *fraction)
{
    struct runtime_value *v = hash_find(&r->values, key);
    if (!v) {
        v = arena_zalloc(&r->object.arena, sizeof(*v));
        v->key = arena_strndup(&r->object.arena, key.p, key.n);
        hash_set(&r->values, str_of(v->key), v);
    }
    v->text = arena_strdup(&r->object.arena, text);
    v->layers[r->layers_n - 1] = v->text;
    v->is_fraction = fraction != NULL;
    if (fraction)
        v->fraction = *fraction;
    read_text(v);
}

/* ---- lookups ---- */

const struct runtime_value *runtime_find(const struct runtime *r, struct str key)
{
    return r && key.n ? hash_find(&r->values, key) : NULL;
}

uint64_t runtime_integer(const struct runtime *r, struct str key, uint64_t def)
{
    const struct runtime_value *v = runtime_find(r, key);
    bool is_good = v && v->is_number && v->number >= 0 && v->number <= 9007199254740992.0 &&
                   v->number == floor(v->number);
    return is_good ? (uint64_t)v->number : def;
}

double runtime_double(const struct runtime *r, struct str key, double def)
{
    const struct runtime_value *v = runtime_find(r, key);
    return v && v->is_number ? v->number : def;
}

bool runtime_boolean(const struct runtime *r, struct str key, bool def)
{
    const struct runtime_value *v = runtime_find(r, key);
    return v && v->is_bool ? v->boolean : def;
}

const char *runtime_text(const struct runtime *r, struct str key, const char *def)
{
    const struct runtime_value *v = runtime_find(r, key);
    return v ? v->text : def;
}

struct runtime_fraction runtime_share(const struct runtime *r, struct str key,
                                      struct runtime_fraction def)
{
    const struct runtime_value *v = runtime_find(r, key);
    if (v && v->is_fraction)
        return v->fraction;
    if (!v || !v->is_number || v->number < 0 || v->number > UINT32_MAX ||
        v->number != floor(v->number))
        return def;
    return (struct runtime_fraction){(uint32_t)v->number, 100};
}
