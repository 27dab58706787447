#include "http/header_ops.h"

#include <stdio.h>

#include "http/format.h"
#include "http/hcm.h"

enum { FORMATS_MAX = 4096 }; /* kept; those of configurations that are gone are among them */

void header_ops_forget(struct hcm *hcm)
{
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(&hcm->formats, &it))) {
        struct format *f = e->value;
        format_destroy(&f);
    }
    hash_fini(&hcm->formats);
}

static const struct format *get(struct hcm *hcm, struct str key, const struct conf_format *conf)
{
    struct format *f = hash_find(&hcm->formats, key);
    if (f)
        return f;
    if (hash_count(&hcm->formats) >= FORMATS_MAX)
        header_ops_forget(hcm);
    if (format_create(conf, &f, NULL)) /* it was checked when it came */
        return NULL;
    hash_set(&hcm->formats, key, f);
    return f;
}

const struct format *header_ops_format(struct hcm *hcm, struct str text)
{
    const struct conf_format conf = {.text = text.p};
    return get(hcm, text, &conf);
}

/* A tree is known by its place, which no text is taken for; it lives as long as the manager. */
const struct format *header_ops_body_format(struct hcm *hcm, const struct conf_format *conf)
{
    char key[32];
    if (!conf->json)
        return conf->text ? header_ops_format(hcm, str_of(conf->text)) : NULL;
    int n = snprintf(key, sizeof(key), "\x01%p", (const void *)conf->json);
    return get(hcm, (struct str){key, (size_t)n}, conf);
}

/* p NULL: nothing to add. */
static struct str option_value(struct stream *s, const struct conf_header_value_option *o)
{
    struct sbuf out = {0};
    if (!o->is_format)
        return o->value;
    const struct format *f = header_ops_format(s->hcm, o->value);
    if (f)
        format_print_value(f, &s->info, s, &out);
    struct str v = {arena_strndup(&s->arena, out.p ? out.p : "", out.n), out.n};
    sbuf_fini(&out);
    return v.n || o->keep_empty ? v : STR_NULL;
}

static void apply_option(struct stream *s, const struct conf_header_value_option *o,
                         struct headers *h)
{
    struct str v = option_value(s, o);
    if (!v.p || !header_value_is_valid(v))
        return;
    switch (o->action) {
    case CONF_APPEND_OR_ADD:
        headers_add(h, o->name, v);
        return;
    case CONF_ADD_IF_ABSENT:
        if (!headers_find_name(h, o->name))
            headers_add(h, o->name, v);
        return;
    case CONF_OVERWRITE_OR_ADD:
        headers_set(h, o->name, v);
        return;
    case CONF_OVERWRITE_IF_EXISTS:
        if (headers_find_name(h, o->name))
            headers_set(h, o->name, v);
        return;
    }
}

void header_ops_apply(const struct conf_header_ops *ops, struct stream *s, struct headers *h)
{
    for (size_t i = 0; i < ops->remove_n; i++)
        headers_remove(h, ops->remove[i]);
    for (size_t i = 0; i < ops->add_n; i++)
        apply_option(s, &ops->add[i], h);
}
