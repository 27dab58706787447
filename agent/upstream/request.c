/* A request between its owner and the connection it is on. */
#include "http/uri.h"
#include "upstream/client_private.h"

void upstream_request_name(struct upstream_request *r, const struct upstream_cluster *c,
                           const struct headers *h)
{
    const struct conf_cluster *conf = cluster_conf(c);
    if (!conf->auto_sni && !conf->auto_san)
        return;
    struct str name = STR_NULL;
    if (*conf->auto_sni_header)
        name = headers_get_name(h, str_of(conf->auto_sni_header));
    name = uri_cut_port(name.n ? name : headers_get(h, HDR_AUTHORITY));
    if (name.n > 2 && name.p[0] == '[')
        name = (struct str){name.p + 1, name.n - 2};
    /* Without a name there is none that a certificate could have. */
    r->server_name = name.n || !conf->auto_san ? name : STR("-");
}

static void release(struct upstream_request *r)
{
    r->client->active_n--;
    breaker_remove(r->cluster, r->priority, BREAKER_REQUESTS);
    stat_add(r->cluster->stats.upstream_rq_active, -1);
    r->host->stats.rq_active--;
    r->client = NULL;
    r->state = UPSTREAM_REQUEST_ENDED;
}

void request_reset(struct upstream_request *r, enum upstream_reset why, const char *failure)
{
    release(r);
    r->read_disabled = false;
    r->ops->on_reset(r, why, failure);
}

void request_refuse(struct upstream_request *r, enum upstream_reset why, const char *failure)
{
    struct upstreams *u = r->cluster->u;
    r->state = UPSTREAM_REQUEST_FAILED;
    r->pending_reset = why;
    r->pending_failure = failure;
    list_add_tail(&u->failed, &r->node);
    loop_defer(u->loop, &u->fail_task);
}

void request_fail(struct upstream_request *r, enum upstream_reset why)
{
    release(r);
    r->read_disabled = false;
    request_refuse(r, why, "");
}

static void finish_active(struct upstream_request *r)
{
    struct client *c = r->client;
    bool is_whole = r->is_done && r->request_complete;
    release(r);
    bool is_usable = c->codec->detach(c, r, is_whole);
    r->read_disabled = false;
    if (is_usable)
        pool_put(c);
    else if (is_whole)
        client_end(c);
    else
        client_close(c);
}

void upstream_request_finish(struct upstream_request *r)
{
    if (r->state == UPSTREAM_REQUEST_PENDING) {
        pool_unqueue(r);
        stat_inc(r->cluster->stats.upstream_rq_cancelled);
    } else if (r->state == UPSTREAM_REQUEST_FAILED) {
        list_del(&r->node);
    } else if (r->state == UPSTREAM_REQUEST_ACTIVE) {
        finish_active(r);
    }
    r->state = UPSTREAM_REQUEST_NONE;
    headers_fini(&r->headers);
    headers_fini(&r->trailers);
    header_case_fini(&r->names);
    buf_fini(&r->early);
    if (r->host)
        upstream_host_unref(r->host);
    r->host = NULL;
    r->cluster = NULL;
}

void upstream_request_read_disable(struct upstream_request *r, bool disable)
{
    struct cluster_stats *s = r->cluster ? &r->cluster->stats : NULL;
    if (disable == r->read_disabled || !s)
        return;
    r->read_disabled = disable;
    stat_inc(disable ? s->upstream_flow_control_paused_reading_total
                     : s->upstream_flow_control_resumed_reading_total);
    if (r->client)
        r->client->codec->read_disable(r, disable);
}

void upstream_request_headers(struct upstream_request *r, const struct headers *h, bool end)
{
    if (r->client)
        r->client->codec->send_headers(r, h, end);
}

/* ---- upgrades: nothing is sent that a peer who refuses could take for another request ---- */

bool request_is_granted(const struct upstream_request *r, unsigned status)
{
    if (!r->upgrade.p)
        return false;
    return request_is_connect(r) ? status >= 200 && status < 300 : status == 101;
}

static void hold(struct upstream_request *r, struct buf *data, bool end)
{
    buf_move(&r->early, data);
    r->early_end = end;
    if (r->early.len <= cluster_conf(r->cluster)->buffer_limit || r->early_is_high)
        return;
    r->early_is_high = true;
    if (r->ops->on_water)
        r->ops->on_water(r, true);
}

void request_switch(struct upstream_request *r)
{
    struct client *c = r->client;
    r->is_switched = true;
    r->ops->on_headers(r, false);
    if (r->client != c)
        return;
    if (r->early.len || r->early_end)
        upstream_request_body(r, &r->early, r->early_end);
    if (r->client == c && r->early_is_high && r->ops->on_water)
        r->ops->on_water(r, false);
}

void upstream_request_body(struct upstream_request *r, struct buf *data, bool end)
{
    if (!r->client || r->request_complete)
        buf_fini(data);
    else if (r->upgrade.p && !r->is_switched)
        hold(r, data, end);
    else
        r->client->codec->send_body(r, data, end);
}

void upstream_request_trailers(struct upstream_request *r, const struct headers *h)
{
    if (r->client && !r->request_complete && !r->upgrade.p)
        r->client->codec->send_trailers(r, h);
}

const struct conn *upstream_request_conn(const struct upstream_request *r)
{
    return &r->client->conn;
}

uint8_t upstream_request_minor(const struct upstream_request *r)
{
    return r->client->codec == &h2_client_codec ? 20 : 11;
}
