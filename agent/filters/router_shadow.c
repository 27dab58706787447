/* Mirrored requests: a copy of the head when the route is known, the body as it comes, and off
 * they go when the request is complete. What they come to is for the cluster's statistics only.
 * Source: Envoy's ShadowWriterImpl. */
#include <string.h>

#include "filters/router_private.h"
#include "http/hcm.h"

enum { SHADOWS_MAX = 1024 }; /* under way on one worker; more are not sent */

struct router_shadow {
    struct list node;
    struct router_worker *worker;
    struct callout *callout;
};

static const struct conf_mirrors *find_mirrors(const struct router_stream *r)
{
    if (r->choice.route->mirrors.n)
        return &r->choice.route->mirrors;
    return r->choice.vhost->mirrors.n ? &r->choice.vhost->mirrors : &r->config->mirrors;
}

void router_shadow_begin(struct router_stream *r, const struct headers *h)
{
    const struct conf_mirrors *m = find_mirrors(r);
    if (!m->n)
        return;
    r->mirrors = m;
    r->shadow_head = arena_zalloc(&r->s->arena, sizeof(*r->shadow_head));
    headers_copy(r->shadow_head, h);
}

void router_shadow_drop(struct router_stream *r)
{
    if (!r->mirrors)
        return;
    r->mirrors = NULL;
    headers_fini(r->shadow_head);
    buf_fini(&r->shadow_body);
}

void router_shadow_body(struct router_stream *r, const struct buf *data)
{
    if (!r->mirrors)
        return;
    if (r->shadow_body.len + data->len > router_kept_max(r)) {
        upstream_count_retry(r->cluster, UPSTREAM_RETRY_ABANDONED);
        router_shadow_drop(r);
        return;
    }
    buf_adds(&r->shadow_body, buf_str(data));
}

static void on_done(const struct callout_response *response, void *arg)
{
    struct router_shadow *sh = arg;
    (void)response;
    list_del(&sh->node);
    sh->worker->shadows_n--;
    mem_free(sh);
}

/* "a.test:80" becomes "a.test-shadow:80". */
static void set_host(struct router_stream *r, const struct conf_mirror *m, struct headers *h)
{
    struct str host = headers_get(h, HDR_AUTHORITY);
    if (m->host_rewrite.p) {
        headers_set_id(h, HDR_AUTHORITY, m->host_rewrite);
        return;
    }
    if (m->keeps_host || !host.n)
        return;
    const char *colon = memrchr(host.p, ':', host.n);
    const char *bracket = memrchr(host.p, ']', host.n);
    size_t cut = colon && (!bracket || bracket < colon) ? (size_t)(colon - host.p) : host.n;
    char *text = arena_printf(&r->s->arena, "%.*s-shadow%.*s", (int)cut, host.p,
                              (int)(host.n - cut), host.p + cut);
    headers_set_id(h, HDR_AUTHORITY, str_of(text));
}

static void send_one(struct router_stream *r, const struct conf_mirror *m)
{
    struct router_worker *w = r->worker;
    struct stream *s = r->s;
    struct str cluster = m->cluster;
    struct headers h = {0};
    if (w->shadows_n >= SHADOWS_MAX || lb_random_below(&w->random, m->denominator) >= m->numerator)
        return;
    if (m->cluster_header.n)
        cluster = headers_get_name(r->shadow_head, m->cluster_header);
    if (!cluster.n)
        return;
    headers_copy(&h, r->shadow_head);
    set_host(r, m, &h);
    struct callout_request rq = {
        .cluster = cluster,
        .headers = &h,
        .body = buf_str(&r->shadow_body),
        .trailers = r->has_trailers ? &s->req_trailers : NULL,
        .timeout_ms = r->timeout_ms,
        .drops_response = true,
    };
    struct router_shadow *sh = MEM_NEW(struct router_shadow);
    sh->worker = w;
    if (callout_start(w->env->upstreams, s->snapshot, &rq, on_done, sh, &sh->callout)) {
        mem_free(sh);
    } else {
        list_add_tail(&w->shadows, &sh->node);
        w->shadows_n++;
    }
    headers_fini(&h);
}

void router_shadow_send(struct router_stream *r)
{
    const struct conf_mirrors *m = r->mirrors;
    for (size_t i = 0; m && i < m->n; i++)
        send_one(r, &m->v[i]);
    router_shadow_drop(r);
}

void router_shadow_cancel_all(struct router_worker *w)
{
    list_for_each_safe (it, tmp, &w->shadows) {
        struct router_shadow *sh = container_of(it, struct router_shadow, node);
        callout_cancel(&sh->callout);
        list_del(&sh->node);
        mem_free(sh);
    }
}
