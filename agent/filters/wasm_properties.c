#include "filters/wasm_properties.h"

#include "base/mem.h"
#include "http/hcm.h"
#include "net/tls_info.h"
#include "wasm/pairs.h"

/* What a getter works on. */
struct asked {
    const struct stream_info *info;
    const struct stream *s; /* NULL: TCP */
    const struct pwasm_path *path;
    struct sbuf *out;
};

typedef enum pwasm_status getter(const struct asked *a);

struct property {
    const char *name;
    getter *get;
};

/* ---- values ---- */

/* p NULL: there is none. */
static enum pwasm_status give_str(const struct asked *a, struct str s)
{
    if (!s.p)
        return PWASM_NOT_FOUND;
    sbuf_add(a->out, s.p, s.n);
    return PWASM_OK;
}

static enum pwasm_status give_text(const struct asked *a, const char *text)
{
    return give_str(a, str_of(text));
}

static enum pwasm_status give_int(const struct asked *a, uint64_t v)
{
    sbuf_add(a->out, &v, sizeof(v));
    return PWASM_OK;
}

static enum pwasm_status give_bool(const struct asked *a, bool v)
{
    sbuf_addc(a->out, v);
    return PWASM_OK;
}

static enum pwasm_status give_addr(const struct asked *a, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    return addr->len ? give_text(a, addr_format(addr, text)) : PWASM_NOT_FOUND;
}

static enum pwasm_status give_port(const struct asked *a, const struct addr *addr)
{
    return addr->len ? give_int(a, addr_port(addr)) : PWASM_NOT_FOUND;
}

static enum pwasm_status give_header(const struct asked *a, const struct headers *h, enum hdr id)
{
    return give_str(a, headers_get(h, id));
}

/* All values of a name, joined by commas. */
static enum pwasm_status give_named(const struct asked *a, const struct headers *h, struct str name)
{
    bool any = false;
    for (size_t i = 0; i < h->n; i++) {
        if (!str_eq_nocase(header_name(h, &h->v[i]), name))
            continue;
        struct str value = header_value(h, &h->v[i]);
        if (any)
            sbuf_addc(a->out, ',');
        sbuf_add(a->out, value.p, value.n);
        any = true;
    }
    return any ? PWASM_OK : PWASM_NOT_FOUND;
}

/* GROUP.headers is the map, GROUP.headers.NAME one of its values. */
static enum pwasm_status give_map(const struct asked *a, const struct headers *h)
{
    if (a->path->n > 2)
        return give_named(a, h, a->path->part[2]);
    size_t n = pairs_size(h);
    char *bytes = mem_alloc(n);
    pairs_encode(h, bytes);
    sbuf_add(a->out, bytes, n);
    mem_free(bytes);
    return PWASM_OK;
}

/* ---- request ---- */

static struct str request_path(const struct asked *a)
{
    return headers_get(&a->s->req, HDR_PATH);
}

static enum pwasm_status get_path(const struct asked *a)
{
    return give_str(a, request_path(a));
}

static enum pwasm_status get_url_path(const struct asked *a)
{
    struct str path = request_path(a);
    ptrdiff_t mark = path.p ? str_find(path, '?') : -1;
    if (mark >= 0)
        path.n = (size_t)mark;
    return give_str(a, path);
}

static enum pwasm_status get_query(const struct asked *a)
{
    struct str path = request_path(a);
    if (!path.p)
        return PWASM_NOT_FOUND;
    ptrdiff_t mark = str_find(path, '?');
    if (mark < 0)
        return give_text(a, "");
    struct str query = {path.p + mark + 1, path.n - (size_t)mark - 1};
    ptrdiff_t hash = str_find(query, '#');
    if (hash >= 0)
        query.n = (size_t)hash;
    return give_str(a, query);
}

#define REQUEST_HEADER(name, id)                               \
    static enum pwasm_status get_##name(const struct asked *a) \
    {                                                          \
        return give_header(a, &a->s->req, id);                 \
    }
REQUEST_HEADER(host, HDR_AUTHORITY)
REQUEST_HEADER(scheme, HDR_SCHEME)
REQUEST_HEADER(method, HDR_METHOD)
REQUEST_HEADER(referer, HDR_REFERER)
REQUEST_HEADER(useragent, HDR_USER_AGENT)
REQUEST_HEADER(request_id, HDR_X_REQUEST_ID)

static enum pwasm_status get_protocol(const struct asked *a)
{
    unsigned minor = a->info->http_minor;
    return give_text(a, minor == 20 ? "HTTP/2" : minor == 10 ? "HTTP/1.0" : "HTTP/1.1");
}

static enum pwasm_status get_request_headers(const struct asked *a)
{
    return give_map(a, &a->s->req);
}

static enum pwasm_status get_request_headers_bytes(const struct asked *a)
{
    return give_int(a, headers_byte_size(&a->s->req));
}

static uint64_t request_size(const struct asked *a)
{
    uint64_t n;
    struct str declared = headers_get(&a->s->req, HDR_CONTENT_LENGTH);
    return declared.p && str_to_u64(declared, UINT64_MAX, &n) ? n : a->info->bytes_received;
}

static enum pwasm_status get_request_size(const struct asked *a)
{
    return give_int(a, request_size(a));
}

static enum pwasm_status get_request_total_size(const struct asked *a)
{
    return give_int(a, a->info->bytes_received + headers_byte_size(&a->s->req));
}

static enum pwasm_status get_time(const struct asked *a)
{
    return give_int(a, a->info->start_wall_ns);
}

static enum pwasm_status get_duration(const struct asked *a)
{
    if (!a->info->end_us)
        return PWASM_NOT_FOUND;
    return give_int(a, (a->info->end_us - a->info->start_us) * 1000);
}

static const struct property request_properties[] = {
    {"path", get_path},
    {"url_path", get_url_path},
    {"query", get_query},
    {"host", get_host},
    {"scheme", get_scheme},
    {"method", get_method},
    {"referer", get_referer},
    {"useragent", get_useragent},
    {"id", get_request_id},
    {"protocol", get_protocol},
    {"headers", get_request_headers},
    {"headers_bytes", get_request_headers_bytes},
    {"size", get_request_size},
    {"total_size", get_request_total_size},
    {"time", get_time},
    {"duration", get_duration},
};

/* ---- response ---- */

static enum pwasm_status get_code(const struct asked *a)
{
    unsigned code = a->info->status ? a->info->status : headers_status(&a->s->resp);
    return code ? give_int(a, code) : PWASM_NOT_FOUND;
}

static enum pwasm_status get_code_details(const struct asked *a)
{
    return a->info->details ? give_text(a, a->info->details) : PWASM_NOT_FOUND;
}

static enum pwasm_status get_flags(const struct asked *a)
{
    return give_int(a, a->info->flags);
}

static enum pwasm_status get_grpc_status(const struct asked *a)
{
    uint64_t v;
    struct str text = headers_get(&a->s->resp_trailers, HDR_GRPC_STATUS);
    if (!text.p)
        text = headers_get(&a->s->resp, HDR_GRPC_STATUS);
    return text.p && str_to_u64(text, UINT32_MAX, &v) ? give_int(a, v) : PWASM_NOT_FOUND;
}

static enum pwasm_status get_response_headers(const struct asked *a)
{
    return give_map(a, &a->s->resp);
}

static enum pwasm_status get_response_trailers(const struct asked *a)
{
    return give_map(a, &a->s->resp_trailers);
}

static enum pwasm_status get_response_headers_bytes(const struct asked *a)
{
    return give_int(a, headers_byte_size(&a->s->resp));
}

static enum pwasm_status get_response_size(const struct asked *a)
{
    return give_int(a, a->info->bytes_sent);
}

static enum pwasm_status get_response_total_size(const struct asked *a)
{
    return give_int(a, a->info->bytes_sent + headers_byte_size(&a->s->resp) +
                           headers_byte_size(&a->s->resp_trailers));
}

static enum pwasm_status get_backend_latency(const struct asked *a)
{
    const struct stream_info *i = a->info;
    if (!i->upstream_first_us || !i->req_end_us || i->upstream_first_us < i->req_end_us)
        return PWASM_NOT_FOUND;
    return give_int(a, (i->upstream_first_us - i->req_end_us) * 1000);
}

static const struct property response_properties[] = {
    {"code", get_code},
    {"code_details", get_code_details},
    {"flags", get_flags},
    {"grpc_status", get_grpc_status},
    {"headers", get_response_headers},
    {"trailers", get_response_trailers},
    {"headers_bytes", get_response_headers_bytes},
    {"size", get_response_size},
    {"total_size", get_response_total_size},
    {"backend_latency", get_backend_latency},
};

/* ---- connection and its ends ---- */

static enum pwasm_status get_connection_id(const struct asked *a)
{
    return give_int(a, a->info->down->connection_id);
}

static enum pwasm_status get_mtls(const struct asked *a)
{
    return give_bool(a, tls_info_has_peer(a->info->down->tls));
}

static enum pwasm_status give_tls(const struct asked *a, enum tls_info what, bool is_local)
{
    return tls_info_add(a->info->down->tls, what, is_local, a->out) ? PWASM_OK : PWASM_NOT_FOUND;
}

/* The first of several names, as Envoy gives it. */
static enum pwasm_status give_first(const struct asked *a, enum tls_info what, bool is_local)
{
    enum pwasm_status st = give_tls(a, what, is_local);
    ptrdiff_t comma = st == PWASM_OK ? str_find((struct str){a->out->p, a->out->n}, ',') : -1;
    if (comma >= 0)
        a->out->n = (size_t)comma;
    return st;
}

static enum pwasm_status get_tls_version(const struct asked *a)
{
    return give_tls(a, TLS_INFO_VERSION, false);
}

static enum pwasm_status get_peer_subject(const struct asked *a)
{
    return give_tls(a, TLS_INFO_SUBJECT, false);
}

static enum pwasm_status get_local_subject(const struct asked *a)
{
    return give_tls(a, TLS_INFO_SUBJECT, true);
}

static enum pwasm_status get_peer_uri(const struct asked *a)
{
    return give_first(a, TLS_INFO_URI_SAN, false);
}

static enum pwasm_status get_local_uri(const struct asked *a)
{
    return give_first(a, TLS_INFO_URI_SAN, true);
}

static enum pwasm_status get_peer_dns(const struct asked *a)
{
    return give_first(a, TLS_INFO_DNS_SAN, false);
}

static enum pwasm_status get_local_dns(const struct asked *a)
{
    return give_first(a, TLS_INFO_DNS_SAN, true);
}

static enum pwasm_status get_peer_digest(const struct asked *a)
{
    return give_tls(a, TLS_INFO_FINGERPRINT_256, false);
}

static enum pwasm_status get_server_name(const struct asked *a)
{
    const char *name = a->info->down->requested_server_name;
    return name && *name ? give_text(a, name) : PWASM_NOT_FOUND;
}

static enum pwasm_status get_termination(const struct asked *a)
{
    const char *text = a->info->termination_details;
    return text ? give_text(a, text) : PWASM_NOT_FOUND;
}

static enum pwasm_status get_source_address(const struct asked *a)
{
    return give_addr(a, stream_info_remote(a->info));
}

static enum pwasm_status get_source_port(const struct asked *a)
{
    return give_port(a, stream_info_remote(a->info));
}

static enum pwasm_status get_destination_address(const struct asked *a)
{
    return give_addr(a, &a->info->down->local);
}

static enum pwasm_status get_destination_port(const struct asked *a)
{
    return give_port(a, &a->info->down->local);
}

static enum pwasm_status get_upstream_address(const struct asked *a)
{
    return give_addr(a, &a->info->upstream_remote);
}

static enum pwasm_status get_upstream_port(const struct asked *a)
{
    return give_port(a, &a->info->upstream_remote);
}

static enum pwasm_status get_upstream_local(const struct asked *a)
{
    return give_addr(a, &a->info->upstream_local);
}

static enum pwasm_status get_upstream_failure(const struct asked *a)
{
    return a->info->upstream_failure ? give_text(a, a->info->upstream_failure) : PWASM_NOT_FOUND;
}

static enum pwasm_status get_attempts(const struct asked *a)
{
    return give_int(a, a->info->attempts);
}

static const struct property connection_properties[] = {
    {"id", get_connection_id},
    {"mtls", get_mtls},
    {"requested_server_name", get_server_name},
    {"tls_version", get_tls_version},
    {"subject_peer_certificate", get_peer_subject},
    {"subject_local_certificate", get_local_subject},
    {"uri_san_peer_certificate", get_peer_uri},
    {"uri_san_local_certificate", get_local_uri},
    {"dns_san_peer_certificate", get_peer_dns},
    {"dns_san_local_certificate", get_local_dns},
    {"sha256_peer_certificate_digest", get_peer_digest},
    {"termination_details", get_termination},
};
static const struct property source_properties[] = {
    {"address", get_source_address},
    {"port", get_source_port},
};
static const struct property destination_properties[] = {
    {"address", get_destination_address},
    {"port", get_destination_port},
};
static const struct property upstream_properties[] = {
    {"address", get_upstream_address},       {"port", get_upstream_port},
    {"local_address", get_upstream_local},   {"transport_failure_reason", get_upstream_failure},
    {"request_attempt_count", get_attempts},
};

/* ---- configuration that was used ---- */

static enum pwasm_status get_cluster_name(const struct asked *a)
{
    return a->info->upstream_cluster ? give_text(a, a->info->upstream_cluster) : PWASM_NOT_FOUND;
}

static enum pwasm_status get_route_name(const struct asked *a)
{
    return a->info->route_name.n ? give_str(a, a->info->route_name) : PWASM_NOT_FOUND;
}

static enum pwasm_status get_direction(const struct asked *a)
{
    return give_int(a, (uint64_t)a->info->down->direction);
}

static enum pwasm_status get_chain_name(const struct asked *a)
{
    const struct conf_filter_chain *chain = a->info->down->chain;
    return chain && chain->name ? give_text(a, chain->name) : PWASM_NOT_FOUND;
}

/* The second set of names are top-level as well. */
static const struct property xds_properties[] = {
    {"cluster_name", get_cluster_name},
    {"route_name", get_route_name},
    {"listener_direction", get_direction},
    {"filter_chain_name", get_chain_name},
};
static const struct property top_properties[] = {
    {"cluster_name", get_cluster_name},
    {"route_name", get_route_name},
    {"listener_direction", get_direction},
    {"connection_id", get_connection_id},
};

/* ---- lookup ---- */

static const struct {
    const char *name;
    const struct property *v;
    size_t n;
    bool is_http;
} groups[] = {
    {"request", request_properties, ARRAY_LEN(request_properties), true},
    {"response", response_properties, ARRAY_LEN(response_properties), true},
    {"connection", connection_properties, ARRAY_LEN(connection_properties), false},
    {"source", source_properties, ARRAY_LEN(source_properties), false},
    {"destination", destination_properties, ARRAY_LEN(destination_properties), false},
    {"upstream", upstream_properties, ARRAY_LEN(upstream_properties), false},
    {"xds", xds_properties, ARRAY_LEN(xds_properties), false},
};

static enum pwasm_status look(const struct property *v, size_t n, struct str name,
                              const struct asked *a)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(name, v[i].name))
            return v[i].get(a);
    return PWASM_NOT_FOUND;
}

enum pwasm_status wasm_property(const struct stream_info *info, const struct stream *s,
                                const struct pwasm_path *path, struct sbuf *out)
{
    struct asked a = {info, s, path, out};
    if (path->n == 1)
        return look(top_properties, ARRAY_LEN(top_properties), path->part[0], &a);
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if (str_is(path->part[0], groups[i].name))
            return groups[i].is_http && !s ? PWASM_NOT_FOUND
                                           : look(groups[i].v, groups[i].n, path->part[1], &a);
    return PWASM_NOT_FOUND;
}
