#include "conf/route.h"

#include <string.h>

#include "base/mem.h"
#include "base/regex.h"
#include "conf/retry.h"

static void fini_values(struct conf_value_match *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        regex_destroy(&m[i].string.regex);
}

static void fini_route(struct conf_route *r)
{
    regex_destroy(&r->path_regex);
    regex_destroy(&r->regex_rewrite.regex);
    regex_destroy(&r->host_path_regex.regex);
    if (r->redirect)
        regex_destroy(&r->redirect->regex_rewrite.regex);
    for (size_t i = 0; i < r->headers_n; i++)
        regex_destroy(&r->headers[i].string.regex);
    for (size_t i = 0; i < r->hash_n; i++)
        regex_destroy(&r->hash[i].rewrite.regex);
    conf_retry_fini(r->retry);
    fini_values(r->query, r->query_n);
    fini_values(r->cookies, r->cookies_n);
}

static void fini_config(struct conf_object *o)
{
    struct conf_route_config *rc = container_of(o, struct conf_route_config, object);
    for (size_t i = 0; i < rc->vhosts_n; i++) {
        conf_retry_fini(rc->vhosts[i].retry);
        for (size_t j = 0; j < rc->vhosts[i].routes_n; j++)
            fini_route(&rc->vhosts[i].routes[j]);
    }
    hash_fini(&rc->exact_domains);
    hash_fini(&rc->suffixes.domains);
    hash_fini(&rc->prefixes.domains);
}

struct conf_route_config *conf_route_config_create(const char *name)
{
    struct conf_route_config *rc = conf_object_create(sizeof(*rc), name);
    rc->object.fini = fini_config;
    rc->vhost_header = "";
    return rc;
}

/* Keeps `lengths` sorted; there are few of them. */
static void add_wildcard(struct conf_wildcards *w, struct str text, struct conf_virtual_host *v)
{
    size_t i = 0;
    hash_set(&w->domains, text, v);
    while (i < w->lengths_n && w->lengths[i] > text.n)
        i++;
    if (i < w->lengths_n && w->lengths[i] == text.n)
        return;
    memmove(&w->lengths[i + 1], &w->lengths[i], (w->lengths_n - i) * sizeof(*w->lengths));
    w->lengths[i] = text.n;
    w->lengths_n++;
}

/* `seen` holds every domain in lower case, wildcards too. */
static int add_domain(struct conf_route_config *rc, struct hash *seen, const struct conf_domain *d,
                      struct error *err)
{
    char *lower = arena_strndup(&rc->object.arena, d->text.p, d->text.n);
    struct str text = {lower, d->text.n};
    for (size_t i = 0; i < text.n; i++)
        lower[i] = str_lower(lower[i]);
    if (!text.n)
        return error_set(err, ERR_INVALID, "a domain must not be empty");
    if (hash_set(seen, text, d->vhost))
        return str_is(text, "*")
                   ? error_set(err, ERR_DUPLICATE,
                               "Only a single wildcard domain is permitted in route %s",
                               rc->object.name)
                   : error_set(err, ERR_DUPLICATE,
                               "Only unique values for domains are permitted. Duplicate entry of "
                               "domain %s in route %s",
                               lower, rc->object.name);
    if (str_is(text, "*"))
        rc->any_domain = d->vhost;
    else if (text.p[0] == '*')
        add_wildcard(&rc->suffixes, (struct str){text.p + 1, text.n - 1}, d->vhost);
    else if (text.p[text.n - 1] == '*')
        add_wildcard(&rc->prefixes, (struct str){text.p, text.n - 1}, d->vhost);
    else
        hash_set(&rc->exact_domains, text, d->vhost);
    return 0;
}

static bool has_overrides(const struct conf_route_config *rc)
{
    bool has = rc->overrides.n;
    for (size_t i = 0; i < rc->vhosts_n && !has; i++) {
        const struct conf_virtual_host *v = &rc->vhosts[i];
        has = v->overrides.n;
        for (size_t j = 0; j < v->routes_n && !has; j++) {
            const struct conf_weighted *w = v->routes[j].weighted;
            has = v->routes[j].overrides.n;
            for (size_t k = 0; w && k < w->n; k++)
                has = has || w->v[k].overrides.n;
        }
    }
    return has;
}

int conf_route_config_index(struct conf_route_config *rc, const struct conf_domain *domains,
                            size_t n, size_t *bad_r, struct error *err)
{
    struct arena *a = &rc->object.arena;
    struct hash seen = {0};
    size_t suffixes = 0, prefixes = 0;
    int rc_add = 0;
    for (size_t i = 0; i < n; i++) {
        struct str t = domains[i].text;
        suffixes += t.n && t.p[0] == '*';
        prefixes += t.n && t.p[0] != '*' && t.p[t.n - 1] == '*';
    }
    rc->suffixes.lengths = arena_zalloc(a, (suffixes + 1) * sizeof(size_t));
    rc->prefixes.lengths = arena_zalloc(a, (prefixes + 1) * sizeof(size_t));
    rc->has_overrides = has_overrides(rc);
    for (size_t i = 0; i < n && !rc_add; i++) {
        *bad_r = i;
        rc_add = add_domain(rc, &seen, &domains[i], err);
    }
    hash_fini(&seen);
    return rc_add;
}
