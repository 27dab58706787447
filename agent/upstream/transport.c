#include "upstream/transport.h"

#include <stdio.h>

#include "base/mem.h"
#include "http/stream.h"
#include "net/proxy_protocol.h"
#include "upstream/upstream_private.h"

struct transports {
    struct conf_cluster *conf; /* own reference: what the slots are of */
    struct tls_slot **slots;   /* by conf_cluster_transport(); NULL: plaintext */
    size_t n;
};

static void destroy(struct transports *t)
{
    for (size_t i = 0; t && i < t->n; i++)
        tls_slot_unref(t->slots[i]);
    if (t) {
        mem_free(t->slots);
        conf_object_unref(t->conf);
    }
    mem_free(t);
}

void transports_destroy(struct upstream_cluster *c)
{
    destroy(c->transports);
    c->transports = NULL;
}

static bool has_tls(const struct conf_cluster *conf)
{
    bool found = conf->transport.tls != NULL;
    for (size_t i = 0; i < conf->transport_matches_n; i++)
        found |= conf->transport_matches[i].tls != NULL;
    return found;
}

/* The slot of an equal transport socket before: its connections stay. */
static struct tls_slot *find_equal(const struct transports *t, const struct conf_tls *tls)
{
    for (size_t i = 0; t && i < t->n; i++)
        if (t->slots[i] && tls_slot_conf(t->slots[i])->object.hash == tls->object.hash)
            return t->slots[i];
    return NULL;
}

static struct transports *create(struct upstream_cluster *c, const struct transports *before)
{
    struct transports *t = MEM_NEW(struct transports);
    char prefix[300];
    t->conf = conf_object_ref(c->entry->cluster);
    t->n = t->conf->transport_matches_n + 1;
    t->slots = mem_zalloc(t->n * sizeof(*t->slots));
    snprintf(prefix, sizeof(prefix), "%.*s", (int)strlen(c->stats.prefix) - 1, c->stats.prefix);
    for (size_t i = 0; i < t->n; i++) {
        struct conf_tls *tls = i ? t->conf->transport_matches[i - 1].tls : t->conf->transport.tls;
        if (!tls)
            continue;
        struct tls_slot *equal = find_equal(before, tls);
        t->slots[i] = equal ? tls_slot_ref(equal) : tls_slot_create(tls, prefix);
    }
    return t;
}

void transports_update(struct upstream_cluster *c)
{
    struct transports *before = c->transports;
    if (before && before->conf == c->entry->cluster)
        return; /* only the endpoints changed */
    c->transports = has_tls(c->entry->cluster) ? create(c, before) : NULL;
    destroy(before);
}

struct tls_slot *transports_choose(struct upstream_cluster *c, const struct conf_endpoint *e)
{
    const struct transports *t = c->transports;
    if (!t)
        return NULL;
    return t->slots[conf_cluster_transport(t->conf, e ? e->socket_values : NULL,
                                           e ? e->socket_values_n : 0)];
}

bool upstream_host_is_tls(const struct upstream_host *h)
{
    return h->tls && !tls_slot_conf(h->tls)->is_plain;
}

static const char *sni_of(const struct upstream_host *h, const struct conf_tls *conf,
                          const struct transport_options *o)
{
    if (o->sni)
        return o->sni;
    if (conf->auto_host_sni && *h->hostname)
        return h->hostname;
    return conf->sni;
}

/* Those of the client's proxy that may go on, behind our own. */
static void add_passed(const struct conf_proxy_out *conf, struct str from, struct sbuf *tlvs)
{
    size_t at = 0;
    uint8_t type, seen;
    struct str value;
    while (proxy_protocol_next_tlv((const uint8_t *)from.p, from.n, &at, &type, &value)) {
        bool is_ours = false;
        size_t k = 0;
        struct str own;
        while (
            proxy_protocol_next_tlv((const uint8_t *)conf->added.p, conf->added.n, &k, &seen, &own))
            is_ours |= seen == type;
        if (!is_ours && conf->passes[type / 8] & 1 << type % 8)
            proxy_protocol_add_tlv(tlvs, type, value);
    }
}

/* down NULL: the connection is the proxy's own. */
static void tell_client(const struct conf_proxy_out *conf, struct conn *c,
                        const struct downstream_info *down)
{
    struct sbuf tlvs = {0}, header = {0};
    if (down) {
        sbuf_add(&tlvs, conf->added.p, conf->added.n);
        add_passed(conf, down->proxy_tlvs, &tlvs);
    }
    proxy_protocol_write(conf->version, down ? &down->remote : NULL, down ? &down->local : NULL,
                         (struct str){tlvs.p, tlvs.n}, &header);
    conn_set_preamble(c, (struct str){header.p, header.n});
    sbuf_fini(&tlvs);
    sbuf_fini(&header);
}

static void put_under(struct upstream_host *h, struct conn *c, const struct transport_options *o)
{
    const struct conf_tls *conf = tls_slot_conf(h->tls);
    const char *why;
    if (conf->proxy_out)
        tell_client(conf->proxy_out, c, o->down);
    if (conf->is_plain)
        return;
    struct tls_context *ctx = tls_slot_context(h->tls, h->cluster->u->current, &why);
    if (!ctx) {
        conn_tls_refuse(c, why);
        return;
    }
    struct conn_tls_client client = {
        .sni = sni_of(h, conf, o), .name = o->name, .sessions = &h->tls_sessions};
    if (o->alpn_override.n)
        client.alpn = o->alpn_override;
    else if (!conf->params.alpn.n)
        client.alpn = o->alpn;
    conn_tls_connect(c, ctx, tls_slot_stats(h->tls), &client);
}

void upstream_conn_init(struct upstream_host *h, struct conn *c, const struct conn_ops *ops,
                        const struct transport_options *o)
{
    struct conn_source from = {.addr = conf_cluster_source(cluster_conf(h->cluster), &h->addr)};
    struct addr client;
    if (o->down && o->down->source.is_on && o->down->remote.sa.sa_family != AF_UNIX) {
        client = o->down->remote;
        if (!o->down->source.binds_port)
            addr_set_port(&client, 0);
        from = (struct conn_source){&client, o->down->source.mark, true};
    }
    conn_init_connect_from(c, h->cluster->loop, &h->addr, &from, ops);
    if (h->tls && conn_is_open(c))
        put_under(h, c, o);
}

const char *upstream_conn_failure(const struct conn *c, char text[TRANSPORT_FAILURE_MAX])
{
    char reason[96];
    const char *failure = conn_failure(c);
    if (*failure) {
        snprintf(text, TRANSPORT_FAILURE_MAX, "%s", failure);
        return text;
    }
    if (!c->saved_errno)
        return "";
    snprintf(text, TRANSPORT_FAILURE_MAX, "delayed connect error: %s",
             strerror_r(c->saved_errno, reason, sizeof(reason)));
    return text;
}
