/* libcurl's multi interface on the loop. libcurl expects level-triggered events, the loop is
 * edge-triggered: libcurl's sockets stand in an epoll set of their own, whose descriptor the loop
 * watches. */
#include "wasm/fetch_private.h"

#include <curl/curl.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "wasm/blob.h"

enum {
    EVENTS_MAX = 16,
    CONNECTIONS_KEPT = 4,
    ERROR_BODY_MAX = 64 << 10, /* of answers other than 200 */
    HEADER_KEPT_MAX = 8 << 10
};

struct xfer_engine {
    struct loop *loop;
    CURLM *multi;
    struct loop_io io; /* of the epoll set */
    struct loop_timer timer;
    bool allow_loopback;
    char *ca_file, *insecure;
};

struct xfer {
    struct xfer_engine *engine;
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct fetch_url url, origin; /* of this hop, of the first */
    char *authorization, *accept, *form, *sni;
    struct str endpoint_ca; /* own copy */
    struct addr endpoint;   /* len 0: none */
    uint64_t size_max, deadline_us;
    bool is_last;
    unsigned hops;
    struct sbuf body, challenges, trail;
    bool is_over_limit;
    struct error denied; /* why an address was refused */
    char curl_error[CURL_ERROR_SIZE];
    xfer_done_fn done;
    void *arg;
};

static int start_hop(struct xfer *x, const char *url, struct error *err);

/* --- what libcurl calls --- */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct xfer *x = arg;
    long status = 0;
    n *= size;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        if (x->body.n + n <= ERROR_BODY_MAX)
            sbuf_add(&x->body, p, n);
        return n;
    }
    if (n > x->size_max - x->body.n) {
        x->is_over_limit = true;
        return 0;
    }
    sbuf_add(&x->body, p, n);
    return n;
}

static void keep_header(struct sbuf *dst, struct str line, const char *name)
{
    struct str key;
    if (!str_next(&line, ':', &key) || !str_eq_nocase(key, str_of(name)) ||
        dst->n + line.n > HEADER_KEPT_MAX)
        return;
    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    line = str_trim(line);
    sbuf_add(dst, line.p, line.n);
    sbuf_addc(dst, '\n');
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct xfer *x = arg;
    struct str line = {p, size * n};
    if (str_starts(line, STR("HTTP/"))) {
        /* A new answer (after 100 Continue): what came before does not count. */
        sbuf_fini(&x->challenges);
    }
    keep_header(&x->challenges, line, "www-authenticate");
    return size * n;
}

/* Addresses are judged here and not by name: whatever a name resolves to, and wherever a redirect
 * or a token server leads, passes this point. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct xfer *x = arg;
    struct addr a = {.len = to->addrlen};
    (void)purpose;
    if (to->addrlen > sizeof(a.ss))
        return CURL_SOCKET_BAD;
    memcpy(&a.ss, &to->addr, to->addrlen);
    /* A cluster at a loopback address was named by who runs the proxy. */
    bool is_endpoint = x->endpoint.len && addr_eq(&a, &x->endpoint);
    if (fetch_policy_check_addr(&a, x->engine->allow_loopback || is_endpoint, &x->denied))
        return CURL_SOCKET_BAD;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *per_socket)
{
    struct xfer_engine *e = arg;
    (void)easy;
    (void)per_socket;
    struct epoll_event ev = {.data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(e->io.fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        ev.events |= EPOLLOUT;
    if (epoll_ctl(e->io.fd, EPOLL_CTL_MOD, fd, &ev) < 0 &&
        epoll_ctl(e->io.fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return -1;
    return 0;
}

static int on_timer_change(CURLM *multi, long ms, void *arg)
{
    struct xfer_engine *e = arg;
    (void)multi;
    if (ms < 0) {
        loop_timer_stop(&e->timer);
        return 0;
    }
    /* Few different durations: the loop keeps a queue for each. A zero would starve its turn. */
    uint64_t wait = ms < 1 ? 1 : (uint64_t)ms;
    if (wait > 16)
        wait = (wait + 15) / 16 * 16;
    if (wait > 1024)
        wait = (wait + 1023) / 1024 * 1024;
    loop_timer_start(&e->timer, wait);
    return 0;
}

/* --- exchanges --- */

static void free_xfer(struct xfer *x)
{
    if (x->easy) {
        curl_multi_remove_handle(x->engine->multi, x->easy);
        curl_easy_cleanup(x->easy);
    }
    curl_slist_free_all(x->headers);
    curl_slist_free_all(x->connect_to);
    mem_free(x->authorization);
    mem_free(x->accept);
    mem_free(x->form);
    mem_free(x->sni);
    mem_free((char *)x->endpoint_ca.p);
    sbuf_fini(&x->body);
    sbuf_fini(&x->challenges);
    sbuf_fini(&x->trail);
    mem_free(x);
}

static void finish(struct xfer *x, struct error *err)
{
    struct xfer_result res = {0};
    long status = 0;
    if (err && x->trail.n)
        error_prefix(err, "%s: ", x->trail.p);
    if (err) {
        x->done(x->arg, NULL, err);
        free_xfer(x);
        return;
    }
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    size_t n = x->body.n;
    res.status = (unsigned)status;
    res.body = blob_take(sbuf_take(&x->body), n);
    res.challenges = x->challenges.p ? x->challenges.p : "";
    x->done(x->arg, &res, NULL);
    blob_unref(&res.body);
    free_xfer(x);
}

static void explain(const struct xfer *x, CURLcode code, struct error *err)
{
    const char *text = x->curl_error[0] ? x->curl_error : curl_easy_strerror(code);
    bool may_be_plain =
        code == CURLE_SSL_CONNECT_ERROR || (code == CURLE_COULDNT_CONNECT && !x->url.has_port);
    if (x->is_over_limit || code == CURLE_FILESIZE_EXCEEDED)
        error_set(err, ERR_LIMIT, "body is larger than %llu bytes",
                  (unsigned long long)x->size_max);
    else if (x->denied.text[0] && code == CURLE_COULDNT_CONNECT)
        *err = x->denied;
    else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        error_set(err, ERR_DENIED, "%s", text);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        error_set(err, ERR_TIMEOUT, "%s", text);
    else if (code == CURLE_PARTIAL_FILE)
        error_set(err, ERR_IO, "truncated: %s", text);
    else
        error_set(err, may_be_plain ? ERR_UNSUPPORTED : ERR_IO, "%s", text);
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The URL with another host; NULL if that cannot be one. */
static char *with_host(const char *url, const char *host)
{
    char *text = NULL, *res = NULL;
    struct sbuf b = {0};
    CURLU *u = curl_url();
    sbuf_printf(&b, strchr(host, ':') ? "[%s]" : "%s", host);
    if (u && !curl_url_set(u, CURLUPART_URL, url, 0) && !curl_url_set(u, CURLUPART_HOST, b.p, 0) &&
        !curl_url_get(u, CURLUPART_URL, &text, 0))
        res = mem_strdup(text);
    curl_free(text);
    curl_url_cleanup(u);
    sbuf_fini(&b);
    return res;
}

static bool has_sni(const struct xfer *x)
{
    return x->endpoint.len && x->sni;
}

/* libcurl asks for and verifies the URL's host: the cluster's sni takes its place there. */
static int set_url(struct xfer *x, CURL *h, const char *url, struct error *err)
{
    char *named = has_sni(x) ? with_host(url, x->sni) : mem_strdup(url);
    if (!named)
        return error_set(err, ERR_INVALID, "the cluster's sni is not a host name: '%s'", x->sni);
    curl_easy_setopt(h, CURLOPT_URL, named);
    mem_free(named);
    return 0;
}

/* Where a redirect leads; one to the host itself came out with the sni for the host. */
static char *redirect_target(const struct xfer *x, const char *to)
{
    struct fetch_url url;
    struct error err;
    bool is_self = has_sni(x) && !fetch_policy_parse_url(to, &url, &err) &&
                   str_eq_nocase(str_of(url.host), str_of(x->sni));
    char *own = is_self ? with_host(to, x->url.host) : NULL;
    return own ? own : mem_strdup(to);
}

/* Follows by hand: each hop is judged, and credentials stay with the origin they are for. */
static int follow(struct xfer *x, const char *to, struct error *err)
{
    struct fetch_url from = x->url, url;
    char *copy = redirect_target(x, to); /* it belongs to the handle that is about to go */
    sbuf_fini(&x->trail);
    sbuf_addz(&x->trail, "redirected to ");
    fetch_policy_format_url(copy, &x->trail);
    int rc = fetch_policy_parse_url(copy, &url, err);
    if (!rc)
        rc = fetch_policy_check_redirect(&from, &url, ++x->hops, x->engine->insecure, err);
    if (!rc) {
        curl_multi_remove_handle(x->engine->multi, x->easy);
        curl_easy_cleanup(x->easy);
        x->easy = NULL;
        x->endpoint.len = 0; /* the cluster is for the first address */
        rc = start_hop(x, copy, err);
    }
    mem_free(copy);
    return rc;
}

static void on_transfer_done(struct xfer *x, CURLcode code)
{
    struct error err = {0};
    long status = 0;
    char *to = NULL;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x->easy, CURLINFO_REDIRECT_URL, &to);
    if (code != CURLE_OK) {
        explain(x, code, &err);
        finish(x, &err);
    } else if (is_redirect(status) && to && !x->form) {
        if (follow(x, to, &err))
            finish(x, &err);
    } else {
        finish(x, NULL);
    }
}

static void check_done(struct xfer_engine *e)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(e->multi, &left))) {
        struct xfer *x = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
        on_transfer_done(x, code);
    }
}

static int set_tls(struct xfer *x, CURL *h, struct error *err)
{
    struct xfer_engine *e = x->engine;
    if (fetch_policy_is_insecure(e->insecure, &x->url)) {
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (x->endpoint.len && x->endpoint_ca.n) {
        struct curl_blob pem = {(char *)x->endpoint_ca.p, x->endpoint_ca.n, CURL_BLOB_COPY};
        curl_easy_setopt(h, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
        if (curl_easy_setopt(h, CURLOPT_CAINFO_BLOB, &pem) != CURLE_OK)
            return error_set(err, ERR_INTERNAL, "libcurl: cannot set the cluster's trusted_ca");
    } else if (e->ca_file) {
        curl_easy_setopt(h, CURLOPT_CAINFO, e->ca_file);
    }
    return 0;
}

static void set_headers(struct xfer *x, CURL *h)
{
    struct sbuf b = {0};
    curl_slist_free_all(x->headers);
    x->headers = NULL;
    if (x->accept) {
        sbuf_printf(&b, "Accept: %s", x->accept);
        x->headers = curl_slist_append(x->headers, b.p);
        sbuf_fini(&b);
    }
    if (has_sni(x)) {
        sbuf_printf(&b, strchr(x->url.host, ':') ? "Host: [%s]" : "Host: %s", x->url.host);
        if (x->url.has_port)
            sbuf_printf(&b, ":%u", x->url.port);
        x->headers = curl_slist_append(x->headers, b.p);
        sbuf_fini(&b);
    }
    if (x->authorization && fetch_policy_is_same_origin(&x->url, &x->origin)) {
        sbuf_printf(&b, "Authorization: %s", x->authorization);
        x->headers = curl_slist_append(x->headers, b.p);
        sbuf_fini(&b);
    }
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, x->headers);
}

static void set_endpoint(struct xfer *x, CURL *h)
{
    char text[ADDR_TEXT_MAX];
    struct sbuf b = {0};
    if (!x->endpoint.len)
        return;
    sbuf_printf(&b, "::%s", addr_format(&x->endpoint, text));
    x->connect_to = curl_slist_append(NULL, b.p);
    sbuf_fini(&b);
    curl_easy_setopt(h, CURLOPT_CONNECT_TO, x->connect_to);
    curl_easy_setopt(h, CURLOPT_FRESH_CONNECT, 1L);
}

static long ms_left(const struct xfer *x)
{
    uint64_t now = loop_now_us(x->engine->loop);
    return now + 1000 < x->deadline_us ? (long)((x->deadline_us - now) / 1000) : 1;
}

static void set_callbacks(struct xfer *x, CURL *h)
{
    curl_easy_setopt(h, CURLOPT_PRIVATE, x);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, x->curl_error);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, x);
}

static int start_hop(struct xfer *x, const char *url, struct error *err)
{
    if (fetch_policy_parse_url(url, &x->url, err))
        return -err->code;
    CURL *h = curl_easy_init();
    if (!h)
        return error_set(err, ERR_INTERNAL, "libcurl: no memory");
    sbuf_fini(&x->body);
    x->curl_error[0] = 0;
    x->denied.text[0] = 0;
    x->easy = h;
    set_callbacks(x, h);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_PROXY, ""); /* not even from the environment */
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L); /* a resolver that hangs must not hold main */
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "remora");
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, ms_left(x));
    curl_easy_setopt(h, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)x->size_max);
    if (x->is_last)
        curl_easy_setopt(h, CURLOPT_FORBID_REUSE, 1L);
    if (x->form)
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, x->form);
    if (set_url(x, h, url, err) || set_tls(x, h, err))
        return -err->code;
    set_headers(x, h);
    set_endpoint(x, h);
    if (curl_multi_add_handle(x->engine->multi, h) != CURLM_OK)
        return error_set(err, ERR_INTERNAL, "libcurl: cannot add a transfer");
    return 0;
}

int xfer_start(struct xfer_engine *e, const struct xfer_request *req, xfer_done_fn done, void *arg,
               struct xfer **x_r, struct error *err)
{
    struct xfer *x = MEM_NEW(struct xfer);
    x->engine = e;
    x->done = done;
    x->arg = arg;
    x->size_max = req->size_max;
    x->is_last = req->is_last;
    x->deadline_us = loop_now_us(e->loop) + req->timeout_ms * 1000ull;
    x->authorization = req->authorization ? mem_strdup(req->authorization) : NULL;
    x->accept = req->accept ? mem_strdup(req->accept) : NULL;
    x->form = req->form ? mem_strdup(req->form) : NULL;
    if (req->endpoint) {
        x->endpoint = req->endpoint->addr;
        x->sni = req->endpoint->sni && *req->endpoint->sni ? mem_strdup(req->endpoint->sni) : NULL;
        x->endpoint_ca = req->endpoint->ca_pem;
        if (x->endpoint_ca.n)
            x->endpoint_ca.p = mem_dup(x->endpoint_ca.p, x->endpoint_ca.n);
    }
    int rc = fetch_policy_parse_url(req->url, &x->origin, err);
    if (!rc)
        rc = start_hop(x, req->url, err);
    if (rc)
        free_xfer(x);
    else
        *x_r = x;
    return rc;
}

void xfer_cancel(struct xfer **x)
{
    if (*x)
        free_xfer(*x);
    *x = NULL;
}

/* --- engine --- */

static void on_events(struct loop_io *io, uint32_t events)
{
    struct xfer_engine *e = container_of(io, struct xfer_engine, io);
    struct epoll_event ev[EVENTS_MAX];
    int running;
    (void)events;
    int n = epoll_wait(io->fd, ev, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        int what = 0;
        if (ev[i].events & (EPOLLIN | EPOLLHUP))
            what |= CURL_CSELECT_IN;
        if (ev[i].events & EPOLLOUT)
            what |= CURL_CSELECT_OUT;
        if (ev[i].events & EPOLLERR)
            what |= CURL_CSELECT_ERR;
        curl_multi_socket_action(e->multi, ev[i].data.fd, what, &running);
    }
    check_done(e);
}

static void on_timer(struct loop_timer *t)
{
    struct xfer_engine *e = container_of(t, struct xfer_engine, timer);
    int running;
    curl_multi_socket_action(e->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    check_done(e);
}

int xfer_engine_create(struct loop *loop, const struct rollout_options *o, struct xfer_engine **e_r,
                       struct error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(err, ERR_INTERNAL, "libcurl cannot start");
    struct xfer_engine *e = MEM_NEW(struct xfer_engine);
    e->loop = loop;
    e->allow_loopback = o->allow_loopback;
    e->ca_file = o->ca_file ? mem_strdup(o->ca_file) : NULL;
    e->insecure = o->insecure_registries ? mem_strdup(o->insecure_registries) : NULL;
    e->multi = curl_multi_init();
    e->io = (struct loop_io){epoll_create1(EPOLL_CLOEXEC), on_events};
    loop_timer_init(&e->timer, loop, on_timer);
    if (!e->multi || e->io.fd < 0 || loop_add_listen(loop, &e->io)) {
        int why = errno;
        xfer_engine_destroy(&e);
        return error_set_errno(err, why, "download engine");
    }
    curl_multi_setopt(e->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(e->multi, CURLMOPT_SOCKETDATA, e);
    curl_multi_setopt(e->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
    curl_multi_setopt(e->multi, CURLMOPT_TIMERDATA, e);
    curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    *e_r = e;
    return 0;
}

void xfer_engine_destroy(struct xfer_engine **ep)
{
    struct xfer_engine *e = *ep;
    *ep = NULL;
    if (!e)
        return;
    if (e->multi)
        curl_multi_cleanup(e->multi);
    loop_timer_stop(&e->timer);
    if (e->io.fd >= 0) {
        loop_del(e->loop, &e->io);
        close(e->io.fd);
    }
    mem_free(e->ca_file);
    mem_free(e->insecure);
    mem_free(e);
    curl_global_cleanup();
}
