/* JSON formats: a tree of format strings. A text that is one operator keeps its type: numbers stay
 * numbers, no value is null; everything else is a string. Source: Envoy's JsonFormatter. */
#include "base/json_text.h"
#include "base/mem.h"
#include "http/format_private.h"

struct node {
    enum conf_json_kind kind;
    char *key, *literal;
    struct format_items items;
    struct node *v;
    size_t n;
};

struct format_json {
    struct node root;
    bool omits_empty;
};

static void fini(struct node *n)
{
    for (size_t i = 0; i < n->n; i++)
        fini(&n->v[i]);
    mem_free(n->v);
    mem_free(n->key);
    mem_free(n->literal);
    format_items_fini(&n->items);
}

/* The depth was bounded when it was decoded. */
static int build(const struct conf_json *c, struct node *n, struct error *err)
{
    n->kind = c->kind;
    n->key = mem_strndup(c->key.p ? c->key.p : "", c->key.n);
    if (c->kind == CONF_JSON_FORMAT)
        return format_items_parse(c->text.p, &n->items, err);
    if (c->kind == CONF_JSON_LITERAL)
        n->literal = mem_strndup(c->text.p, c->text.n);
    n->v = mem_zalloc((c->n ? c->n : 1) * sizeof(*n->v));
    for (n->n = 0; n->n < c->n;)
        if (build(&c->v[n->n], &n->v[n->n], err)) {
            n->n++;
            return c->kind == CONF_JSON_OBJECT ? error_prefix(err, "%s: ", n->v[n->n - 1].key)
                                               : -ERR_INVALID;
        } else {
            n->n++;
        }
    return 0;
}

int format_json_create(const struct conf_format *conf, struct format_json **j_r, struct error *err)
{
    struct format_json *j = MEM_NEW(struct format_json);
    int rc = build(conf->json, &j->root, err);
    j->omits_empty = conf->omits_empty;
    if (rc)
        format_json_destroy(&j);
    *j_r = j;
    return rc;
}

void format_json_destroy(struct format_json **json)
{
    if (!*json)
        return;
    fini(&(*json)->root);
    mem_free(*json);
    *json = NULL;
}

/* ---- printing ---- */

/* False: the value is left out. */
static bool print_format(const struct format_json *j, const struct node *n,
                         const struct stream_info *info, const struct stream *s, struct sbuf *out)
{
    struct sbuf text = {0};
    const struct format_item *only = n->items.n == 1 ? &n->items.v[0] : NULL;
    bool has_value = true;
    if (only && only->print)
        has_value = format_item_print(only, info, s, "", &text);
    else
        format_items_print(&n->items, info, s, j->omits_empty ? "" : "-", &text);
    if (!has_value && !j->omits_empty)
        sbuf_addz(out, "null");
    else if (has_value && only && only->is_number && text.n)
        sbuf_add(out, text.p, text.n);
    else if (has_value)
        json_text_add(out, (struct str){text.p ? text.p : "", text.n});
    sbuf_fini(&text);
    return has_value || !j->omits_empty;
}

static bool print_node(const struct format_json *j, const struct node *n,
                       const struct stream_info *info, const struct stream *s, struct sbuf *out)
{
    bool is_object = n->kind == CONF_JSON_OBJECT, any = false;
    if (n->kind == CONF_JSON_FORMAT)
        return print_format(j, n, info, s, out);
    if (n->kind == CONF_JSON_LITERAL) {
        sbuf_addz(out, n->literal);
        return true;
    }
    sbuf_addc(out, is_object ? '{' : '[');
    for (size_t i = 0; i < n->n; i++) {
        size_t before = out->n;
        if (any)
            sbuf_addc(out, ',');
        if (is_object) {
            json_text_add(out, str_of(n->v[i].key));
            sbuf_addc(out, ':');
        }
        if (print_node(j, &n->v[i], info, s, out)) {
            any = true;
        } else {
            out->n = before;
            out->p[before] = 0;
        }
    }
    sbuf_addc(out, is_object ? '}' : ']');
    return true;
}

void format_json_print(const struct format_json *j, const struct stream_info *info,
                       const struct stream *s, struct sbuf *out)
{
    print_node(j, &j->root, info, s, out);
    sbuf_addc(out, '\n');
}
