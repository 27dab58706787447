#include "http/format.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

static const char default_text[] =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

struct item;

/* Appends the value; false when there is none ("-"). */
typedef bool (*print_fn)(const struct item *it, const struct stream_info *info,
                         const struct stream *s, struct sbuf *out);

struct item {
    print_fn print;    /* NULL: literal text */
    char *text;        /* literal, or the argument */
    char *other;       /* second header name of X?Y */
    size_t length_max; /* 0: whole */
};

struct format {
    struct item *items;
    size_t n, cap;
};

/* ---- operators ---- */

static bool print_addr(const struct addr *a, struct sbuf *out, bool with_port)
{
    char text[ADDR_TEXT_MAX];
    if (!a->len)
        return false;
    sbuf_addz(out, with_port ? addr_format(a, text) : addr_format_ip(a, text));
    return true;
}

static bool print_number(struct sbuf *out, uint64_t v)
{
    char text[24], *p = text + sizeof(text);
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    sbuf_add(out, p, (size_t)(text + sizeof(text) - p));
    return true;
}

static bool print_start_time(const struct item *it, const struct stream_info *info,
                             const struct stream *s, struct sbuf *out)
{
    (void)s;
    if (!it->text || !*it->text) {
        char text[32];
        clock_format_utc_ms(info->start_wall_ns, text);
        sbuf_addz(out, text);
        return true;
    }
    time_t t = (time_t)(info->start_wall_ns / 1000000000u);
    struct tm tm;
    char text[128];
    gmtime_r(&t, &tm);
    sbuf_add(out, text, strftime(text, sizeof(text), it->text, &tm));
    return true;
}

static bool print_header(const struct headers *h, const struct item *it, struct sbuf *out)
{
    struct str v = headers_get_name(h, str_of(it->text));
    if (!v.p && it->other)
        v = headers_get_name(h, str_of(it->other));
    if (!v.p)
        return false;
    sbuf_add(out, v.p, v.n);
    return true;
}

static bool print_req(const struct item *it, const struct stream_info *info, const struct stream *s,
                      struct sbuf *out)
{
    (void)info;
    return s && print_header(&s->req, it, out);
}

static bool print_resp(const struct item *it, const struct stream_info *info,
                       const struct stream *s, struct sbuf *out)
{
    (void)info;
    return s && print_header(&s->resp, it, out);
}

static bool print_local_reply_body(const struct item *it, const struct stream_info *info,
                                   const struct stream *s, struct sbuf *out)
{
    (void)it;
    (void)info;
    if (!s || !s->local_body.p)
        return false;
    sbuf_add(out, s->local_body.p, s->local_body.n);
    return true;
}

static bool print_trailer(const struct item *it, const struct stream_info *info,
                          const struct stream *s, struct sbuf *out)
{
    (void)info;
    return s && print_header(&s->resp_trailers, it, out);
}

static bool print_protocol(const struct item *it, const struct stream_info *info,
                           const struct stream *s, struct sbuf *out)
{
    (void)it;
    (void)s;
    if (info->http_minor == 255)
        return false;
    sbuf_addz(out, info->http_minor == 20   ? "HTTP/2"
                   : info->http_minor == 10 ? "HTTP/1.0"
                                            : "HTTP/1.1");
    return true;
}

static bool print_flags(const struct item *it, const struct stream_info *info,
                        const struct stream *s, struct sbuf *out)
{
    (void)it;
    (void)s;
    response_flags_format(info->flags, out);
    return true;
}

static bool print_duration(struct sbuf *out, uint64_t from_us, uint64_t to_us)
{
    return to_us && from_us && print_number(out, (to_us - from_us) / 1000);
}

#define OPERATOR(name, expr)                                                        \
    static bool print_##name(const struct item *it, const struct stream_info *info, \
                             const struct stream *s, struct sbuf *out)              \
    {                                                                               \
        (void)it;                                                                   \
        (void)info;                                                                 \
        (void)s;                                                                    \
        return (expr);                                                              \
    }

static bool print_text(struct sbuf *out, const char *text)
{
    if (!text || !*text)
        return false;
    sbuf_addz(out, text);
    return true;
}

static bool print_joined(struct sbuf *out, const char *text)
{
    if (!text || !*text)
        return false;
    for (; *text; text++)
        sbuf_addc(out, *text == ' ' ? '_' : *text);
    return true;
}

OPERATOR(code, print_number(out, info->status))
OPERATOR(details, print_joined(out, info->details))
OPERATOR(termination, print_text(out, info->termination_details))
OPERATOR(received, print_number(out, info->bytes_received))
OPERATOR(sent, print_number(out, info->bytes_sent))
OPERATOR(duration_ms, print_duration(out, info->start_us, info->end_us))
OPERATOR(request_duration, print_duration(out, info->start_us, info->req_end_us))
OPERATOR(response_duration, print_duration(out, info->start_us, info->upstream_first_us))
OPERATOR(response_tx, print_duration(out, info->upstream_first_us, info->end_us))
OPERATOR(upstream_host, print_addr(&info->upstream_remote, out, true))
OPERATOR(upstream_local, print_addr(&info->upstream_local, out, true))
OPERATOR(upstream_cluster, print_text(out, info->upstream_cluster))
OPERATOR(upstream_failure, print_joined(out, info->upstream_failure))
OPERATOR(attempts, print_number(out, info->attempts))
OPERATOR(down_remote, print_addr(stream_info_remote(info), out, true))
OPERATOR(down_remote_ip, print_addr(stream_info_remote(info), out, false))
OPERATOR(down_direct_remote, print_addr(&info->down->direct_remote, out, true))
OPERATOR(down_direct_remote_ip, print_addr(&info->down->direct_remote, out, false))
OPERATOR(down_local, print_addr(&info->down->local, out, true))
OPERATOR(down_local_ip, print_addr(&info->down->local, out, false))
OPERATOR(down_local_port, print_number(out, addr_port(&info->down->local)))
OPERATOR(connection_id, print_number(out, info->down->connection_id))
OPERATOR(server_name, print_text(out, info->down->requested_server_name))
OPERATOR(route_name,
         info->route_name.n ? (sbuf_add(out, info->route_name.p, info->route_name.n), true) : false)
OPERATOR(chain_name, print_text(out, info->down->chain ? info->down->chain->name : NULL))

enum argument { ARG_NONE, ARG_OPTIONAL, ARG_HEADER };

static const struct {
    const char *name;
    print_fn print;
    enum argument argument;
} operators[] = {
    {"START_TIME", print_start_time, ARG_OPTIONAL},
    {"REQ", print_req, ARG_HEADER},
    {"REQUEST_HEADER", print_req, ARG_HEADER},
    {"RESP", print_resp, ARG_HEADER},
    {"RESPONSE_HEADER", print_resp, ARG_HEADER},
    {"TRAILER", print_trailer, ARG_HEADER},
    {"RESPONSE_TRAILER", print_trailer, ARG_HEADER},
    {"PROTOCOL", print_protocol, ARG_NONE},
    {"RESPONSE_CODE", print_code, ARG_NONE},
    {"RESPONSE_CODE_DETAILS", print_details, ARG_OPTIONAL},
    {"RESPONSE_FLAGS", print_flags, ARG_NONE},
    {"CONNECTION_TERMINATION_DETAILS", print_termination, ARG_NONE},
    {"BYTES_RECEIVED", print_received, ARG_NONE},
    {"BYTES_SENT", print_sent, ARG_NONE},
    {"DURATION", print_duration_ms, ARG_NONE},
    {"REQUEST_DURATION", print_request_duration, ARG_NONE},
    {"RESPONSE_DURATION", print_response_duration, ARG_NONE},
    {"RESPONSE_TX_DURATION", print_response_tx, ARG_NONE},
    {"UPSTREAM_HOST", print_upstream_host, ARG_NONE},
    {"UPSTREAM_REMOTE_ADDRESS", print_upstream_host, ARG_NONE},
    {"UPSTREAM_LOCAL_ADDRESS", print_upstream_local, ARG_NONE},
    {"UPSTREAM_CLUSTER", print_upstream_cluster, ARG_NONE},
    {"UPSTREAM_CLUSTER_RAW", print_upstream_cluster, ARG_NONE},
    {"UPSTREAM_TRANSPORT_FAILURE_REASON", print_upstream_failure, ARG_NONE},
    {"UPSTREAM_REQUEST_ATTEMPT_COUNT", print_attempts, ARG_NONE},
    {"DOWNSTREAM_REMOTE_ADDRESS", print_down_remote, ARG_NONE},
    {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", print_down_remote_ip, ARG_NONE},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", print_down_direct_remote, ARG_NONE},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", print_down_direct_remote_ip, ARG_NONE},
    {"DOWNSTREAM_LOCAL_ADDRESS", print_down_local, ARG_NONE},
    {"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", print_down_local_ip, ARG_NONE},
    {"DOWNSTREAM_LOCAL_PORT", print_down_local_port, ARG_NONE},
    {"CONNECTION_ID", print_connection_id, ARG_NONE},
    {"REQUESTED_SERVER_NAME", print_server_name, ARG_NONE},
    {"LOCAL_REPLY_BODY", print_local_reply_body, ARG_NONE},
    {"ROUTE_NAME", print_route_name, ARG_NONE},
    {"FILTER_CHAIN_NAME", print_chain_name, ARG_NONE},
};

/* ---- parsing ---- */

static struct item *add_item(struct format *f)
{
    mem_grow((void **)&f->items, &f->cap, f->n + 1, sizeof(*f->items));
    f->items[f->n] = (struct item){0};
    return &f->items[f->n++];
}

static char *lower_copy(struct str s)
{
    char *p = mem_strndup(s.p, s.n);
    for (char *c = p; *c; c++)
        *c = str_lower(*c);
    return p;
}

static void set_header_names(struct item *it, struct str arg)
{
    ptrdiff_t q = str_find(arg, '?');
    struct str first = {arg.p, q < 0 ? arg.n : (size_t)q};
    it->text = lower_copy(first);
    if (q >= 0)
        it->other = lower_copy((struct str){arg.p + q + 1, arg.n - (size_t)q - 1});
}

static int set_operator(struct item *it, struct str name, struct str arg, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        if (!str_is(name, operators[i].name))
            continue;
        if (operators[i].argument == ARG_HEADER && !arg.n)
            return error_set(err, ERR_INVALID, "%.*s requires parameters", STR_ARG(name));
        if (operators[i].argument == ARG_NONE && arg.p)
            return error_set(err, ERR_INVALID, "%.*s does not take any parameters or length",
                             STR_ARG(name));
        it->print = operators[i].print;
        if (operators[i].argument == ARG_HEADER)
            set_header_names(it, arg);
        else if (arg.n)
            it->text = mem_strndup(arg.p, arg.n);
        return 0;
    }
    return error_set(err, ERR_UNSUPPORTED, "Not supported field in StreamInfo: %.*s",
                     STR_ARG(name));
}

/* text stands on '%'. Returns the bytes used, or a negative code. */
static ptrdiff_t parse_operator(struct format *f, const char *text, size_t position,
                                struct error *err)
{
    const char *p = text + 1;
    struct str name = {p, 0}, arg = STR_NULL;
    uint64_t length = 0;
    while ((*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_')
        p++;
    name.n = (size_t)(p - name.p);
    if (*p == '(') {
        arg.p = ++p;
        while (*p && *p != ')')
            p++;
        arg.n = (size_t)(p - arg.p);
        p += *p == ')';
    }
    if (*p == ':') {
        struct str digits = {++p, 0};
        while (*p >= '0' && *p <= '9')
            p++;
        digits.n = (size_t)(p - digits.p);
        if (!str_to_u64(digits, 1 << 20, &length))
            name.n = 0;
    }
    if (!name.n || *p != '%')
        return error_set(err, ERR_INVALID,
                         "Incorrect configuration: %.200s. Couldn't find valid command at position "
                         "%zu",
                         text - position, position);
    struct item *it = add_item(f);
    it->length_max = length;
    int rc = set_operator(it, name, arg, err);
    return rc ? rc : p + 1 - text;
}

int format_parse(const char *text, struct format **f_r, struct error *err)
{
    struct format *f = MEM_NEW(struct format);
    struct sbuf literal = {0};
    if (!text)
        text = default_text;
    for (const char *p = text; *p;) {
        if (*p != '%' || p[1] == '%') {
            sbuf_addc(&literal, *p);
            p += *p == '%' ? 2 : 1;
            continue;
        }
        if (literal.n)
            add_item(f)->text = sbuf_take(&literal);
        ptrdiff_t used = parse_operator(f, p, (size_t)(p - text), err);
        if (used < 0) {
            sbuf_fini(&literal);
            format_destroy(&f);
            return (int)used;
        }
        p += used;
    }
    if (literal.n)
        add_item(f)->text = sbuf_take(&literal);
    *f_r = f;
    return 0;
}

void format_destroy(struct format **format)
{
    struct format *f = *format;
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++) {
        mem_free(f->items[i].text);
        mem_free(f->items[i].other);
    }
    mem_free(f->items);
    mem_free(f);
    *format = NULL;
}

static void print(const struct format *f, const struct stream_info *info, const struct stream *s,
                  const char *absent, struct sbuf *out)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct item *it = &f->items[i];
        size_t from = out->n;
        if (!it->print) {
            sbuf_addz(out, it->text);
            continue;
        }
        if (!it->print(it, info, s, out))
            sbuf_addz(out, absent);
        if (it->length_max && out->n - from > it->length_max) {
            out->n = from + it->length_max;
            out->p[out->n] = 0;
        }
    }
}

void format_print(const struct format *f, const struct stream_info *info, const struct stream *s,
                  struct sbuf *out)
{
    print(f, info, s, "-", out);
}

void format_print_value(const struct format *f, const struct stream_info *info,
                        const struct stream *s, struct sbuf *out)
{
    print(f, info, s, "", out);
}
