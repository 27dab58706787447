/* tunneling_config: the bytes of a TCP session as the bodies of an HTTP request, CONNECT or POST,
 * on whatever the cluster speaks. The client is read from when the upstream has answered 2xx.
 * Source: Envoy's TcpProxy with TunnelingConfig (tcp_proxy/upstream.cc). */
#include <stdio.h>

#include "base/mem.h"
#include "http/format.h"
#include "proxy/tcp_session.h"
#include "proxy/tcp_tunnel.h"

struct tcp_tunnel {
    struct tcp_session *session;
    struct upstream_request request;
    bool is_open; /* 2xx came */
    bool is_over; /* the request was given up, or came to its end */
};

/* ---- formats, of a chain ---- */

struct tcp_tunnel_formats {
    struct format *host, **values;
    size_t values_n;
};

static struct format *compile(const struct conf_format *conf)
{
    struct format *f = NULL;
    struct error err;
    (void)format_create(conf, &f, &err); /* checked when it was decoded */
    return f;
}

struct tcp_tunnel_formats *tcp_tunnel_formats_create(const struct conf_tcp_tunnel *conf)
{
    if (!conf)
        return NULL;
    struct tcp_tunnel_formats *f = MEM_NEW(struct tcp_tunnel_formats);
    f->host = compile(&conf->hostname);
    f->values = mem_zalloc(conf->headers.add_n * sizeof(struct format *));
    for (size_t i = 0; i < conf->headers.add_n; i++) {
        const struct conf_header_value_option *o = &conf->headers.add[i];
        f->values[f->values_n++] =
            o->is_format ? compile(&(struct conf_format){.text = o->value.p}) : NULL;
    }
    return f;
}

void tcp_tunnel_formats_destroy(struct tcp_tunnel_formats **formats)
{
    struct tcp_tunnel_formats *f = *formats;
    if (!f)
        return;
    format_destroy(&f->host);
    for (size_t i = 0; i < f->values_n; i++)
        format_destroy(&f->values[i]);
    mem_free(f->values);
    mem_free(f);
    *formats = NULL;
}

/* ---- the request ---- */

static struct tcp_tunnel *of(struct upstream_request *r)
{
    return container_of(r, struct tcp_tunnel, request);
}

static void finish(struct tcp_tunnel *t)
{
    t->is_over = true;
    upstream_request_finish(&t->request);
}

/* Before there is a tunnel: another attempt, or the end of the session. */
static void fail(struct tcp_tunnel *t, const char *failure)
{
    struct tcp_session *s = t->session;
    (void)snprintf(s->failure, sizeof(s->failure), "%s", failure);
    finish(t);
    if (tcp_upstream_try_again(s))
        return;
    s->info.flags |= FLAG_UPSTREAM_CONNECTION_FAILURE;
    s->info.upstream_failure = s->failure;
    tcp_up_closed(s, CONN_CONNECT_FAILED);
}

static void print(const struct format *f, const struct tcp_session *s, struct sbuf *b)
{
    b->n = 0;
    if (f)
        format_print_value(f, &s->info, NULL, b);
}

static void add_header(struct headers *h, const struct conf_header_value_option *o,
                       const struct format *f, const struct tcp_session *s, struct sbuf *b)
{
    struct str value = o->value;
    if (f) {
        print(f, s, b);
        value = (struct str){b->p, b->n};
    }
    if (!value.n && !o->keep_empty)
        return;
    if (o->action == CONF_APPEND_OR_ADD)
        headers_add(h, o->name, value);
    else
        headers_set(h, o->name, value);
}

static void make_head(const struct tcp_tunnel *t, struct headers *h)
{
    const struct tcp_session *s = t->session;
    const struct conf_tcp_tunnel *conf = s->conf->tunnel;
    const struct tcp_tunnel_formats *f = s->tunnel_formats;
    struct sbuf b = {0};
    print(f->host, s, &b);
    headers_set_id(h, HDR_METHOD, conf->uses_post ? STR("POST") : STR("CONNECT"));
    headers_set_id(h, HDR_AUTHORITY, (struct str){b.p, b.n});
    if (conf->uses_post) {
        headers_set_id(h, HDR_PATH, conf->post_path);
        headers_set_id(h, HDR_SCHEME,
                       upstream_host_is_tls(t->request.host) ? STR("https") : STR("http"));
    }
    for (size_t i = 0; i < conf->headers.add_n; i++)
        add_header(h, &conf->headers.add[i], f->values[i], s, &b);
    sbuf_fini(&b);
}

static void on_ready(struct upstream_request *r)
{
    struct headers h = {0};
    make_head(of(r), &h);
    upstream_request_headers(r, &h, false);
    headers_fini(&h);
}

static void end_response(struct tcp_tunnel *t, bool end)
{
    if (end && !t->is_over)
        tcp_up_eof(t->session);
}

static void on_headers(struct upstream_request *r, bool end)
{
    struct tcp_tunnel *t = of(r);
    unsigned status = headers_status(&r->headers);
    if (status / 100 != 2) {
        fail(t, "the upstream refused the tunnel");
        return;
    }
    t->is_open = true;
    tcp_up_connected(t->session, r->local);
    end_response(t, end);
}

static void on_1xx(struct upstream_request *r, unsigned status)
{
    (void)r;
    (void)status;
}

static void on_body(struct upstream_request *r, struct buf *data, bool end)
{
    struct tcp_tunnel *t = of(r);
    if (data->len)
        tcp_up_data(t->session, data);
    end_response(t, end);
}

static void on_trailers(struct upstream_request *r)
{
    end_response(of(r), true);
}

static void on_reset(struct upstream_request *r, enum upstream_reset why, const char *failure)
{
    struct tcp_tunnel *t = of(r);
    if (!t->is_open) {
        fail(t, *failure ? failure : upstream_reset_text(why));
        return;
    }
    finish(t);
    t->session->info.flags |= upstream_reset_flag(why);
    tcp_up_closed(t->session, CONN_CLOSED_RESET);
}

static void on_water(struct upstream_request *r, bool is_high)
{
    tcp_up_water(of(r)->session, is_high);
}

static const struct upstream_request_ops request_ops = {
    .on_ready = on_ready,
    .on_1xx = on_1xx,
    .on_headers = on_headers,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_reset = on_reset,
    .on_water = on_water,
};

/* ---- what the session does with it ---- */

static void write_up(struct tcp_session *s, struct buf *data, bool end)
{
    if (s->tunnel->is_over)
        buf_fini(data);
    else
        upstream_request_body(&s->tunnel->request, data, end);
}

static void read_disable(struct tcp_session *s, bool disable)
{
    if (!s->tunnel->is_over)
        upstream_request_read_disable(&s->tunnel->request, disable);
}

/* What was written is the connection's to send when both bodies have ended; else they are cut. */
static void close_up(struct tcp_session *s, bool after_flush)
{
    (void)after_flush;
    if (s->tunnel->is_over)
        return;
    finish(s->tunnel);
    tcp_up_closed(s, CONN_CLOSED_LOCAL);
}

static const struct tcp_up_ops up_ops = {write_up, read_disable, close_up};

void tcp_tunnel_connect(struct tcp_session *s, struct upstream_cluster *c,
                        struct upstream_host *host)
{
    if (!s->tunnel)
        s->tunnel = MEM_NEW(struct tcp_tunnel);
    *s->tunnel = (struct tcp_tunnel){.session = s};
    struct upstream_request *r = &s->tunnel->request;
    s->up_ops = &up_ops;
    r->ops = &request_ops;
    r->down = &s->down.info;
    r->upgrade = s->conf->tunnel->uses_post ? STR_NULL : STR("CONNECT");
    upstream_request_start(r, c, host);
}

void tcp_tunnel_destroy(struct tcp_tunnel **tunnel)
{
    mem_free(*tunnel);
    *tunnel = NULL;
}
