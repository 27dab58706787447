/* How long a request may take. Source: Envoy's FilterUtility::finalTimeout, setTimeoutHeaders. */
#include "filters/router_private.h"

/* A number in a header, which goes; what is not a number counts for nothing. */
static void take_ms(struct headers *h, struct str name, uint32_t *ms)
{
    struct str given = headers_get_name(h, name);
    uint64_t v;
    if (!given.p)
        return;
    if (str_to_u64(given, UINT32_MAX, &v))
        *ms = (uint32_t)v;
    headers_remove(h, name);
}

void router_set_timeouts(struct router_stream *r, struct headers *h)
{
    const struct conf_retry_policy *p = r->retry.policy;
    r->timeout_ms = r->choice.route->timeout_ms;
    r->try_timeout_ms = p ? p->per_try_timeout_ms : 0;
    r->try_idle_ms = p ? p->per_try_idle_timeout_ms : 0;
    take_ms(h, STR("x-envoy-upstream-rq-timeout-ms"), &r->timeout_ms);
    take_ms(h, STR("x-envoy-upstream-rq-per-try-timeout-ms"), &r->try_timeout_ms);
    if (r->timeout_ms && r->try_timeout_ms >= r->timeout_ms)
        r->try_timeout_ms = 0;
}

void router_say_timeout(struct router_stream *r, struct headers *h)
{
    uint64_t ms = r->try_timeout_ms ? r->try_timeout_ms : r->timeout_ms;
    uint64_t end_us = r->s->info.req_end_us;
    if (!ms)
        return;
    if (r->timeout_ms && end_us) {
        uint64_t used = (loop_now_us(r->s->loop) - end_us) / 1000;
        uint64_t left = used < r->timeout_ms ? r->timeout_ms - used : 1;
        ms = ms < left ? ms : left;
    }
    router_set_number(h, STR("x-envoy-expected-rq-timeout-ms"), ms);
}
