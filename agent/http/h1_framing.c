/* What a head means: the request target's form, where the body ends, and what the connection
 * header asks for. Refused is all that another parser might read in another way: both lengths,
 * two lengths, codings other than chunked, lengths where there can be no body.
 * Source: RFC 9112 3.2 and 6, RFC 9110 7.6.1 and 8.6, Envoy's HTTP/1 codec. */
#include "base/mem.h"
#include "http/h1_parse_private.h"
#include "http/uri.h"

enum { NOMINATED_MAX = 10, TE_SIZE_MAX = 256 };

/* An absolute URI without a path means "/", as in Envoy also for OPTIONS. */
static void store_path_of(struct str target, struct headers *out)
{
    struct sbuf path = {0};
    if (target.n && target.p[0] == '/') {
        headers_add_id(out, HDR_PATH, target);
    } else if (!target.n) {
        headers_add_id(out, HDR_PATH, STR("/"));
    } else {
        sbuf_addc(&path, '/');
        sbuf_add(&path, target.p, target.n);
        headers_add_id(out, HDR_PATH, (struct str){path.p, path.n});
        sbuf_fini(&path);
    }
}

static enum h1_error store_absolute(const struct h1_parser *p, struct h1_facts *facts,
                                    struct headers *out)
{
    struct uri uri;
    if (!uri_parse(facts->target, &uri))
        return H1_ERROR_INVALID_URL;
    bool is_https = str_eq_nocase(uri.scheme, STR("https"));
    if (!is_https && !str_eq_nocase(uri.scheme, STR("http")))
        return H1_ERROR_INVALID_SCHEME;
    if (is_https && p->rules.refuses_https)
        return H1_ERROR_HTTPS_ON_PLAINTEXT;
    store_path_of(uri.target, out);
    headers_add_id(out, HDR_AUTHORITY, uri.authority);
    headers_add_id(out, HDR_SCHEME, is_https ? STR("https") : STR("http"));
    return H1_ERROR_NONE;
}

static bool is_known_method(struct str method)
{
    static const struct str names[] = {
#define M(name) {#name, sizeof(#name) - 1}
        M(GET),    M(POST),    M(PUT),     M(HEAD),        M(DELETE),     M(OPTIONS),
        M(PATCH),  M(CONNECT), M(TRACE),   M(ACL),         M(BIND),       M(CHECKOUT),
        M(COPY),   M(LINK),    M(LOCK),    M(MERGE),       M(MKACTIVITY), M(MKCALENDAR),
        M(MKCOL),  M(MOVE),    M(MSEARCH), M(NOTIFY),      M(PROPFIND),   M(PROPPATCH),
        M(PURGE),  M(REBIND),  M(REPORT),  M(SEARCH),      M(SOURCE),     M(SUBSCRIBE),
        M(UNBIND), M(UNLINK),  M(UNLOCK),  M(UNSUBSCRIBE),
#undef M
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(method, names[i]))
            return true;
    return false;
}

void h1_store_target(const struct h1_parser *p, struct h1_facts *facts, struct headers *out)
{
    struct str target = facts->target;
    if (!p->rules.takes_any_method && !is_known_method(facts->method)) {
        facts->target_error = H1_ERROR_CODEC;
    } else if (facts->is_connect) {
        if (!uri_authority_is_valid(target) || !uri_port(target))
            facts->target_error = H1_ERROR_INVALID_URL;
        else
            headers_add_id(out, HDR_AUTHORITY, target);
    } else if (target.p[0] == '/' || p->rules.keeps_absolute ||
               (str_is(target, "*") && str_is(facts->method, "OPTIONS"))) {
        headers_add_id(out, HDR_PATH, target);
        /* Host is going to fill it in, at its place before the ordinary fields. */
        headers_add_id(out, HDR_AUTHORITY, STR(""));
        facts->is_host_wanted = true;
    } else {
        facts->target_error = store_absolute(p, facts, out);
    }
}

/* transfer-encoding that we can undo: exactly "chunked", on a message that can have it. */
static bool check_coding(struct h1_parser *p, const struct h1_facts *facts, struct headers *out)
{
    bool is_chunked = str_eq_nocase(facts->transfer_encoding, STR("chunked"));
    if (facts->content_lengths && is_chunked && p->rules.chunked_beats_length)
        headers_remove_id(out, HDR_CONTENT_LENGTH);
    else if (facts->content_lengths)
        h1_fail(p, H1_ERROR_CONTENT_LENGTH_AND_CHUNKED);
    if (p->state != H1_FAILED && p->minor_version == 0)
        h1_fail(p, H1_ERROR_TRANSFER_ENCODING_NOT_ALLOWED);
    else if (p->state != H1_FAILED &&
             (facts->transfer_encodings > 1 || facts->is_connect || !is_chunked))
        h1_fail(p, H1_ERROR_TRANSFER_ENCODING);
    return p->state != H1_FAILED;
}

/* One length, digits only. The bound keeps sums of it and buffered bytes far from wrapping. */
static bool check_length(struct h1_parser *p, const struct h1_facts *facts)
{
    if (facts->content_lengths == 1 &&
        str_to_u64(facts->content_length, INT64_MAX, &p->content_length))
        return true;
    h1_fail(p, H1_ERROR_CODEC);
    return false;
}

/* Messages that have no body may say that its length is 0, which then is as good as nothing. */
static void check_bodiless(struct h1_parser *p, const struct h1_facts *facts, enum h1_error length,
                           struct headers *out)
{
    if (facts->transfer_encodings)
        h1_fail(p, facts->content_lengths ? H1_ERROR_CONTENT_LENGTH_AND_CHUNKED
                   : facts->is_connect    ? H1_ERROR_TRANSFER_ENCODING
                                          : H1_ERROR_TRANSFER_ENCODING_NOT_ALLOWED);
    else if (facts->content_lengths && check_length(p, facts) && p->content_length)
        h1_fail(p, length);
    else if (facts->content_lengths)
        headers_remove_id(out, HDR_CONTENT_LENGTH);
}

/* Responses whose head ends them whatever length it tells (RFC 9112 6.3). */
static bool is_head_only(const struct h1_parser *p, const struct h1_facts *facts)
{
    return p->kind == H1_RESPONSE && (p->request_was_head || facts->status == 304);
}

void h1_decide_framing(struct h1_parser *p, struct h1_facts *facts, struct headers *out)
{
    bool is_response = p->kind == H1_RESPONSE;
    p->body = H1_BODY_NONE;
    p->content_length = p->left = 0;
    if (facts->is_connect) {
        check_bodiless(p, facts, H1_ERROR_BODY_DISALLOWED, out);
    } else if (is_response && (facts->status < 200 || facts->status == 204)) {
        check_bodiless(p, facts, H1_ERROR_CONTENT_LENGTH_NOT_ALLOWED, out);
    } else if (is_response && p->request_was_connect && facts->status < 300) {
        /* The tunnel begins; lengths mean nothing there and must not reach anyone. */
        headers_remove_id(out, HDR_CONTENT_LENGTH);
        headers_remove_id(out, HDR_TRANSFER_ENCODING);
    } else if (facts->transfer_encodings) {
        if (check_coding(p, facts, out) && !is_head_only(p, facts))
            p->body = H1_BODY_CHUNKED;
    } else if (facts->content_lengths) {
        if (check_length(p, facts) && !is_head_only(p, facts))
            p->body = H1_BODY_LENGTH;
    } else if (is_response && !is_head_only(p, facts)) {
        p->body = H1_BODY_UNTIL_CLOSE;
    }
    if (p->state == H1_FAILED)
        return;
    bool is_empty = p->body == H1_BODY_NONE || (p->body == H1_BODY_LENGTH && !p->content_length);
    p->left = p->body == H1_BODY_LENGTH ? p->content_length : 0;
    p->state = is_empty ? H1_DONE : H1_BODY;
}

struct connection_options {
    unsigned n;
    bool close, keep_alive, upgrade;
};

/* Fields that a client could have removed to hide where a request came from, or to change how it
 * is framed or routed; Envoy refuses the first four kinds. */
static bool is_nomination_refused(struct str token)
{
    static const struct str names[] = {
        {"x-forwarded-for", 15}, {"x-forwarded-host", 16},  {"x-forwarded-proto", 17},
        {"content-length", 14},  {"transfer-encoding", 17}, {"host", 4},
    };
    if (token.p[0] == ':')
        return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(token, names[i]))
            return true;
    return false;
}

/* One token of a request's connection header that names a field of this hop. TE stays, for
 * "trailers" is end to end in gRPC; the connection manager reduces it. */
static bool remove_nominated(struct headers *out, struct str token)
{
    if (is_nomination_refused(token))
        return false;
    if (str_eq_nocase(token, STR("te")))
        return headers_get(out, HDR_TE).n < TE_SIZE_MAX;
    if (!str_eq_nocase(token, STR("connection")) && !str_eq_nocase(token, STR("http2-settings")))
        headers_remove(out, token);
    return true;
}

static bool read_options(struct h1_parser *p, struct str value, struct connection_options *o,
                         struct headers *out)
{
    bool is_request = p->kind == H1_REQUEST;
    struct str token;
    while (str_next(&value, ',', &token)) {
        token = str_trim(token);
        if (!token.n)
            continue;
        if (++o->n >= NOMINATED_MAX && is_request)
            return false;
        if (str_eq_nocase(token, STR("close")))
            o->close = true;
        else if (str_eq_nocase(token, STR("keep-alive")))
            o->keep_alive = true;
        else if (str_eq_nocase(token, STR("upgrade")))
            o->upgrade = true;
        else if (is_request && !remove_nominated(out, token))
            return false;
    }
    return true;
}

/* Value of the k-th connection field. Found anew for each k, because entries before it may have
 * gone; the bytes stay where they are. */
static struct str nth_connection(const struct headers *out, size_t k)
{
    for (size_t i = 0; i < out->n; i++)
        if (out->v[i].id == HDR_CONNECTION && k-- == 0)
            return header_value(out, &out->v[i]);
    return STR_NULL;
}

/* h2c is offered by clients that do not insist on it; without the offer the request is a plain
 * one, which is also what Envoy makes of it. */
static void drop_h2c(struct headers *out)
{
    headers_remove_id(out, HDR_UPGRADE);
    headers_remove(out, STR("http2-settings"));
}

void h1_read_connection(struct h1_parser *p, const struct h1_facts *facts, struct headers *out)
{
    struct connection_options o = {0};
    struct str value = facts->connection;
    if (facts->connections == 1 && str_eq(value, STR("keep-alive")) &&
        !headers_find(out, HDR_UPGRADE)) {
        p->keep_alive = true;
        return;
    }
    for (size_t k = 0; (value = nth_connection(out, k)).p; k++) {
        if (!read_options(p, value, &o, out)) {
            h1_fail(p, H1_ERROR_CONNECTION_HEADER);
            return;
        }
    }
    if (p->kind == H1_REQUEST && str_eq_nocase(headers_get(out, HDR_UPGRADE), STR("h2c")))
        drop_h2c(out);
    p->keep_alive = !o.close && (p->minor_version > 0 || o.keep_alive);
    p->is_upgrade = o.upgrade && headers_find(out, HDR_UPGRADE) != NULL;
}
