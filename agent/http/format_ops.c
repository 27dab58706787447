/* Operators about the stream: headers, times, counters, outcome, upstream, route.
 * Source: Envoy's stream_info_formatter.cc and http_specific_formatter.cc. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "http/format_private.h"
#include "http/uri.h"

/* ---- times ---- */

static int prepare_time(struct format_item *it, struct str arg, struct error *err)
{
    (void)err;
    it->text = arg.n ? mem_strndup(arg.p, arg.n) : NULL;
    return 0;
}

FORMAT_OPERATOR(start_time, format_time(info->start_wall_ns, it->text, false, out))
FORMAT_OPERATOR(start_time_local, format_time(info->start_wall_ns, it->text, true, out))
FORMAT_OPERATOR(emit_time, format_time(clock_wall_ns(), it->text, false, out))
FORMAT_OPERATOR(emit_time_local, format_time(clock_wall_ns(), it->text, true, out))

static bool add_duration(struct sbuf *out, uint64_t from_us, uint64_t to_us)
{
    return to_us && from_us && format_number(out, (to_us - from_us) / 1000);
}

FORMAT_OPERATOR(duration_ms, add_duration(out, info->start_us, info->end_us))
FORMAT_OPERATOR(request_duration, add_duration(out, info->start_us, info->req_end_us))
FORMAT_OPERATOR(request_tx, add_duration(out, info->start_us, info->upstream_tx_last_us))
FORMAT_OPERATOR(response_duration, add_duration(out, info->start_us, info->upstream_first_us))
FORMAT_OPERATOR(response_tx, add_duration(out, info->upstream_first_us, info->resp_last_us))

static const struct {
    const char *name;
    size_t offset;
} points[] = {
    {"DS_RX_BEG", offsetof(struct stream_info, start_us)},
    {"DS_RX_END", offsetof(struct stream_info, req_end_us)},
    {"US_TX_BEG", offsetof(struct stream_info, upstream_tx_first_us)},
    {"US_TX_END", offsetof(struct stream_info, upstream_tx_last_us)},
    {"US_RX_BEG", offsetof(struct stream_info, upstream_first_us)},
    {"US_RX_END", offsetof(struct stream_info, upstream_last_us)},
    {"DS_TX_BEG", offsetof(struct stream_info, resp_first_us)},
    {"DS_TX_END", offsetof(struct stream_info, resp_last_us)},
};

static int find_point(struct str name, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(points); i++)
        if (str_is(name, points[i].name))
            return (int)i;
    return error_set(err, ERR_UNSUPPORTED, "time point '%.*s' is not supported", STR_ARG(name));
}

/* START:END[:ms|us|ns] */
static int prepare_common_duration(struct format_item *it, struct str arg, struct error *err)
{
    struct str from, to = STR_NULL, unit = STR("ms");
    str_next(&arg, ':', &from);
    str_next(&arg, ':', &to);
    if (arg.n)
        unit = arg;
    it->a = find_point(from, err);
    it->b = it->a < 0 ? -1 : find_point(to, err);
    if (it->b < 0)
        return -ERR_INVALID;
    if (!str_is(unit, "ms") && !str_is(unit, "us") && !str_is(unit, "ns"))
        return error_set(err, ERR_INVALID, "Invalid common duration precision: %.*s",
                         STR_ARG(unit));
    it->text = mem_strndup(unit.p, unit.n);
    return 0;
}

static bool print_common_duration(const struct format_item *it, const struct stream_info *info,
                                  const struct stream *s, struct sbuf *out)
{
    uint64_t from, to;
    (void)s;
    memcpy(&from, (const char *)info + points[it->a].offset, sizeof(from));
    memcpy(&to, (const char *)info + points[it->b].offset, sizeof(to));
    if (!from || !to || to < from)
        return false;
    to -= from;
    return format_number(out, it->text[0] == 'm' ? to / 1000 : it->text[0] == 'n' ? to * 1000 : to);
}

/* ---- headers ---- */

static bool add_header(const struct headers *h, const struct format_item *it, struct sbuf *out)
{
    struct str v = headers_get_name(h, str_of(it->text));
    if (!v.p && it->other)
        v = headers_get_name(h, str_of(it->other));
    return format_str(out, v);
}

FORMAT_OPERATOR(req, s &&add_header(&s->req, it, out))
FORMAT_OPERATOR(resp, s &&add_header(&s->resp, it, out))
FORMAT_OPERATOR(trailer, s &&add_header(&s->resp_trailers, it, out))

FORMAT_OPERATOR(req_bytes, format_number(out, s ? headers_byte_size(&s->req) : 0))
FORMAT_OPERATOR(resp_bytes, format_number(out, s ? headers_byte_size(&s->resp) : 0))
FORMAT_OPERATOR(trailer_bytes, format_number(out, s ? headers_byte_size(&s->resp_trailers) : 0))

static struct str get_path(const struct stream *s, int which)
{
    struct str original = headers_get(&s->req, HDR_X_ENVOY_ORIGINAL_PATH);
    if (which == 'P' || (which == 'B' && !original.p))
        return headers_get(&s->req, HDR_PATH);
    return original;
}

/* (WQ|NQ[:ORIG|PATH|ORIG_OR_PATH]) */
static int prepare_path(struct format_item *it, struct str arg, struct error *err)
{
    struct str query = STR("WQ");
    it->b = 'B';
    if (arg.n)
        str_next(&arg, ':', &query);
    if (!str_is(query, "WQ") && !str_is(query, "NQ"))
        return error_set(err, ERR_INVALID, "Invalid PATH option: '%.*s', only WQ/NQ are allowed",
                         STR_ARG(query));
    it->a = query.p[0] == 'N';
    if (str_is(arg, "ORIG"))
        it->b = 'O';
    else if (str_is(arg, "PATH"))
        it->b = 'P';
    else if (arg.n && !str_is(arg, "ORIG_OR_PATH"))
        return error_set(err, ERR_INVALID,
                         "Invalid PATH option: '%.*s', only PATH/ORIG/ORIG_OR_PATH are allowed",
                         STR_ARG(arg));
    return 0;
}

static bool print_path(const struct format_item *it, const struct stream_info *info,
                       const struct stream *s, struct sbuf *out)
{
    (void)info;
    struct str path = s ? get_path(s, it->b) : STR_NULL;
    ptrdiff_t query = it->a && path.p ? str_find(path, '?') : -1;
    if (query >= 0)
        path.n = (size_t)query;
    return format_str(out, path);
}

static bool print_query_param(const struct format_item *it, const struct stream_info *info,
                              const struct stream *s, struct sbuf *out)
{
    (void)info;
    struct str rest = s ? headers_get(&s->req, HDR_PATH) : STR_NULL, one, name;
    ptrdiff_t at = rest.p ? str_find(rest, '?') : -1;
    if (at < 0)
        return false;
    rest = (struct str){rest.p + at + 1, rest.n - (size_t)at - 1};
    while (str_next(&rest, '&', &one)) {
        if (str_next(&one, '=', &name) && str_eq(name, str_of(it->text)))
            return format_str(out, one.p ? one : STR(""));
    }
    return false;
}

/* ---- outcome ---- */

static bool add_joined(struct sbuf *out, const char *text, bool keeps_blanks)
{
    if (!text || !*text)
        return false;
    for (; *text; text++)
        sbuf_addc(out, !keeps_blanks && *text == ' ' ? '_' : *text);
    return true;
}

static int prepare_details(struct format_item *it, struct str arg, struct error *err)
{
    it->a = str_is(arg, "ALLOW_WHITESPACES");
    return !arg.n || it->a ? 0 : error_set(err, ERR_INVALID, "unknown parameter");
}

static bool print_flags(const struct format_item *it, const struct stream_info *info,
                        const struct stream *s, struct sbuf *out)
{
    (void)it;
    response_flags_format(info->flags, !s, out);
    return true;
}

static bool print_flags_long(const struct format_item *it, const struct stream_info *info,
                             const struct stream *s, struct sbuf *out)
{
    (void)it;
    response_flags_format_long(info->flags, !s, out);
    return true;
}

FORMAT_OPERATOR(code, format_number(out, info->status))
FORMAT_OPERATOR(details, add_joined(out, info->details, it->a))
FORMAT_OPERATOR(termination, format_text(out, info->termination_details))
FORMAT_OPERATOR(received, format_number(out, info->bytes_received))
FORMAT_OPERATOR(sent, format_number(out, info->bytes_sent))
/* Only where local replies get their bodies; a log line has an empty one. */
FORMAT_OPERATOR(local_reply_body, !s || !s->local_body.p || format_str(out, s->local_body))

static const char *const grpc_camel[] = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};
static const char *const grpc_snake[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
enum { GRPC_CAMEL, GRPC_SNAKE, GRPC_NUMBER };

static int prepare_grpc(struct format_item *it, struct str arg, struct error *err)
{
    if (!arg.n || str_is(arg, "CAMEL_STRING"))
        it->a = GRPC_CAMEL;
    else if (str_is(arg, "SNAKE_STRING"))
        it->a = GRPC_SNAKE;
    else if (str_is(arg, "NUMBER"))
        it->a = GRPC_NUMBER, it->is_number = true;
    else
        return error_set(err, ERR_INVALID, "unknown parameter '%.*s'", STR_ARG(arg));
    return 0;
}

static int prepare_grpc_number(struct format_item *it, struct str arg, struct error *err)
{
    (void)arg;
    (void)err;
    it->a = GRPC_NUMBER;
    return 0;
}

static bool print_grpc_status(const struct format_item *it, const struct stream_info *info,
                              const struct stream *s, struct sbuf *out)
{
    uint64_t v;
    (void)info;
    if (!s || !s->is_grpc)
        return false;
    struct str text = headers_get(&s->resp_trailers, HDR_GRPC_STATUS);
    if (!text.p)
        text = headers_get(&s->resp, HDR_GRPC_STATUS);
    if (!text.p || !str_to_u64(text, INT32_MAX, &v))
        return false;
    if (it->a == GRPC_NUMBER || v >= ARRAY_LEN(grpc_camel))
        return format_number(out, v);
    return format_text(out, it->a == GRPC_SNAKE ? grpc_snake[v] : grpc_camel[v]);
}

/* ---- protocol, route, names ---- */

static bool add_protocol(struct sbuf *out, uint8_t minor)
{
    if (minor == 255 || !minor)
        return false;
    return format_text(out, minor == 20 ? "HTTP/2" : minor == 10 ? "HTTP/1.0" : "HTTP/1.1");
}

static bool print_hostname(const struct format_item *it, const struct stream_info *info,
                           const struct stream *s, struct sbuf *out)
{
    char name[256] = "";
    (void)it;
    (void)info;
    (void)s;
    return !gethostname(name, sizeof(name) - 1) && format_text(out, name);
}

static bool print_unique_id(const struct format_item *it, const struct stream_info *info,
                            const struct stream *s, struct sbuf *out)
{
    char id[37];
    (void)it;
    (void)info;
    (void)s;
    crypto_uuid4(id);
    return format_text(out, id);
}

/* Fixed for the life of the process, as in Envoy. */
static int prepare_environment(struct format_item *it, struct str arg, struct error *err)
{
    char *name = mem_strndup(arg.p, arg.n);
    const char *value = getenv(name);
    (void)err;
    it->text = mem_strdup(value ? value : "-"); /* a text in JSON, too */
    mem_free(name);
    return 0;
}

FORMAT_OPERATOR(protocol, add_protocol(out, info->http_minor))
FORMAT_OPERATOR(upstream_protocol, add_protocol(out, info->upstream_minor))
FORMAT_OPERATOR(environment, format_text(out, it->text))
FORMAT_OPERATOR(stream_id, s &&format_str(out, headers_get(&s->req, HDR_X_REQUEST_ID)))
FORMAT_OPERATOR(route_name, info->route_name.n &&format_str(out, info->route_name))
FORMAT_OPERATOR(chain_name, format_text(out, info->down->chain ? info->down->chain->name : NULL))
FORMAT_OPERATOR(log_type, format_text(out, s ? "DownstreamEnd" : "TcpConnectionEnd"))
FORMAT_OPERATOR(upstream_cluster, format_text(out, info->upstream_cluster))
FORMAT_OPERATOR(upstream_failure, add_joined(out, info->upstream_failure, false))
FORMAT_OPERATOR(attempts, format_number(out, info->attempts))
/* What we have none of: virtual clusters, traces; flags of custom filters, an empty list. */
FORMAT_OPERATOR(none, false)
FORMAT_OPERATOR(custom_flags, true)

#define HEADER_ARG FORMAT_ARG_HEADER, false, NULL
#define NO_ARG FORMAT_ARG_NONE, false, NULL
#define NUMBER FORMAT_ARG_NONE, true, NULL
#define TIME_ARG FORMAT_ARG_OPTIONAL, false, prepare_time

const struct format_operator format_stream_operators[] = {
    {"START_TIME", print_start_time, TIME_ARG},
    {"START_TIME_LOCAL", print_start_time_local, TIME_ARG},
    {"EMIT_TIME", print_emit_time, TIME_ARG},
    {"EMIT_TIME_LOCAL", print_emit_time_local, TIME_ARG},
    {"DURATION", print_duration_ms, NUMBER},
    {"REQUEST_DURATION", print_request_duration, NUMBER},
    {"REQUEST_TX_DURATION", print_request_tx, NUMBER},
    {"RESPONSE_DURATION", print_response_duration, NUMBER},
    {"RESPONSE_TX_DURATION", print_response_tx, NUMBER},
    {"COMMON_DURATION", print_common_duration, FORMAT_ARG_NEEDED, true, prepare_common_duration},
    {"REQ", print_req, HEADER_ARG},
    {"REQUEST_HEADER", print_req, HEADER_ARG},
    {"RESP", print_resp, HEADER_ARG},
    {"RESPONSE_HEADER", print_resp, HEADER_ARG},
    {"TRAILER", print_trailer, HEADER_ARG},
    {"RESPONSE_TRAILER", print_trailer, HEADER_ARG},
    {"REQUEST_HEADERS_BYTES", print_req_bytes, NUMBER},
    {"RESPONSE_HEADERS_BYTES", print_resp_bytes, NUMBER},
    {"RESPONSE_TRAILERS_BYTES", print_trailer_bytes, NUMBER},
    {"PATH", print_path, FORMAT_ARG_OPTIONAL, false, prepare_path},
    {"QUERY_PARAM", print_query_param, FORMAT_ARG_NEEDED, false, NULL},
    {"PROTOCOL", print_protocol, NO_ARG},
    {"UPSTREAM_PROTOCOL", print_upstream_protocol, NO_ARG},
    {"RESPONSE_CODE", print_code, NUMBER},
    {"RESPONSE_CODE_DETAILS", print_details, FORMAT_ARG_OPTIONAL, false, prepare_details},
    {"RESPONSE_FLAGS", print_flags, NO_ARG},
    {"RESPONSE_FLAGS_LONG", print_flags_long, NO_ARG},
    {"GRPC_STATUS", print_grpc_status, FORMAT_ARG_OPTIONAL, false, prepare_grpc},
    {"GRPC_STATUS_NUMBER", print_grpc_status, FORMAT_ARG_NONE, true, prepare_grpc_number},
    {"CONNECTION_TERMINATION_DETAILS", print_termination, NO_ARG},
    {"BYTES_RECEIVED", print_received, NUMBER},
    {"BYTES_SENT", print_sent, NUMBER},
    {"LOCAL_REPLY_BODY", print_local_reply_body, NO_ARG},
    {"UPSTREAM_CLUSTER", print_upstream_cluster, NO_ARG},
    {"UPSTREAM_CLUSTER_RAW", print_upstream_cluster, NO_ARG},
    {"UPSTREAM_TRANSPORT_FAILURE_REASON", print_upstream_failure, NO_ARG},
    {"UPSTREAM_REQUEST_ATTEMPT_COUNT", print_attempts, NUMBER},
    {"ROUTE_NAME", print_route_name, NO_ARG},
    {"FILTER_CHAIN_NAME", print_chain_name, NO_ARG},
    {"VIRTUAL_CLUSTER_NAME", print_none, NO_ARG},
    {"TRACE_ID", print_none, NO_ARG},
    {"CUSTOM_FLAGS", print_custom_flags, NO_ARG},
    {"HOSTNAME", print_hostname, NO_ARG},
    {"STREAM_ID", print_stream_id, NO_ARG},
    {"UNIQUE_ID", print_unique_id, NO_ARG},
    {"ENVIRONMENT", print_environment, FORMAT_ARG_NEEDED, false, prepare_environment},
    {"ACCESS_LOG_TYPE", print_log_type, NO_ARG},
};
const size_t format_stream_operators_n = ARRAY_LEN(format_stream_operators);
