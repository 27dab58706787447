#include "wasm/fetch_private.h"

#include "base/crypto.h"
#include "base/mem.h"
#include "wasm/docker_auth.h"

enum {
    TIMEOUT_MS = 5000,
    RETRIES_MAX = 100,
    BACKOFF_BASE_MS = 500, /* between attempts: doubled, jittered by half */
    BACKOFF_MAX_MS = 10000
};

static void start_attempt(struct fetch *f)
{
    f->attempts++;
    f->deadline_us = loop_now_us(f->fetcher->loop) + f->timeout_ms * 1000ull;
    if (str_is(str_of(f->url.scheme), "oci"))
        fetch_oci_start(f);
    else
        fetch_http_start(f);
}

static void free_fetch(struct fetch *f)
{
    list_del(&f->node);
    loop_timer_stop(&f->timer);
    xfer_cancel(&f->xfer);
    fetch_oci_cancel(f);
    mem_free(f->uri);
    mem_free(f->cluster);
    mem_free(f->sha256);
    docker_auth_wipe_text(&f->pull_secret);
    mem_free(f->shown);
    mem_free(f);
}

static void on_timer(struct loop_timer *t)
{
    struct fetch *f = container_of(t, struct fetch, timer);
    struct stage_error e = {.stage = STAGE_FETCH};
    if (!f->attempts && fetch_policy_parse_url(f->uri, &f->url, &e.err))
        fetch_attempt_done(f, NULL, &e, false);
    else
        start_attempt(f);
}

static uint32_t backoff_ms(const struct fetch *f)
{
    uint32_t ms = BACKOFF_BASE_MS, random;
    for (unsigned i = 1; i < f->attempts && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    crypto_random(&random, sizeof(random));
    return ms / 2 + random % ms;
}

void fetch_attempt_done(struct fetch *f, const struct fetch_result *res,
                        const struct stage_error *e, bool may_retry)
{
    if (!res && may_retry && f->retries_left) {
        f->retries_left--;
        loop_timer_start(&f->timer, backoff_ms(f));
        return;
    }
    f->done(f->arg, res, e);
    free_fetch(f);
}

void fetch_attempt_failed(struct fetch *f, enum stage s, const char *what, unsigned status,
                          const struct error *err)
{
    struct stage_error e = {.stage = s};
    bool may_retry =
        !err ? status >= 500
             : err->code == ERR_IO || err->code == ERR_TIMEOUT || err->code == ERR_UNSUPPORTED;
    const char *colon = what[0] ? ": " : "";
    if (err)
        error_set(&e.err, err->code, "%s: %s%s%s", f->shown, what, colon, err->text);
    else
        error_set(&e.err, status == 404 ? ERR_NOT_FOUND : ERR_IO, "%s: %s%sHTTP %u", f->shown, what,
                  colon, status);
    fetch_attempt_done(f, NULL, &e, may_retry);
}

uint32_t fetch_ms_left(const struct fetch *f)
{
    uint64_t now = loop_now_us(f->fetcher->loop);
    return now + 1000 < f->deadline_us ? (uint32_t)((f->deadline_us - now) / 1000) : 1;
}

struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_request *req,
                          fetch_done_fn done, void *arg)
{
    struct fetch *f = MEM_NEW(struct fetch);
    struct sbuf shown = {0};
    f->fetcher = fetcher;
    f->uri = mem_strdup(req->uri);
    f->cluster = mem_strdup(req->cluster ? req->cluster : "");
    f->sha256 = mem_strdup(req->sha256 ? req->sha256 : "");
    f->pull_secret = req->pull_secret ? mem_strdup(req->pull_secret) : NULL;
    fetch_policy_format_url(req->uri, &shown);
    f->shown = sbuf_take(&shown);
    f->timeout_ms = req->timeout_ms ? req->timeout_ms : TIMEOUT_MS;
    f->retries_left = req->num_retries > RETRIES_MAX ? RETRIES_MAX : req->num_retries;
    f->done = done;
    f->arg = arg;
    loop_timer_init(&f->timer, fetcher->loop, on_timer);
    list_add_tail(&fetcher->fetches, &f->node);
    loop_timer_start(&f->timer, 0);
    return f;
}

void fetch_cancel(struct fetch **f)
{
    if (*f)
        free_fetch(*f);
    *f = NULL;
}

int fetcher_create(struct loop *loop, const struct rollout_options *o,
                   const struct rollout_ops *ops, struct fetcher **f_r, struct error *err)
{
    struct fetcher *f = MEM_NEW(struct fetcher);
    int rc = xfer_engine_create(loop, o, &f->engine, err);
    if (rc) {
        mem_free(f);
        return rc;
    }
    f->loop = loop;
    f->ops = ops;
    f->module_max = o->module_max ? o->module_max : 256u << 20;
    f->insecure = o->insecure_registries ? mem_strdup(o->insecure_registries) : NULL;
    list_init(&f->fetches);
    *f_r = f;
    return 0;
}

void fetcher_destroy(struct fetcher **fp)
{
    struct fetcher *f = *fp;
    *fp = NULL;
    if (!f)
        return;
    list_for_each_safe (it, tmp, &f->fetches)
        free_fetch(container_of(it, struct fetch, node));
    xfer_engine_destroy(&f->engine);
    mem_free(f->insecure);
    mem_free(f);
}
