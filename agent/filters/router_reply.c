/* Answers that the router gives itself. Source: reference texts of Envoy's Router::Filter. */
#include "filters/router_private.h"

void router_reply_no_route(struct router_stream *r, const char *details)
{
    stat_inc(r->worker->no_route);
    stream_local_reply(r->s, 404, STR_NULL, details, FLAG_NO_ROUTE_FOUND, -1, NULL);
}

void router_reply_direct(struct router_stream *r, const struct headers *h)
{
    const struct conf_route *route = r->choice.route;
    struct headers add = {0};
    stat_inc(r->worker->rq_direct_response);
    if (route->direct_status == 201 || route->direct_status / 100 == 3)
        headers_add_id(&add, HDR_LOCATION, router_redirect_uri(r, h));
    router_change_response(r, &add);
    stream_local_reply(r->s, route->direct_status, route->direct_body, "direct_response", 0, -1,
                       &add);
    headers_fini(&add);
}

void router_reply_redirect(struct router_stream *r, unsigned status, struct str uri)
{
    struct headers add = {0};
    stat_inc(r->worker->rq_direct_response); /* which redirects are to Envoy */
    headers_add_id(&add, HDR_LOCATION, uri);
    router_change_response(r, &add);
    stream_local_reply(r->s, status, STR_NULL, "direct_response", 0, -1, &add);
    headers_fini(&add);
}

void router_reply_no_cluster(struct router_stream *r)
{
    unsigned status = r->choice.route->cluster_not_found_status;
    stat_inc(r->worker->no_cluster);
    stream_local_reply(r->s, status ? status : 503, STR_NULL, "cluster_not_found",
                       FLAG_NO_CLUSTER_FOUND, -1, NULL);
}

/* An answer in the upstream's place. */
static void reply(struct router_stream *r, unsigned status, struct str body, const char *details,
                  uint32_t flag, const struct headers *more)
{
    struct headers add = {0};
    if (more)
        headers_copy(&add, more);
    if (r->choice.vhost->include_attempts_in_response && r->s->info.attempts)
        router_set_number(&add, STR("x-envoy-attempt-count"), r->s->info.attempts);
    stream_local_reply(r->s, status, body, details, flag, -1, &add);
    headers_fini(&add);
}

void router_reply_no_host(struct router_stream *r, struct upstream_cluster *c)
{
    upstream_count_status(c, NULL, 503);
    reply(r, 503, STR("no healthy upstream"), "no_healthy_upstream", FLAG_NO_HEALTHY_UPSTREAM,
          NULL);
}

void router_reply_timeout(struct router_stream *r, uint32_t flag, const char *details)
{
    if (r->resp_started) {
        if (r->s->is_grpc) /* Envoy counts those alone */
            stat_inc(r->worker->rq_reset_after_downstream_response_started);
        router_finish_upstream(r);
        stream_reset(r->s, flag, details);
        return;
    }
    upstream_count_status(r->cluster, r->host, r->timeout_status);
    router_finish_upstream(r);
    reply(r, r->timeout_status,
          r->timeout_status == 504 ? STR("upstream request timeout") : STR_NULL, details, flag,
          NULL);
}

void router_reply_max_duration(struct router_stream *r)
{
    static const char details[] = "upstream_max_stream_duration_reached";
    bool has_started = r->resp_started;
    router_finish_upstream(r);
    if (has_started)
        stream_reset(r->s, FLAG_UPSTREAM_MAX_STREAM_DURATION, details);
    else
        reply(r, 408, STR("upstream max stream duration reached"), details,
              FLAG_UPSTREAM_MAX_STREAM_DURATION, NULL);
}

void router_reply_overrun(struct router_stream *r)
{
    router_finish_upstream(r);
    reply(r, 507, STR("exceeded request buffer limit while retrying upstream"),
          "request_payload_exceeded_retry_buffer_limit", 0, NULL);
}

/* "upstream_reset_before_response_started{connection_termination}", blanks as "_". */
static const char *format_details(struct router_stream *r, enum upstream_reset why,
                                  const char *failure)
{
    bool has_failure = failure[0] && why != UPSTREAM_RESET_PROTOCOL;
    char *d = arena_printf(&r->s->arena, "upstream_reset_%s_response_started{%s%s%s}",
                           r->resp_started ? "after" : "before", upstream_reset_text(why),
                           has_failure ? "|" : "", has_failure ? failure : "");
    for (char *p = d; *p; p++)
        if (*p == ' ')
            *p = '_';
    return d;
}

/* What the transport had to say is not the client's business; the log has it. */
static void answer_reset(struct router_stream *r, enum upstream_reset why, const char *details)
{
    unsigned status = why == UPSTREAM_RESET_PROTOCOL ? 502 : 503;
    struct headers add = {0};
    char *body = arena_printf(
        &r->s->arena, "upstream connect error or disconnect/reset before headers. %s: %s",
        r->s->info.attempts > 1 ? "retried and the latest reset reason" : "reset reason",
        upstream_reset_text(why));
    if (why == UPSTREAM_RESET_OVERFLOW && !router_options(r)->suppress_envoy_headers)
        headers_add(&add, STR("x-envoy-overloaded"), STR("true"));
    reply(r, status, str_of(body), details, upstream_reset_flag(why), &add);
    headers_fini(&add);
}

void router_reply_reset(struct router_stream *r, enum upstream_reset why, const char *failure)
{
    const char *details = format_details(r, why, failure);
    if (failure[0] && why != UPSTREAM_RESET_PROTOCOL) {
        failure = arena_strdup(&r->s->arena, failure);
        r->s->info.upstream_failure = failure;
    }
    if (r->resp_started) {
        if (r->s->is_grpc) /* Envoy counts those alone */
            stat_inc(r->worker->rq_reset_after_downstream_response_started);
        router_finish_upstream(r);
        stream_reset(r->s, upstream_reset_flag(why), details);
        return;
    }
    upstream_count_status(r->cluster, r->host, why == UPSTREAM_RESET_PROTOCOL ? 502 : 503);
    router_finish_upstream(r);
    answer_reset(r, why, details);
}
