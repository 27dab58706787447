/* Resources by REST: a DiscoveryRequest as JSON is posted to the server, at once and then again
 * and again; the answer is a DiscoveryResponse as JSON, or 304 for nothing new. One request is
 * under way at a time. There is no NACK in this protocol: what was refused is not confirmed, its
 * version is not sent.
 *
 * libcurl's sockets stand in an epoll set of their own, whose descriptor the loop watches. */
#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/json.h"
#include "xds/rest_target.h"
#include "xds/sources_private.h"

enum { BODY_MAX = 64 * 1024 * 1024, EVENTS_MAX = 8, WAIT_MAX_MS = 1000 };

struct rest {
    struct loop *loop;
    struct ads_ops ops;
    enum xds_type type;
    unsigned source;
    const struct xds_server *server;
    struct str node;
    struct subs subs;
    CURLM *multi;
    CURL *easy;      /* the request under way, or NULL */
    bool is_changed; /* what is wanted, since it began */
    struct curl_slist *headers, *connect_to;
    char curl_error[CURL_ERROR_SIZE];
    struct sbuf request, body;
    struct loop_io io; /* of the epoll set */
    struct loop_timer curl_timer, poll_timer;
    uint64_t ticket;
    size_t target;                /* the one in use */
    char *version, *next_version; /* accepted; of the response that is being worked on */
};

static const char *const paths[XDS_TYPE_COUNT] = {
    [XDS_CDS] = "clusters", [XDS_EDS] = "endpoints",          [XDS_LDS] = "listeners",
    [XDS_RDS] = "routes",   [XDS_SRDS] = "scoped-routes",     [XDS_SDS] = "secrets",
    [XDS_RTDS] = "runtime", [XDS_ECDS] = "extension_configs",
};

/* ---- responses ---- */

static void fail(struct rest *r, const char *text)
{
    log_warn(LOG_CONFIG, "REST config for %s: %s", xds_type_url(r->type), text);
    if (r->server->targets_n > 1)
        r->target = (r->target + 1) % r->server->targets_n;
    r->ops.on_failure(r->ops.arg, r->type, text);
}

static void deliver(struct rest *r)
{
    struct pb_arena arena;
    struct xds_update u;
    struct error err;
    pb_arena_init(&arena, pb_budget(r->body.n));
    struct str body = {r->body.p ? r->body.p : "", r->body.n};
    if (plain_read(PLAIN_JSON, body, r->type, &r->subs, &arena, &u, &err)) {
        fail(r, err.text);
    } else {
        u.source = r->source;
        u.ticket = ++r->ticket;
        mem_free(r->next_version);
        r->next_version = mem_strdup(u.version);
        r->ops.on_update(r->ops.arg, &u);
    }
    pb_arena_fini(&arena);
}

void rest_answer(struct rest *r, uint64_t ticket, const char *detail)
{
    if (detail || ticket != r->ticket || r->is_changed || !r->next_version)
        return;
    mem_free(r->version);
    r->version = r->next_version;
    r->next_version = NULL;
}

static void poll_later(struct rest *r)
{
    uint64_t random, delay = r->server->refresh_delay_ms;
    crypto_random(&random, sizeof(random));
    loop_timer_start(&r->poll_timer, delay + random % (delay + 1));
}

static void drop_request(struct rest *r)
{
    if (!r->easy)
        return;
    curl_multi_remove_handle(r->multi, r->easy);
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    curl_slist_free_all(r->connect_to);
    r->easy = NULL;
    r->headers = r->connect_to = NULL;
    sbuf_fini(&r->request);
}

static void on_done(struct rest *r, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    drop_request(r);
    if (r->is_changed)
        loop_timer_start(&r->poll_timer, 0);
    else
        poll_later(r);
    if (code != CURLE_OK) {
        fail(r, r->curl_error[0] ? r->curl_error : curl_easy_strerror(code));
    } else if (status == 200) {
        deliver(r);
    } else if (status != 304) {
        struct sbuf text = {0};
        sbuf_printf(&text, "the server answers %ld", status);
        fail(r, text.p);
        sbuf_fini(&text);
    }
    sbuf_fini(&r->body);
}

/* ---- requests ---- */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct rest *r = arg;
    if (size * n > BODY_MAX - r->body.n)
        return 0;
    sbuf_add(&r->body, p, size * n);
    return size * n;
}

static int write_request(struct rest *r, struct error *err)
{
    Envoy__Service__Discovery__V3__DiscoveryRequest m =
        ENVOY__SERVICE__DISCOVERY__V3__DISCOVERY_REQUEST__INIT;
    struct pb_arena arena;
    ProtobufCMessage *node = NULL;
    pb_arena_init(&arena, pb_budget(r->node.n));
    int rc = pb_unpack(&envoy__config__core__v3__node__descriptor, r->node.p, r->node.n, &arena,
                       &node, err);
    m.node = (Envoy__Config__Core__V3__Node *)node;
    m.version_info = r->version;
    m.type_url = (char *)xds_type_url(r->type);
    m.resource_names = mem_alloc((hash_count(&r->subs.names) + 1) * sizeof(char *));
    list_for_each (it, &r->subs.list) {
        struct sub *sub = container_of(it, struct sub, node);
        if (sub->count)
            m.resource_names[m.n_resource_names++] = sub->name;
    }
    json_t *json = rc ? NULL : pb_to_json(&m.base, err);
    if (json) {
        size_t n;
        char *text = pb_json_text(json, false, &n);
        sbuf_add(&r->request, text, n);
        mem_free(text);
    }
    json_decref(json);
    mem_free(m.resource_names);
    pb_arena_fini(&arena);
    return json ? 0 : -ERR_INVALID;
}

static int start_request(struct rest *r, struct error *err)
{
    const struct xds_target *t = &r->server->targets[r->target];
    struct sbuf host = {0};
    r->easy = curl_easy_init();
    sbuf_printf(&host, "Host: %s", t->cluster);
    r->headers = curl_slist_append(NULL, host.p);
    r->headers = curl_slist_append(r->headers, "Content-Type: application/json");
    r->headers = curl_slist_append(r->headers, "Expect:");
    sbuf_fini(&host);
    if (rest_set_target(r->easy, t, paths[r->type], &r->connect_to, err))
        return -(int)err->code;
    r->curl_error[0] = 0;
    curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->curl_error);
    curl_easy_setopt(r->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)r->server->request_timeout_ms);
    curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, r->request.p);
    curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE, (long)r->request.n);
    curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
    curl_multi_add_handle(r->multi, r->easy);
    return 0;
}

static void on_poll(struct loop_timer *timer)
{
    struct rest *r = container_of(timer, struct rest, poll_timer);
    struct error err;
    if (r->easy || subs_is_empty(&r->subs))
        return;
    r->is_changed = false;
    if (!write_request(r, &err) && !start_request(r, &err))
        return;
    drop_request(r);
    fail(r, err.text);
    poll_later(r);
}

/* ---- libcurl on the loop ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *per_socket)
{
    struct rest *r = arg;
    struct epoll_event ev = {.data.fd = fd};
    (void)easy;
    (void)per_socket;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(r->io.fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        ev.events |= EPOLLOUT;
    if (epoll_ctl(r->io.fd, EPOLL_CTL_MOD, fd, &ev) < 0 &&
        epoll_ctl(r->io.fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return -1;
    return 0;
}

static int on_timer_change(CURLM *multi, long ms, void *arg)
{
    struct rest *r = arg;
    (void)multi;
    if (ms < 0)
        loop_timer_stop(&r->curl_timer);
    else /* few durations: the loop keeps a queue for each */
        loop_timer_start(&r->curl_timer, ms < 2 ? 1 : ms < WAIT_MAX_MS ? 64 : WAIT_MAX_MS);
    return 0;
}

static void check_done(struct rest *r)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(r->multi, &left)))
        if (m->msg == CURLMSG_DONE && m->easy_handle == r->easy)
            on_done(r, m->data.result);
}

static void on_curl_timer(struct loop_timer *timer)
{
    struct rest *r = container_of(timer, struct rest, curl_timer);
    int running;
    curl_multi_socket_action(r->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    check_done(r);
}

static void on_event(struct loop_io *io, uint32_t events)
{
    struct rest *r = container_of(io, struct rest, io);
    struct epoll_event ev[EVENTS_MAX];
    int running, n = epoll_wait(io->fd, ev, EVENTS_MAX, 0);
    (void)events;
    for (int i = 0; i < n; i++) {
        int what = (ev[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (ev[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (ev[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        curl_multi_socket_action(r->multi, ev[i].data.fd, what, &running);
    }
    check_done(r);
}

/* ---- start and end ---- */

int rest_open(struct loop *loop, const struct source *s, struct str node, const struct ads_ops *ops,
              struct rest **r_r, struct error *err)
{
    if (!paths[s->type])
        return error_set(err, ERR_UNSUPPORTED, "this type has no REST form");
    struct rest *r = MEM_NEW(struct rest);
    r->loop = loop;
    r->ops = *ops;
    r->type = s->type;
    r->source = s->id;
    r->server = &s->boot.server;
    r->node = node;
    r->version = mem_strdup("");
    subs_init(&r->subs);
    loop_timer_init(&r->poll_timer, loop, on_poll);
    loop_timer_init(&r->curl_timer, loop, on_curl_timer);
    r->io.on_event = on_event;
    r->io.fd = epoll_create1(EPOLL_CLOEXEC);
    r->multi = curl_multi_init();
    curl_multi_setopt(r->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(r->multi, CURLMOPT_SOCKETDATA, r);
    curl_multi_setopt(r->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
    curl_multi_setopt(r->multi, CURLMOPT_TIMERDATA, r);
    *r_r = r;
    if (r->io.fd >= 0 && !loop_add_listen(loop, &r->io))
        return 0;
    rest_close(r_r);
    return error_set(err, ERR_IO, "epoll");
}

void rest_close(struct rest **rest)
{
    struct rest *r = *rest;
    if (!r)
        return;
    drop_request(r);
    loop_timer_stop(&r->poll_timer);
    loop_timer_stop(&r->curl_timer);
    curl_multi_cleanup(r->multi);
    loop_del(r->loop, &r->io);
    close(r->io.fd);
    subs_fini(&r->subs);
    sbuf_fini(&r->body);
    mem_free(r->version);
    mem_free(r->next_version);
    mem_free(r);
    *rest = NULL;
}

struct subs *rest_subs(struct rest *r)
{
    return &r->subs;
}

void rest_changed(struct rest *r)
{
    /* With the version it has, the server would say that there is nothing new. */
    mem_free(r->version);
    r->version = mem_strdup("");
    r->is_changed = true;
    if (!r->easy)
        loop_timer_start(&r->poll_timer, 0);
}
