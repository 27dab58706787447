#include "server/admin.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/hold.h"
#include "net/sock.h"
#include "proxy/listener.h"
#include "server/hosts.h"
#include "server/server.h"

/* The admin listener is an ordinary one, made here instead of by configuration: one chain with a
 * connection manager whose only filter is `filter_ops` below. */
struct admin {
    struct loop_io io;
    struct loop *loop;
    struct server *server;
    struct addr addr;
    struct filter_env env;
    struct conf_listener *conf;
    struct hcm *hcm;
    struct listener *listener;
};

static struct admin *admin_of_stream(const struct stream *s)
{
    return container_of(s->hcm->env, struct admin, env);
}

static const struct admin_handler *find_handler(struct str path)
{
    for (const struct admin_handler *h = admin_handlers; h->path; h++)
        if (str_is(path, h->path))
            return h;
    return NULL;
}

static void unknown_path(struct admin_request *r)
{
    r->status = 404;
    sbuf_addz(&r->out, "invalid path. admin commands are:\n");
    admin_list_paths(&r->out);
}

/* A page in a browser must not reach us by way of the user's machine: DNS rebinding shows in the
 * Host, a foreign page in the Origin. */
static bool is_foreign(const struct stream *s)
{
    struct str origin = headers_get_name(&s->req, STR("origin"));
    struct str host = headers_get(&s->req, HDR_AUTHORITY);
    if (!origin.p)
        return false;
    ptrdiff_t slashes = str_find(origin, '/');
    if (slashes < 0 || origin.n < (size_t)slashes + 2)
        return true;
    struct str o = {origin.p + slashes + 2, origin.n - (size_t)slashes - 2};
    return !str_eq_nocase(o, host);
}

static bool is_allowed(const struct bootstrap *b, struct str path)
{
    for (size_t i = 0; i < b->admin_paths_n; i++)
        if (conf_string_matches(&b->admin_paths[i], path))
            return true;
    return !b->admin_paths_n;
}

/* The handler to run; NULL: the request is refused in words. */
static const struct admin_handler *choose_handler(struct stream *s, struct admin_request *r)
{
    struct str method = headers_get(&s->req, HDR_METHOD);
    const struct admin_handler *h = find_handler(r->path);
    struct str path = headers_get(&s->req, HDR_PATH);
    r->is_post = str_is(method, "POST");
    if (!is_allowed(r->server->bootstrap, path)) {
        r->status = 403;
        sbuf_printf(&r->out, "request to path %.*s not allowed", STR_ARG(path));
    } else if (!h) {
        unknown_path(r);
    } else if (h->is_post && !r->is_post) {
        r->status = 405;
        sbuf_printf(&r->out, "Method %.*s not allowed, POST required.", STR_ARG(method));
    } else if (h->is_post && is_foreign(s)) {
        r->status = 403;
        sbuf_addz(&r->out, "request from a foreign origin refused\n");
    } else {
        return h;
    }
    return NULL;
}

/* A large dump takes longer than a closing connection is waited for. */
static void answer(struct stream *s, struct admin_request *r)
{
    loop_refresh_now(s->hcm->env->loop);
    struct headers add = {0};
    headers_add_id(&add, HDR_CONTENT_TYPE, str_of(r->content_type));
    headers_add(&add, STR("cache-control"), STR("no-cache, max-age=0"));
    headers_add(&add, STR("x-content-type-options"), STR("nosniff"));
    stream_local_reply(s, r->status, (struct str){r->out.p, r->out.n}, "admin_filter_response", 0,
                       -1, &add);
    headers_fini(&add);
    sbuf_fini(&r->out);
}

/* A request that waits for the workers. */
struct waiting {
    struct stream *stream; /* NULL: it went away meanwhile */
    const struct admin_handler *handler;
    struct admin_request request;
};

static void on_hosts(const struct hosts *hosts, void *arg)
{
    struct waiting *w = arg;
    if (w->stream) {
        struct http_filter *f = &w->stream->filters[0];
        f->state = NULL;
        w->request.hosts = hosts;
        w->handler->handle(&w->request);
        answer(w->stream, &w->request);
    }
    mem_free(w);
}

static void stream_fini(struct http_filter *f)
{
    struct waiting *w = f->state;
    if (w)
        w->stream = NULL;
}

static enum filter_status req_headers(struct http_filter *f, struct headers *h, bool end)
{
    (void)h;
    (void)end;
    struct stream *s = f->stream;
    struct str path = headers_get(&s->req, HDR_PATH);
    struct admin_request r = {.server = admin_of_stream(s)->server,
                              .path = path,
                              .status = 200,
                              .content_type = "text/plain; charset=UTF-8"};
    ptrdiff_t q = str_find(path, '?');
    if (q >= 0) {
        r.path.n = (size_t)q;
        r.query = (struct str){path.p + q + 1, path.n - (size_t)q - 1};
    }
    const struct admin_handler *handler = choose_handler(s, &r);
    if (handler && handler->needs_hosts) {
        struct waiting *w = MEM_NEW(struct waiting);
        *w = (struct waiting){s, handler, r};
        f->state = w;
        hosts_gather(r.server, on_hosts, w);
        return FILTER_PAUSE;
    }
    if (handler)
        handler->handle(&r);
    answer(s, &r);
    return FILTER_REPLIED;
}

static const struct http_filter_ops filter_ops = {
    .name = "admin", .stream_fini = stream_fini, .req_headers = req_headers};

static const struct http_filter_ops *find_ops(enum conf_http_filter_kind kind)
{
    (void)kind;
    return &filter_ops;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* application/x-www-form-urlencoded, cut to the caller's buffer. */
static void decode_value(struct str v, char *dst, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < v.n && at + 1 < n; i++) {
        int hi = v.p[i] == '%' && i + 2 < v.n ? hex_digit(v.p[i + 1]) : -1;
        int lo = hi >= 0 ? hex_digit(v.p[i + 2]) : -1;
        if (lo >= 0) {
            dst[at++] = (char)(hi * 16 + lo);
            i += 2;
        } else {
            dst[at++] = v.p[i] == '+' ? ' ' : v.p[i];
        }
    }
    dst[at] = 0;
}

static char *decode_copy(struct str v)
{
    char *copy = mem_alloc(v.n + 1);
    decode_value(v, copy, v.n + 1);
    return copy;
}

void admin_each_query(const struct admin_request *r,
                      void (*fn)(void *arg, const char *name, const char *value), void *arg)
{
    struct str rest = r->query, part;
    while (str_next(&rest, '&', &part)) {
        ptrdiff_t eq = str_find(part, '=');
        size_t n = eq < 0 ? part.n : (size_t)eq;
        if (!n)
            continue;
        char *name = decode_copy((struct str){part.p, n});
        char *value = decode_copy(eq < 0 ? STR("") : (struct str){part.p + n + 1, part.n - n - 1});
        fn(arg, name, value);
        mem_free(name);
        mem_free(value);
    }
}

bool admin_query(const struct admin_request *r, const char *name, char *dst, size_t n)
{
    struct str rest = r->query, part;
    while (str_next(&rest, '&', &part)) {
        ptrdiff_t eq = str_find(part, '=');
        struct str key = {part.p, eq < 0 ? part.n : (size_t)eq};
        struct str value = {part.p + eq + 1, eq < 0 ? 0 : part.n - (size_t)eq - 1};
        if (!str_is(key, name))
            continue;
        decode_value(value, dst, n);
        return true;
    }
    return false;
}

static void on_accept(struct loop_io *io, uint32_t events)
{
    (void)events;
    struct admin *a = container_of(io, struct admin, io);
    struct accepted c = {.remote.len = sizeof(c.remote.ss)};
    c.fd = accept4(io->fd, &c.remote.sa, &c.remote.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (c.fd < 0)
        return;
    sock_local(c.fd, &c.local);
    c.direct_local = c.local;
    c.direct_remote = c.remote;
    listener_take(a->listener, &c);
}

static struct conf_listener *make_conf(const struct addr *address, const struct bootstrap *b)
{
    struct conf_listener *l = conf_object_create(sizeof(*l), "admin");
    struct arena *a = &l->object.arena;
    l->address = *address;
    l->ignores_connection_limit = true;
    l->stat_prefix = "admin";
    l->buffer_limit = 1 << 20;
    l->is_admin = true;
    l->chains_n = 1;
    l->chains = arena_zalloc(a, sizeof(*l->chains));
    l->chains->name = "admin";
    l->chains->match.transport_protocol = "";
    l->chains->filters_n = 1;
    l->chains->filters = arena_zalloc(a, sizeof(*l->chains->filters));
    l->chains->filters->kind = CONF_NET_HCM;
    struct conf_hcm *hcm = arena_zalloc(a, sizeof(*hcm));
    *hcm = (struct conf_hcm){.stat_prefix = "admin",
                             .server_name = "envoy",
                             .ignores_overload = true,
                             .request_headers_size_max = 60 * 1024,
                             .request_headers_count_max = 100,
                             .idle_timeout_ms = 3600000,
                             .stream_idle_timeout_ms = 300000,
                             .delayed_close_timeout_ms = 1000,
                             .use_remote_address = true,
                             .accept_http_10 = true,
                             .default_host_for_http_10 = "",
                             .access_logs = b->admin_access_logs,
                             .access_logs_n = b->admin_access_logs_n,
                             .filters_n = 1};
    hcm->filters = arena_zalloc(a, sizeof(*hcm->filters));
    hcm->filters->name = "admin";
    l->chains->filters->hcm = hcm;
    return l;
}

static int write_path_file(const char *path, const struct addr *a, struct error *err)
{
    char text[ADDR_TEXT_MAX];
    FILE *f = fopen(path, "we");
    if (!f)
        return error_set_errno(err, errno, "--admin-address-path %s", path);
    fputs(addr_format(a, text), f);
    return fclose(f) ? error_set_errno(err, errno, "--admin-address-path %s", path) : 0;
}

int admin_create(struct loop *loop, struct server *server, const struct addr *address,
                 const char *path_file, struct admin **a_r, struct error *err)
{
    int fd = sock_listen(address, 128, err);
    if (fd < 0)
        return error_prefix(err, "admin: ");
    struct admin *a = MEM_NEW(struct admin);
    a->loop = loop;
    a->server = server;
    a->io = (struct loop_io){fd, on_accept};
    sock_local(fd, &a->addr);
    a->env.loop = loop;
    a->env.logs = server->logs;
    struct snapshot *empty = snapshot_copy(NULL);
    hold_switch(&a->env, empty);
    snapshot_unref(empty);
    a->conf = make_conf(address, server->bootstrap);
    a->listener = listener_create_with(a->conf, &a->env, find_ops);
    int rc = loop_add_listen(loop, &a->io) ? error_set_errno(err, errno, "admin") : 0;
    if (!rc && path_file)
        rc = write_path_file(path_file, &a->addr, err);
    if (rc) {
        admin_destroy(&a);
        return rc;
    }
    *a_r = a;
    return 0;
}

static void on_gone(struct listener *l, void *arg)
{
    (void)l;
    struct admin *a = arg;
    conf_object_unref(a->conf);
    hold_switch(&a->env, NULL);
    mem_free(a);
}

void admin_destroy(struct admin **admin)
{
    struct admin *a = *admin;
    if (!a)
        return;
    *admin = NULL;
    loop_del(a->loop, &a->io);
    close(a->io.fd);
    listener_close_all(a->listener);
    listener_drain(a->listener, false, on_gone, a);
}

void admin_address(const struct admin *a, struct addr *addr_r)
{
    *addr_r = a->addr;
}
