/* Modules by http(s): one exchange. Where the configuration names a cluster that is known, its
 * endpoint is connected to. TLS is spoken when the cluster does, as in Envoy, or when the address
 * says https: a cluster never takes TLS away. */
#include "wasm/fetch_private.h"

#include "base/mem.h"
#include "wasm/blob.h"

static void on_answer(void *arg, const struct xfer_result *res, const struct error *err)
{
    struct fetch *f = arg;
    f->xfer = NULL;
    if (err || res->status != 200) {
        fetch_attempt_failed(f, STAGE_FETCH, "", err ? 0 : res->status, err);
        return;
    }
    if (!res->body->n) {
        struct error empty;
        error_set(&empty, ERR_INVALID, "empty body");
        fetch_attempt_failed(f, STAGE_FETCH, "", 0, &empty);
        return;
    }
    struct fetch_result done = {.body = res->body};
    fetch_attempt_done(f, &done, NULL, false);
}

static bool find_endpoint(const struct fetch *f, struct rollout_endpoint *r)
{
    const struct rollout_ops *ops = f->fetcher->ops;
    *r = (struct rollout_endpoint){0};
    return f->cluster[0] && ops->cluster_endpoint && ops->cluster_endpoint(ops->arg, f->cluster, r);
}

static char *make_url(const struct fetch *f, const struct rollout_endpoint *endpoint)
{
    struct sbuf b = {0};
    bool is_literal6 = strchr(f->url.host, ':') != NULL;
    bool is_tls = endpoint && (endpoint->is_tls || str_is(str_of(f->url.scheme), "https"));
    if (!endpoint)
        return mem_strdup(f->uri);
    sbuf_printf(&b, is_literal6 ? "%s://[%s]" : "%s://%s", is_tls ? "https" : "http", f->url.host);
    if (f->url.has_port)
        sbuf_printf(&b, ":%u", f->url.port);
    sbuf_addz(&b, f->url.path);
    return sbuf_take(&b);
}

void fetch_http_start(struct fetch *f)
{
    struct rollout_endpoint endpoint;
    struct error err;
    bool has_endpoint = find_endpoint(f, &endpoint);
    char *url = make_url(f, has_endpoint ? &endpoint : NULL);
    struct xfer_request req = {
        .url = url,
        .size_max = f->fetcher->module_max,
        .timeout_ms = f->timeout_ms,
        .is_last = true,
        .endpoint = has_endpoint ? &endpoint : NULL,
    };
    int rc = xfer_start(f->fetcher->engine, &req, on_answer, f, &f->xfer, &err);
    mem_free(url);
    if (rc)
        fetch_attempt_failed(f, STAGE_FETCH, "", 0, &err);
}
