/* What the connection manager does to headers before the filters see a request and before a
 * response leaves. Source: Envoy's ConnectionManagerUtility (mutateRequestHeaders,
 * mutateResponseHeaders), RFC 9110 7.6.1 for the hop-by-hop ones. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/crypto.h"
#include "http/hcm.h"
#include "http/stream.h"

static const struct str internal_only[] = {
    {"x-envoy-retriable-status-codes", 30},
    {"x-envoy-retriable-header-names", 30},
    {"x-envoy-retry-on", 16},
    {"x-envoy-retry-grpc-on", 21},
    {"x-envoy-max-retries", 19},
    {"x-envoy-upstream-alt-stat-name", 30},
    {"x-envoy-upstream-rq-timeout-ms", 30},
    {"x-envoy-upstream-rq-per-try-timeout-ms", 38},
    {"x-envoy-upstream-rq-timeout-alt-response", 40},
    {"x-envoy-force-trace", 19},
    {"x-envoy-ip-tags", 15},
    {"x-envoy-original-url", 20},
    {"x-envoy-hedge-on-per-try-timeout", 32},
    {"x-envoy-expected-rq-timeout-ms", 30},
};

/* Most requests carry none of them: one look at the names instead of a search for each. */
static void remove_internal_only(struct headers *h)
{
    size_t at = 0;
    while (at < h->n && !str_starts(header_name(h, &h->v[at]), STR("x-envoy-")))
        at++;
    if (at == h->n)
        return;
    for (size_t i = 0; i < ARRAY_LEN(internal_only); i++)
        headers_remove(h, internal_only[i]);
}

static void remove_hop_by_hop(struct headers *h)
{
    static const enum hdr ids[] = {HDR_CONNECTION, HDR_UPGRADE, HDR_KEEP_ALIVE,
                                   HDR_PROXY_CONNECTION, HDR_TRANSFER_ENCODING};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        if (headers_find(h, ids[i]))
            headers_remove_id(h, ids[i]);
}

/* Fields that the connection header names belong to this hop (RFC 9110 7.6.1). */
static void remove_nominated(struct headers *h)
{
    struct str v = headers_get(h, HDR_CONNECTION), token;
    if (!v.p)
        return;
    char copy[512];
    if (v.n > sizeof(copy))
        return; /* h1_parse refuses longer ones when they would matter */
    memcpy(copy, v.p, v.n);
    struct str rest = {copy, v.n};
    while (str_next(&rest, ',', &token)) {
        token = str_trim(token);
        if (!token.n || str_eq_nocase(token, STR("close")) ||
            str_eq_nocase(token, STR("keep-alive")) || token.p[0] == ':')
            continue;
        char name[512];
        for (size_t i = 0; i < token.n; i++)
            name[i] = str_lower(token.p[i]);
        struct str lower = {name, token.n};
        if (!str_is(lower, "host") && !str_is(lower, "content-length") && !str_is(lower, "te"))
            headers_remove(h, lower);
    }
}

static void keep_te_trailers(struct headers *h)
{
    struct str te = headers_get(h, HDR_TE);
    if (!te.p)
        return;
    if (str_eq_nocase(str_trim(te), STR("trailers")))
        headers_set_id(h, HDR_TE, STR("trailers"));
    else
        headers_remove_id(h, HDR_TE);
}

static void set_forwarded(struct stream *s)
{
    struct headers *h = &s->req;
    const struct conf_hcm *conf = s->hcm->conf;
    struct str proto = s->info.down->is_tls ? STR("https") : STR("http");
    if (!conf->use_remote_address) {
        if (!headers_find(h, HDR_X_FORWARDED_PROTO))
            headers_set_id(h, HDR_X_FORWARDED_PROTO, proto);
        return;
    }
    if (!conf->skip_xff_append) {
        char ip[ADDR_TEXT_MAX];
        struct str peer = str_of(addr_format_ip(&s->info.down->direct_remote, ip));
        struct str xff = headers_get(h, HDR_X_FORWARDED_FOR);
        if (xff.n) {
            char *joined = arena_printf(&s->arena, "%.*s,%s", STR_ARG(xff), ip);
            headers_set_id(h, HDR_X_FORWARDED_FOR, str_of(joined));
        } else {
            headers_set_id(h, HDR_X_FORWARDED_FOR, peer);
        }
    }
    if (conf->xff_num_trusted_hops == 0 || !headers_find(h, HDR_X_FORWARDED_PROTO))
        headers_set_id(h, HDR_X_FORWARDED_PROTO, proto);
}

static void set_scheme(struct stream *s)
{
    struct str proto = headers_get(&s->req, HDR_X_FORWARDED_PROTO);
    bool is_known = str_eq_nocase(proto, STR("http")) || str_eq_nocase(proto, STR("https"));
    if (headers_find(&s->req, HDR_SCHEME))
        return;
    if (is_known)
        headers_set_id(&s->req, HDR_SCHEME, proto.n == 5 ? STR("https") : STR("http"));
    else
        headers_set_id(&s->req, HDR_SCHEME, s->info.down->is_tls ? STR("https") : STR("http"));
}

static void set_request_id(struct stream *s)
{
    const struct conf_hcm *conf = s->hcm->conf;
    bool is_edge = conf->use_remote_address;
    struct str have = headers_get(&s->req, HDR_X_REQUEST_ID);
    if (!conf->generate_request_id || (have.n && (!is_edge || conf->preserve_external_request_id)))
        return;
    char id[37];
    crypto_uuid4(id);
    headers_set_id(&s->req, HDR_X_REQUEST_ID, (struct str){id, 36});
}

static unsigned check_request(struct stream *s, const char **details_r)
{
    struct str path = headers_get(&s->req, HDR_PATH);
    struct str method = headers_get(&s->req, HDR_METHOD);
    bool is_connect = str_is(method, "CONNECT");
    if (!headers_get(&s->req, HDR_AUTHORITY).p) {
        *details_r = "missing_host_header";
        return 400;
    }
    if (!path.p && !is_connect) {
        *details_r = "missing_path_rejected";
        return 404;
    }
    if (!is_connect && path.n && path.p[0] != '/' && !str_is(path, "*")) {
        *details_r = "absolute_path_rejected";
        return 404;
    }
    if (path.p && str_find(path, '#') >= 0) {
        *details_r = "path_normalization_failed";
        return 400;
    }
    return 0;
}

unsigned hcm_request_headers(struct stream *s, const char **details_r)
{
    struct headers *h = &s->req;
    unsigned status = check_request(s, details_r);
    if (status)
        return status;
    if (headers_find(h, HDR_UPGRADE) || str_is(headers_get(h, HDR_METHOD), "CONNECT")) {
        stat_inc(s->hcm->stats.rq_ws_on_non_ws_route);
        *details_r = "upgrade_failed";
        return 403;
    }
    remove_nominated(h);
    remove_hop_by_hop(h);
    keep_te_trailers(h);
    headers_remove_id(h, HDR_X_ENVOY_INTERNAL);
    /* SANITIZE, Envoy's default: without TLS every certificate in a header is a claim. */
    headers_remove(h, STR("x-forwarded-client-cert"));
    set_forwarded(s);
    set_scheme(s);
    remove_internal_only(h);
    set_request_id(s);
    struct str type = headers_get(h, HDR_CONTENT_TYPE);
    s->is_grpc = str_starts(type, STR("application/grpc")) && (type.n == 16 || type.p[16] == '+');
    s->is_head = str_is(headers_get(h, HDR_METHOD), "HEAD");
    return 0;
}

static struct str http_date(const struct stream *s)
{
    static __thread time_t last;
    static __thread char text[40];
    time_t now = (time_t)(loop_wall_ns(s->loop) / 1000000000u);
    if (now != last) {
        struct tm tm;
        gmtime_r(&now, &tm);
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        last = now;
    }
    return (struct str){text, 29};
}

void hcm_response_headers(struct stream *s)
{
    const struct conf_hcm *conf = s->hcm->conf;
    struct headers *h = &s->resp;
    remove_nominated(h);
    remove_hop_by_hop(h);
    if (!headers_find(h, HDR_DATE))
        headers_add_id(h, HDR_DATE, http_date(s));
    if (conf->server_header == CONF_SERVER_OVERWRITE ||
        (conf->server_header == CONF_SERVER_APPEND_IF_ABSENT && !headers_find(h, HDR_SERVER)))
        headers_set_id(h, HDR_SERVER, str_of(conf->server_name));
    if (conf->always_set_request_id_in_response) {
        struct str id = headers_get(&s->req, HDR_X_REQUEST_ID);
        if (id.n)
            headers_set_id(h, HDR_X_REQUEST_ID, id);
    }
}
