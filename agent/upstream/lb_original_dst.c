/* ORIGINAL_DST: hosts are made on demand from the address that the client meant to reach, and
 * forgotten when a whole interval passed without a use and no connection is left. */
#include "base/mem.h"
#include "upstream/upstream_private.h"

enum {
    CLEANUP_MS = 5000,
    HOSTS_MAX = 65536, /* per worker; addresses come from outside */
};

/* "10.0.0.1:80" or "[::1]:80". */
static bool parse_ip_port(struct str s, struct addr *a)
{
    struct str ip;
    uint64_t port;
    ptrdiff_t colon = -1;
    for (size_t i = s.n; i-- > 0 && colon < 0;)
        if (s.p[i] == ':')
            colon = (ptrdiff_t)i;
    if (colon < 0)
        return false;
    ip = (struct str){s.p, (size_t)colon};
    if (ip.n >= 2 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']')
        ip = (struct str){ip.p + 1, ip.n - 2};
    struct str text = {s.p + colon + 1, s.n - (size_t)colon - 1};
    return str_to_u64(text, 65535, &port) && addr_from_ip(ip, (uint16_t)port, a, NULL) == 0;
}

static bool choose_addr(struct upstream_cluster *c, const struct lb_context *ctx, struct addr *a)
{
    const struct conf_cluster *conf = cluster_conf(c);
    if (conf->use_http_header && ctx->original_dst_header.p) {
        if (!parse_ip_port(ctx->original_dst_header, a)) {
            stat_inc(c->stats.original_dst_host_invalid);
            return false;
        }
    } else if (ctx->original_dst && ctx->original_dst->len) {
        *a = *ctx->original_dst;
    } else {
        return false;
    }
    if (conf->original_dst_port)
        addr_set_port(a, conf->original_dst_port);
    return true;
}

struct upstream_host *lb_original_dst_pick(struct upstream_cluster *c, const struct lb_context *ctx)
{
    struct addr a;
    char key[HOST_KEY_MAX];
    if (!choose_addr(c, ctx, &a))
        return NULL;
    struct str k = host_key(&a, key);
    struct upstream_host *h = hash_find(&c->original_dst, k);
    if (!h) {
        if (c->hosts_n >= HOSTS_MAX || c->is_drained)
            return NULL;
        h = host_create(c, &a, "", transports_choose(c, NULL));
        hash_set(&c->original_dst, k, h);
        mem_grow((void **)&c->hosts, &c->hosts_cap, c->hosts_n + 1, sizeof(*c->hosts));
        c->hosts[c->hosts_n++] = h;
        if (!loop_timer_is_on(&c->cleanup_timer))
            loop_timer_start(&c->cleanup_timer, CLEANUP_MS);
    }
    h->is_used = true;
    return h;
}

void lb_original_dst_on_timer(struct loop_timer *t)
{
    struct upstream_cluster *c = container_of(t, struct upstream_cluster, cleanup_timer);
    char key[HOST_KEY_MAX];
    size_t kept = 0;
    for (size_t i = 0; i < c->hosts_n; i++) {
        struct upstream_host *h = c->hosts[i];
        bool is_held = h->refs > 1; /* by a connection or a request */
        if (h->is_used || is_held) {
            h->is_used = false;
            c->hosts[kept++] = h;
            continue;
        }
        hash_remove(&c->original_dst, host_key(&h->addr, key));
        host_remove(h);
    }
    c->hosts_n = kept;
    if (kept)
        loop_timer_start(&c->cleanup_timer, CLEANUP_MS);
}
