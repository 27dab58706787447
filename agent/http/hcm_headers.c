/* What the connection manager does to headers before the filters see a request and before a
 * response leaves. Source: Envoy's ConnectionManagerUtility (mutateRequestHeaders,
 * mutateResponseHeaders), RFC 9110 7.6.1 for the hop-by-hop ones. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "http/hcm_private.h"
#include "http/upgrade.h"
#include "http/uri.h"
#include "http/xfcc.h"

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
    struct str te = headers_get(h, HDR_TE), token;
    bool has_trailers = false;
    if (!te.p)
        return;
    while (str_next(&te, ',', &token))
        has_trailers = has_trailers || str_eq_nocase(str_trim(token), STR("trailers"));
    if (has_trailers)
        headers_set_id(h, HDR_TE, STR("trailers"));
    else
        headers_remove_id(h, HDR_TE);
}

static void set_scheme(struct stream *s)
{
    struct str proto = headers_get(&s->req, HDR_X_FORWARDED_PROTO);
    bool is_known = str_eq_nocase(proto, STR("http")) || str_eq_nocase(proto, STR("https"));
    const char *wanted = s->hcm->conf->scheme;
    if (wanted && *wanted) {
        headers_set_id(&s->req, HDR_SCHEME, str_of(wanted));
        headers_set_id(&s->req, HDR_X_FORWARDED_PROTO, str_of(wanted));
        return;
    }
    if (headers_find(&s->req, HDR_SCHEME))
        return;
    if (is_known)
        headers_set_id(&s->req, HDR_SCHEME, proto.n == 5 ? STR("https") : STR("http"));
    else
        headers_set_id(&s->req, HDR_SCHEME, s->info.down->is_tls ? STR("https") : STR("http"));
}

enum { TRACE_REASON = 14 }; /* place of the nibble in a UUID; '4' is none */

static void set_request_id(struct stream *s, bool is_edge)
{
    const struct conf_hcm *conf = s->hcm->conf;
    struct str have = headers_get(&s->req, HDR_X_REQUEST_ID);
    char id[37];
    if (!conf->generate_request_id)
        return;
    if (have.n && (!is_edge || conf->preserve_external_request_id)) {
        /* Nobody outside decides about traces. */
        if (is_edge && conf->pack_trace_reason && have.n == 36 && have.p[TRACE_REASON] != '4') {
            memcpy(id, have.p, 36);
            id[TRACE_REASON] = '4';
            headers_set_id(&s->req, HDR_X_REQUEST_ID, (struct str){id, 36});
        }
        return;
    }
    crypto_uuid4(id);
    headers_set_id(&s->req, HDR_X_REQUEST_ID, (struct str){id, 36});
}

bool hcm_check_underscores(const struct hcm *hcm, struct headers *h)
{
    if (hcm->conf->underscores == CONF_UNDERSCORES_ALLOW)
        return true;
    for (size_t i = 0; i < h->n;) {
        struct str name = header_name(h, &h->v[i]);
        if (str_find(name, '_') < 0) {
            i++;
            continue;
        }
        if (hcm->conf->underscores == CONF_UNDERSCORES_REJECT)
            return false;
        char *copy = mem_strndup(name.p, name.n);
        headers_remove(h, (struct str){copy, name.n});
        mem_free(copy);
    }
    return true;
}

static struct hcm_verdict check_request(struct stream *s)
{
    struct str path = headers_get(&s->req, HDR_PATH);
    struct str method = headers_get(&s->req, HDR_METHOD);
    bool is_connect = str_is(method, "CONNECT");
    if (!headers_get(&s->req, HDR_AUTHORITY).p)
        return (struct hcm_verdict){.status = 400, .details = "missing_host_header"};
    if (!path.p && !is_connect)
        return (struct hcm_verdict){.status = 404, .details = "missing_path_rejected"};
    if (!is_connect && path.n && path.p[0] != '/') {
        stat_inc(s->hcm->stats.rq_non_relative_path);
        return (struct hcm_verdict){.status = 404, .details = "absolute_path_rejected"};
    }
    if (path.p && str_find(path, '#') >= 0) {
        stat_inc(s->hcm->stats.rq_failed_normalization);
        return (struct hcm_verdict){.status = 400, .details = "path_normalization_failed"};
    }
    return (struct hcm_verdict){0};
}

/* It may tell where the user comes from, nothing else. */
static void check_referer(struct headers *h)
{
    struct uri uri;
    if (headers_find(h, HDR_REFERER) && !uri_parse(headers_get(h, HDR_REFERER), &uri))
        headers_remove_id(h, HDR_REFERER);
}

static void append_via(struct stream *s, struct headers *h)
{
    const char *via = s->hcm->conf->via;
    struct str name = STR("via"), have;
    if (!via || !*via)
        return;
    have = headers_get_name(h, name);
    if (have.n)
        via = arena_printf(&s->arena, "%.*s, %s", STR_ARG(have), via);
    headers_set(h, name, str_of(via));
}

static bool is_grpc(struct str type)
{
    return str_starts(type, STR("application/grpc")) && (type.n == 16 || type.p[16] == '+');
}

static struct str copy_of(struct stream *s, struct str text)
{
    return (struct str){text.n ? arena_strndup(&s->arena, text.p, text.n) : NULL, text.n};
}

static struct hcm_verdict check_upgrade(struct stream *s, struct str type)
{
    if (!type.n)
        return (struct hcm_verdict){0};
    enum upgrade_verdict verdict = upgrade_judge(s, type);
    /* The router finds no route either. */
    if (verdict == UPGRADE_UNROUTED && str_is(type, "CONNECT"))
        return (struct hcm_verdict){0};
    if (verdict != UPGRADE_ALLOWED) {
        stat_inc(s->hcm->stats.rq_ws_on_non_ws_route);
        return (struct hcm_verdict){.status = 403, .details = "upgrade_failed"};
    }
    s->upgrade = type;
    stat_inc(s->hcm->stats.cx_upgrades_total);
    stat_add(s->hcm->stats.cx_upgrades_active, 1);
    return (struct hcm_verdict){0};
}

struct hcm_verdict hcm_request_headers(struct stream *s)
{
    struct headers *h = &s->req;
    bool is_edge = false;
    s->is_grpc = is_grpc(headers_get(h, HDR_CONTENT_TYPE));
    s->is_head = str_is(headers_get(h, HDR_METHOD), "HEAD");
    struct hcm_verdict v = check_request(s);
    if (v.status)
        return v;
    struct str type = upgrade_wanted(s), connection = STR_NULL;
    if (type.n)
        connection = copy_of(s, headers_get(h, HDR_CONNECTION));
    v = hcm_normalize(s);
    if (v.status)
        return v;
    remove_nominated(h);
    remove_hop_by_hop(h);
    if (type.n && !str_is(type, "CONNECT"))
        upgrade_mark(h, connection, type);
    keep_te_trailers(h);
    check_referer(h);
    headers_remove_id(h, HDR_X_ENVOY_INTERNAL);
    xfcc_apply(s);
    v = hcm_set_address(s, &is_edge);
    if (v.status)
        return v;
    set_scheme(s);
    append_via(s, h);
    set_request_id(s, is_edge);
    return check_upgrade(s, type);
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
    bool is_taken = upgrade_is_taken(s, headers_status(h)) && !str_is(s->upgrade, "CONNECT");
    struct str connection = is_taken ? copy_of(s, headers_get(h, HDR_CONNECTION)) : STR_NULL;
    struct str type = is_taken ? copy_of(s, headers_get(h, HDR_UPGRADE)) : STR_NULL;
    remove_nominated(h);
    remove_hop_by_hop(h);
    if (is_taken)
        upgrade_mark(h, connection.n ? connection : STR("upgrade"), type.n ? type : s->upgrade);
    if (!headers_find(h, HDR_DATE))
        headers_add_id(h, HDR_DATE, http_date(s));
    if (conf->server_header == CONF_SERVER_OVERWRITE ||
        (conf->server_header == CONF_SERVER_APPEND_IF_ABSENT && !headers_find(h, HDR_SERVER)))
        headers_set_id(h, HDR_SERVER, str_of(conf->server_name));
    append_via(s, h);
    if (conf->always_set_request_id_in_response) {
        struct str id = headers_get(&s->req, HDR_X_REQUEST_ID);
        if (id.n)
            headers_set_id(h, HDR_X_REQUEST_ID, id);
    }
}
