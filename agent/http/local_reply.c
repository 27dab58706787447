/* Local replies: what the proxy answers itself. gRPC requests get the answer as gRPC status.
 * Source: Envoy's Http::Utility::sendLocalReply, Grpc::Utility::httpToGrpcStatus. */
#include <stdio.h>

#include "http/filter_chain.h"
#include "http/format.h"
#include "http/hcm.h"
#include "http/header_ops.h"
#include "http/log_filter.h"

int grpc_of_http(unsigned status)
{
    switch (status) {
    case 400:
        return 13;
    case 401:
        return 16;
    case 403:
        return 7;
    case 404:
        return 12;
    case 429:
    case 502:
    case 503:
    case 504:
        return 14;
    default:
        return 2;
    }
}

/* grpc-message is percent-encoded (gRPC over HTTP/2, "Responses"). */
static struct str percent_encode(struct stream *s, struct str text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = arena_alloc(&s->arena, text.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '%';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    return (struct str){out, n};
}

static void add_number(struct headers *h, enum hdr id, unsigned long v)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%lu", v);
    headers_set_id(h, id, (struct str){text, (size_t)n});
}

static void fill_grpc(struct stream *s, unsigned status, struct str body, int grpc_status)
{
    add_number(&s->resp, HDR_STATUS, 200);
    headers_set_id(&s->resp, HDR_CONTENT_TYPE, STR("application/grpc"));
    add_number(&s->resp, HDR_GRPC_STATUS,
               (unsigned long)(grpc_status >= 0 ? grpc_status : grpc_of_http(status)));
    if (body.n)
        headers_set_id(&s->resp, HDR_GRPC_MESSAGE, percent_encode(s, body));
}

/* The body in its format; *type_r: its content type. */
static struct str format_body(struct stream *s, const struct conf_body_format *f, struct str body,
                              struct str *type_r)
{
    struct sbuf out = {0};
    s->local_body = body.p ? body : STR("");
    *type_r = f && *f->content_type ? str_of(f->content_type)
              : f && f->format.json ? STR("application/json")
                                    : STR("text/plain");
    const struct format *format = f ? header_ops_body_format(s->hcm, &f->format) : NULL;
    if (!format)
        return body;
    format_print(format, &s->info, s, &out);
    body = (struct str){arena_strndup(&s->arena, out.p ? out.p : "", out.n), out.n};
    sbuf_fini(&out);
    return body;
}

/* What the configuration makes of an answer. s->resp holds its headers so far. */
static void rewrite(struct stream *s, unsigned *status, struct str *body, struct str *type_r)
{
    const struct conf_local_reply *conf = s->hcm->conf->local_reply;
    const struct conf_body_format *format = conf ? &conf->format : NULL;
    *type_r = STR("text/plain");
    if (!conf)
        return;
    s->info.status = *status;
    add_number(&s->resp, HDR_STATUS, *status);
    for (size_t i = 0; i < conf->mappers_n; i++) {
        const struct conf_reply_mapper *m = &conf->mappers[i];
        if (!log_filter_matches(m->filter, &s->info, s))
            continue;
        if (m->has_body)
            *body = m->body;
        header_ops_apply(&m->headers, s, &s->resp);
        *status = m->status ? m->status : *status;
        s->info.status = *status;
        add_number(&s->resp, HDR_STATUS, *status);
        format = m->format.format.text || m->format.format.json ? &m->format : format;
        break;
    }
    *body = format_body(s, format, *body, type_r);
    s->local_body = STR_NULL;
}

static void fill_plain(struct stream *s, unsigned status, struct str body, struct str type)
{
    add_number(&s->resp, HDR_STATUS, status);
    if (body.n) {
        add_number(&s->resp, HDR_CONTENT_LENGTH, body.n);
        if (!headers_find(&s->resp, HDR_CONTENT_TYPE))
            headers_set_id(&s->resp, HDR_CONTENT_TYPE, type);
    }
}

/* Past the filters when the response was already on its way through them. */
static void send_reply(struct stream *s, struct str body, bool past_filters)
{
    uint32_t epoch = s->epoch;
    bool end = !body.n || s->is_head || s->is_grpc;
    if (past_filters)
        stream_send_headers(s, end);
    else
        filter_chain_headers(s, DIR_RESP, end);
    if (end || s->epoch != epoch)
        return;
    struct buf data = {0};
    buf_adds(&data, body);
    if (past_filters)
        stream_send_body(s, &data, true);
    else
        filter_chain_body(s, DIR_RESP, &data, true);
}

void stream_local_reply(struct stream *s, unsigned status, struct str body, const char *details,
                        uint32_t flag, int grpc_status, const struct headers *add)
{
    if (s->is_ended || s->is_replied)
        return;
    if (s->resp_started) {
        stream_reset(s, flag, details);
        return;
    }
    bool past_filters = s->resp_passes > 0;
    s->is_replied = true;
    s->resp_passes++;
    s->epoch++;
    s->info.flags |= flag;
    s->info.details = details;
    struct str type;
    if (status == 400 && !s->hcm->conf->keeps_broken)
        s->closes_connection = true;
    body.p = body.n ? arena_strndup(&s->arena, body.p, body.n) : NULL;
    headers_clear(&s->resp);
    for (size_t i = 0; add && i < add->n; i++)
        headers_add(&s->resp, header_name(add, &add->v[i]), header_value(add, &add->v[i]));
    struct str given = body, own_type = headers_get(&s->resp, HDR_CONTENT_TYPE);
    rewrite(s, &status, &body, &type);
    /* The type that came with the answer does not speak of a body made here. */
    if (own_type.p && !str_eq(given, body) &&
        str_eq(own_type, headers_get(&s->resp, HDR_CONTENT_TYPE)))
        headers_remove_id(&s->resp, HDR_CONTENT_TYPE);
    if (s->is_grpc)
        fill_grpc(s, status, body, grpc_status);
    else
        fill_plain(s, status, body, type);
    send_reply(s, body, past_filters);
}
