/* Pools of connections that not every request may use: those that are one client's alone, because
 * an upstream is told of it (by the address the connection comes from, of the listener filter
 * original_src, or by a PROXY protocol header), and those whose peer has to answer to the request's
 * name (auto_sni, auto_san_validation), and those that offer protocols of its own (istio.alpn).
 * What it is told, the name and the protocols are the key. Pools that ran empty are swept when
 * there are many. */
#include "base/mem.h"
#include "upstream/client_private.h"

enum { SWEPT_FROM = 64 };

static bool is_told(const struct upstream_host *h)
{
    return h->tls && tls_slot_conf(h->tls)->proxy_out;
}

static bool is_own(const struct upstream_host *h, const struct downstream_info *down)
{
    return down && (down->source.is_on || is_told(h));
}

static struct str alpn_of(const struct upstream_host *h, enum pool_kind kind,
                          const struct upstream_request *r)
{
    if (!r->alpn || r->is_raw || cluster_conf(h->cluster)->keeps_alpn || !upstream_host_is_tls(h))
        return STR_NULL;
    return kind == POOL_HTTP1 ? r->alpn->http1 : r->alpn->http2;
}

static void add_client(const struct upstream_host *h, const struct downstream_info *down,
                       struct sbuf *key)
{
    char text[ADDR_TEXT_MAX];
    if (down->source.is_on)
        sbuf_printf(key, " %s %u", addr_format_ip(&down->remote, text), down->source.mark);
    if (down->source.is_on && down->source.binds_port)
        sbuf_printf(key, " %u", addr_port(&down->remote));
    if (is_told(h)) {
        sbuf_printf(key, " %s", addr_format(&down->remote, text));
        sbuf_printf(key, " %s ", addr_format(&down->local, text));
        sbuf_add(key, down->proxy_tlvs.p, down->proxy_tlvs.n);
    }
}

static struct downstream_info *copy_client(const struct downstream_info *down)
{
    struct downstream_info *copy = MEM_NEW(struct downstream_info);
    copy->remote = down->remote;
    copy->local = down->local;
    copy->source = down->source;
    copy->proxy_tlvs =
        (struct str){mem_dup(down->proxy_tlvs.p, down->proxy_tlvs.n), down->proxy_tlvs.n};
    return copy;
}

static void destroy(struct pool *p)
{
    if (p->down)
        mem_free((char *)p->down->proxy_tlvs.p);
    mem_free(p->down);
    mem_free(p->server_name);
    mem_free((char *)p->alpn.p);
    mem_free(p);
}

static bool is_empty(const struct pool *p)
{
    return !p->clients_n && !p->pending_n;
}

/* From the loop, when nobody stands on one of them. */
static void run_sweep(struct loop_task *t)
{
    struct upstream_host *h = container_of(t, struct upstream_host, sweep_task);
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(&h->keyed, &it))) {
        struct pool *p = e->value;
        if (!is_empty(p))
            continue;
        hash_remove(&h->keyed, (struct str){e->key, e->key_len});
        destroy(p);
    }
    h->sweep_from = 2 * hash_count(&h->keyed);
    upstream_host_unref(h);
}

static void sweep_later(struct upstream_host *h)
{
    if (hash_count(&h->keyed) < SWEPT_FROM || hash_count(&h->keyed) < h->sweep_from ||
        h->sweep_task.is_queued)
        return;
    h->sweep_task.run = run_sweep;
    host_ref(h);
    loop_defer(h->cluster->loop, &h->sweep_task);
}

static struct pool *create(struct upstream_host *h, enum pool_kind kind,
                           const struct upstream_request *r, struct str alpn)
{
    struct pool *p = pool_create(h, kind);
    if (is_own(h, r->down))
        p->down = copy_client(r->down);
    if (r->server_name.n)
        p->server_name = mem_strndup(r->server_name.p, r->server_name.n);
    if (alpn.n)
        p->alpn = (struct str){mem_dup(alpn.p, alpn.n), alpn.n};
    return p;
}

struct pool *pool_keyed(struct upstream_host *h, enum pool_kind kind,
                        const struct upstream_request *r)
{
    struct sbuf key = {0};
    struct str alpn = alpn_of(h, kind, r);
    if (!r->server_name.n && !alpn.n && !is_own(h, r->down))
        return NULL;
    sbuf_printf(&key, "%d %zu %zu ", (int)kind, r->server_name.n, alpn.n);
    sbuf_add(&key, r->server_name.p, r->server_name.n);
    sbuf_add(&key, alpn.p, alpn.n);
    if (is_own(h, r->down))
        add_client(h, r->down, &key);
    struct pool *p = hash_find(&h->keyed, (struct str){key.p, key.n});
    if (!p) {
        p = create(h, kind, r, alpn);
        sweep_later(h);
        hash_set(&h->keyed, (struct str){key.p, key.n}, p);
    }
    sbuf_fini(&key);
    return p;
}

void pools_keyed_destroy(struct upstream_host *h)
{
    struct hash_entry *e;
    size_t it = 0;
    while ((e = hash_next(&h->keyed, &it)))
        destroy(e->value);
    hash_fini(&h->keyed);
}
