/* /runtime and /runtime_modify. Source: Envoy's runtime_handler. */
#include "base/mem.h"
#include "server/admin_private.h"
#include "server/server.h"

void admin_runtime(struct admin_request *r)
{
    const struct runtime *rt = publish_current(r->server->publish)->runtime;
    json_t *names = json_array(), *entries = json_object();
    size_t it = 0;
    struct hash_entry *h;
    for (size_t i = 0; rt && i < rt->layers_n; i++)
        json_array_append_new(names, json_string(rt->layers[i]));
    while (rt && (h = hash_next(&rt->values, &it))) {
        const struct runtime_value *v = h->value;
        json_t *values = json_array();
        for (size_t i = 0; i < rt->layers_n; i++)
            json_array_append_new(values, json_string(v->layers[i] ? v->layers[i] : ""));
        json_object_set_new(entries, v->key,
                            json_pack("{s:o s:s}", "layer_values", values, "final_value", v->text));
    }
    admin_reply_json(r, json_pack("{s:o s:o}", "layers", names, "entries", entries));
}

struct overrides {
    struct control_override *v;
    size_t n, cap;
};

static void add_override(void *arg, const char *name, const char *value)
{
    struct overrides *o = arg;
    if (o->n == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 8;
        o->v = mem_realloc(o->v, o->cap * sizeof(*o->v));
    }
    o->v[o->n++] = (struct control_override){mem_strdup(name), mem_strdup(value)};
}

void admin_runtime_modify(struct admin_request *r)
{
    struct overrides o = {0};
    struct error err;
    admin_each_query(r, add_override, &o);
    if (!o.n) {
        r->status = 400;
        sbuf_addz(&r->out, "usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n"
                           "use an empty value to remove a previously added override");
    } else if (control_modify_runtime(r->server->control, o.v, o.n, &err)) {
        r->status = 503;
        sbuf_addz(&r->out, err.text);
    } else {
        sbuf_addz(&r->out, "OK\n");
    }
    for (size_t i = 0; i < o.n; i++) {
        mem_free((char *)o.v[i].key);
        mem_free((char *)o.v[i].value);
    }
    mem_free(o.v);
}
