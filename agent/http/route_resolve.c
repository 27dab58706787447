/* The route of a stream: its configuration, its facts, the choice. */
#include "http/route_resolve.h"

#include "base/crypto.h"
#include "http/hcm.h"
#include "net/tls_info.h"

/* A number for shares and weights; the same whenever the stream asks. */
static uint64_t stream_random(struct stream *s)
{
    static __thread uint64_t state;
    while (!state)
        crypto_random(&state, sizeof(state));
    if (!s->random) {
        state += 0x9e3779b97f4a7c15u; /* splitmix64 */
        uint64_t z = state;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        s->random = (z ^ (z >> 31)) | 1; /* never 0 */
    }
    return s->random >> 1;
}

/* NULL: no scope is the request's, or its routes are not there yet. */
static const struct conf_route_config *scoped_config(const struct stream *s,
                                                     const struct conf_scoped_routes *routes)
{
    struct sbuf key = {0};
    const struct conf_scope *scope = NULL;
    if (route_scope_key(routes, &s->req, &key))
        scope = routes->is_subscribed ? snapshot_scope(s->snapshot, (struct str){key.p, key.n})
                                      : hash_find(&routes->by_key, (struct str){key.p, key.n});
    sbuf_fini(&key);
    if (!scope || !*scope->route_name)
        return scope ? scope->route_config : NULL;
    return snapshot_route(s->snapshot, str_of(scope->route_name));
}

const struct conf_route_config *route_config_of(struct stream *s)
{
    const struct conf_hcm *conf = s->hcm->conf;
    if (conf->scoped)
        return scoped_config(s, conf->scoped);
    if (!s->routes)
        s->routes = conf->rds_name ? snapshot_route(s->snapshot, str_of(conf->rds_name))
                                   : conf->route_config;
    return s->routes;
}

const char *route_resolve(struct stream *s, const struct headers *h,
                          const struct conf_route_config **config_r, struct route_choice *choice_r)
{
    const struct downstream_info *down = s->info.down;
    const struct conf_route_config *rc = *config_r = route_config_of(s);
    *choice_r = (struct route_choice){0};
    if (!rc)
        return s->hcm->conf->scoped ? "route_not_found" : "route_configuration_not_found";
    struct route_facts facts = {.random = stream_random(s),
                                .runtime = s->snapshot->runtime,
                                .peer = stream_info_remote(&s->info),
                                .local = &down->local,
                                .cert_presented = down->tls && tls_info_has_peer(down->tls),
                                .cert_validated = down->tls && tls_info_is_verified(down->tls)};
    if (!route_match(rc, h, &facts, choice_r))
        return "route_not_found";
    if (choice_r->route && choice_r->route->action == CONF_ACTION_CLUSTER)
        route_choose_cluster(h, &facts, &s->arena, choice_r);
    return NULL;
}

bool route_skips_filter(const struct conf_route_config *rc, const struct route_choice *c,
                        const struct conf_http_filter *f)
{
    if (f->kind == CONF_HTTP_ROUTER)
        return false;
    const struct conf_filter_override *o =
        rc && rc->has_overrides ? route_override(rc, c, str_of(f->name)) : NULL;
    return o ? o->is_disabled : f->is_disabled;
}
