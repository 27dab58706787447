/* Who sent the request, and what such a client may say. Source: Envoy's
 * ConnectionManagerUtility::mutateRequestHeaders, Utility::getLastAddressFromXFF, the original IP
 * detection extensions. */
#include "http/hcm_private.h"
#include "http/route_resolve.h"
#include "net/local_ip.h"

/* Only insiders may ask for these. */
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

/* Nobody may tell these to the first proxy. */
static const struct str edge_only[] = {
    {"x-envoy-decorator-operation", 27},     {"x-envoy-downstream-service-cluster", 34},
    {"x-envoy-downstream-service-node", 31}, {"x-envoy-original-path", 21},
    {"x-envoy-original-host", 21},
};

/* Most requests carry none of them: one look at the names instead of a search for each. */
static void remove_reserved(struct stream *s, bool is_edge)
{
    struct headers *h = &s->req;
    const struct conf_route_config *rc = route_config_of(s);
    size_t at = 0;
    for (size_t i = 0; rc && i < rc->internal_only_n; i++)
        headers_remove(h, rc->internal_only_headers[i]);
    while (at < h->n && !str_starts(header_name(h, &h->v[at]), STR("x-envoy-")))
        at++;
    if (at == h->n)
        return;
    for (size_t i = 0; i < ARRAY_LEN(internal_only); i++)
        headers_remove(h, internal_only[i]);
    for (size_t i = 0; is_edge && i < ARRAY_LEN(edge_only); i++)
        headers_remove(h, edge_only[i]);
}

/* ---- x-forwarded-for ---- */

static bool parse_address(struct str text, struct addr *addr_r)
{
    return addr_from_ip(str_trim(text), 0, addr_r, NULL) == 0;
}

static ptrdiff_t find_last_comma(struct str s)
{
    ptrdiff_t i = (ptrdiff_t)s.n - 1;
    while (i >= 0 && s.p[i] != ',')
        i--;
    return i;
}

/* The last address but `skip` of them. *is_only_r: there is no other. */
static bool address_from_xff(struct str xff, unsigned skip, struct addr *addr_r, bool *is_only_r)
{
    *is_only_r = false;
    for (unsigned i = 0; i < skip; i++) {
        ptrdiff_t comma = find_last_comma(xff);
        if (comma < 0)
            return false;
        xff.n = (size_t)comma;
    }
    ptrdiff_t comma = find_last_comma(xff);
    if (comma >= 0)
        xff = (struct str){xff.p + comma + 1, xff.n - (size_t)comma - 1};
    if (!xff.n || !parse_address(xff, addr_r))
        return false;
    *is_only_r = comma < 0 && !skip;
    return true;
}

static bool is_in(const struct conf_prefix *p, size_t n, const struct addr *a)
{
    for (size_t i = 0; i < n; i++)
        if (addr_in_prefix(a, &p[i].base, p[i].len))
            return true;
    return false;
}

/* From the right, the first that is no trusted proxy. */
static bool first_untrusted(const struct conf_detection *d, struct str xff, const struct addr *peer,
                            struct addr *addr_r, bool *is_only_r)
{
    struct addr next;
    bool found = false, is_first = true;
    *is_only_r = false;
    if (!is_in(d->trusted, d->trusted_n, peer))
        return false;
    for (;; is_first = false) {
        ptrdiff_t comma = find_last_comma(xff);
        struct str last = {xff.p + comma + 1, xff.n - (size_t)(comma + 1)};
        if (!parse_address(last, &next))
            return found;
        *addr_r = next;
        found = true;
        if (!is_in(d->trusted, d->trusted_n, &next)) {
            *is_only_r = is_first && comma < 0;
            return true;
        }
        if (comma < 0)
            return true;
        xff.n = (size_t)comma;
    }
}

static const char *format_peer(struct stream *s)
{
    char ip[ADDR_TEXT_MAX];
    const struct addr *peer = &s->info.down->direct_remote;
    bool is_us = addr_is_localhost(peer);
    bool maps = s->hcm->conf->maps_ipv4 && peer->sa.sa_family == AF_INET && !is_us;
    addr_format_ip(is_us ? local_ip() : peer, ip);
    return arena_printf(&s->arena, "%s%s", maps ? "::ffff:" : "", ip);
}

static void append_peer(struct stream *s)
{
    struct str xff = headers_get(&s->req, HDR_X_FORWARDED_FOR);
    const char *ip = format_peer(s);
    if (xff.n)
        ip = arena_printf(&s->arena, "%.*s,%s", STR_ARG(xff), ip);
    headers_set_id(&s->req, HDR_X_FORWARDED_FOR, str_of(ip));
}

/* ---- whose request ---- */

struct origin {
    struct addr addr;
    bool is_found;
    bool may_be_internal;
    unsigned reject_status;
};

static void detect(struct stream *s, const struct conf_detection *d, struct origin *o)
{
    struct str xff = headers_get(&s->req, HDR_X_FORWARDED_FOR);
    if (d->header.p) {
        struct str v = headers_get_name(&s->req, d->header);
        o->is_found = v.n && parse_address(v, &o->addr);
        o->may_be_internal = o->is_found && d->is_trusted;
        o->reject_status = o->is_found ? 0 : d->reject_status;
        return;
    }
    if (d->trusted_n)
        o->is_found = xff.p && first_untrusted(d, xff, &s->info.down->direct_remote, &o->addr,
                                               &o->may_be_internal);
    else
        o->is_found = xff.p && address_from_xff(xff, d->hops, &o->addr, &o->may_be_internal);
    if (d->appends)
        append_peer(s);
}

static void set_proto(struct stream *s, bool overwrite)
{
    struct headers *h = &s->req;
    if (overwrite || !headers_find(h, HDR_X_FORWARDED_PROTO))
        headers_set_id(h, HDR_X_FORWARDED_PROTO, s->info.down->is_tls ? STR("https") : STR("http"));
}

/* The peer is who it says; what stands in headers was written by proxies we trust, if at all. */
static void use_remote_address(struct stream *s, struct origin *o)
{
    const struct conf_hcm *conf = s->hcm->conf;
    struct str xff = headers_get(&s->req, HDR_X_FORWARDED_FOR), name = STR("x-forwarded-port");
    bool is_first = conf->xff_num_trusted_hops == 0, is_only;
    o->may_be_internal = !xff.p;
    if (!is_first && xff.p)
        o->is_found = address_from_xff(xff, conf->xff_num_trusted_hops - 1, &o->addr, &is_only);
    if (!o->is_found)
        o->addr = s->info.down->remote;
    o->is_found = true;
    if (!conf->skip_xff_append)
        append_peer(s);
    set_proto(s, is_first);
    if (conf->append_x_forwarded_port && (is_first || !headers_find_name(&s->req, name))) {
        char *port = arena_printf(&s->arena, "%u", addr_port(&s->info.down->local));
        headers_set(&s->req, name, str_of(port));
    }
}

static void use_headers(struct stream *s, struct origin *o)
{
    const struct conf_hcm *conf = s->hcm->conf;
    const struct conf_detection by_xff = {.hops = conf->xff_num_trusted_hops};
    if (!conf->detections_n)
        detect(s, &by_xff, o);
    for (size_t i = 0; i < conf->detections_n && !o->is_found && !o->reject_status; i++)
        detect(s, &conf->detections[i], o);
    set_proto(s, false);
}

static bool is_internal(const struct conf_hcm *conf, const struct addr *a)
{
    if (a->sa.sa_family == AF_UNIX)
        return conf->unix_is_internal;
    return is_in(conf->internal, conf->internal_n, a);
}

struct hcm_verdict hcm_set_address(struct stream *s, bool *is_edge_r)
{
    const struct conf_hcm *conf = s->hcm->conf;
    struct origin o = {0};
    char ip[ADDR_TEXT_MAX];
    if (conf->use_remote_address)
        use_remote_address(s, &o);
    else
        use_headers(s, &o);
    if (o.reject_status) {
        stat_inc(s->hcm->stats.rq_rejected_by_ip);
        return (struct hcm_verdict){.status = o.reject_status,
                                    .details = "rejecting_because_detection_failed"};
    }
    bool internal = o.is_found && o.may_be_internal && is_internal(conf, &o.addr);
    *is_edge_r = !internal && conf->use_remote_address;
    if (o.is_found && !addr_eq(&o.addr, &s->info.down->remote)) {
        struct addr *remote = arena_alloc(&s->arena, sizeof(*remote));
        *remote = o.addr;
        s->info.remote = remote;
    }
    if (internal)
        headers_set_id(&s->req, HDR_X_ENVOY_INTERNAL, STR("true"));
    else
        remove_reserved(s, *is_edge_r);
    const struct addr *client = stream_info_remote(&s->info);
    if (*is_edge_r && client->sa.sa_family != AF_UNIX)
        headers_set(&s->req, STR("x-envoy-external-address"), str_of(addr_format_ip(client, ip)));
    return (struct hcm_verdict){0};
}
