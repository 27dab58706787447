#include "proxy/inspect.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "proxy/proxy_header.h"

enum { HTTP_MAX = 8192 }; /* of a request line */

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* What is looked for, on connections to one port. */
struct wants {
    bool proxy, tls, http;
};

struct inspection {
    struct downstream down;
    struct loop_io io;
    struct loop_timer timer;
    struct loop_task task;
    struct wants wants;
};

static bool holds(const struct conf_predicate *p, uint32_t port)
{
    switch (p->kind) {
    case CONF_PREDICATE_ANY:
        return true;
    case CONF_PREDICATE_PORTS:
        return port >= p->start && port < p->end;
    case CONF_PREDICATE_NOT:
        return !holds(&p->rules[0], port);
    default:
        break;
    }
    bool is_and = p->kind == CONF_PREDICATE_AND;
    for (size_t i = 0; i < p->rules_n; i++)
        if (holds(&p->rules[i], port) != is_and)
            return !is_and;
    return is_and;
}

bool inspect_is_disabled(const struct conf_predicate *disabled, const struct addr *local)
{
    return disabled && holds(disabled, addr_port(local));
}

static bool is_on(bool is_there, const struct conf_predicate *disabled, const struct addr *local)
{
    return is_there && !inspect_is_disabled(disabled, local);
}

static struct wants wants_of(const struct conf_listener *conf, const struct addr *local)
{
    return (struct wants){
        .proxy = is_on(conf->proxy_protocol != NULL, conf->proxy_protocol_disabled, local),
        .tls = is_on(conf->has_tls_inspector, conf->tls_inspector_disabled, local),
        .http = is_on(conf->has_http_inspector, conf->http_inspector_disabled, local)};
}

static bool is_method_char(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

static bool ends_with(const uint8_t *p, size_t n, const char *end)
{
    size_t m = strlen(end);
    return n >= m && memcmp(p + n - m, end, m) == 0;
}

/* NULL in *http_r: not HTTP. */
static enum inspect_result find_http(const uint8_t *p, size_t n, const char **http_r)
{
    size_t preface = sizeof(PREFACE) - 1;
    *http_r = NULL;
    if (memcmp(p, PREFACE, n < preface ? n : preface) == 0) {
        *http_r = "h2c";
        return n < preface ? INSPECT_MORE : INSPECT_DONE;
    }
    const uint8_t *end = memchr(p, '\n', n);
    for (size_t i = 0; i < n && p[i] != ' '; i++)
        if (!is_method_char(p[i]))
            return INSPECT_DONE;
    if (!end)
        return n < HTTP_MAX ? INSPECT_MORE : INSPECT_DONE;
    size_t line = (size_t)(end - p);
    if (line && p[line - 1] == '\r')
        line--;
    if (ends_with(p, line, " HTTP/1.1"))
        *http_r = "http/1.1";
    else if (ends_with(p, line, " HTTP/1.0"))
        *http_r = "http/1.0";
    return INSPECT_DONE;
}

enum inspect_result inspect_bytes(bool for_tls, bool for_http, const uint8_t *p, size_t n,
                                  struct inspected *out_r)
{
    out_r->is_tls = false;
    out_r->http = NULL;
    if (!n)
        return INSPECT_MORE;
    if (for_tls) {
        switch (client_hello_parse(p, n, &out_r->hello)) {
        case CLIENT_HELLO_FOUND:
            out_r->is_tls = true;
            return INSPECT_DONE;
        case CLIENT_HELLO_MORE:
            return INSPECT_MORE;
        case CLIENT_HELLO_TOO_LARGE:
            return INSPECT_REFUSE;
        case CLIENT_HELLO_NONE:
            break;
        }
    }
    return for_http ? find_http(p, n, &out_r->http) : INSPECT_DONE;
}

static void run_free(struct loop_task *t)
{
    mem_free(container_of(t, struct inspection, task));
}

/* The object goes with the end of the turn; the descriptor stays. */
static int let_go(struct inspection *in)
{
    struct loop *loop = in->down.listener->env->loop;
    stat_add(in->down.listener->stats.pre_cx_active, -1);
    loop_timer_stop(&in->timer);
    loop_del(loop, &in->io);
    in->task.run = run_free;
    loop_defer(loop, &in->task);
    return in->io.fd;
}

static void close_it(struct inspection *in, const char *why)
{
    log_debug(LOG_CONN_HANDLER, "closing connection: %s on %s", why,
              in->down.listener->conf->object.name);
    close(let_go(in));
    downstream_fini(&in->down);
}

static void close_now(struct downstream *d)
{
    close_it(container_of(d, struct inspection, down), "the listener goes");
}

static void go_on(struct inspection *in, const struct inspected *found)
{
    struct accepted a = downstream_accepted(&in->down, let_go(in));
    listener_choose(in->down.listener, &a, found);
    downstream_hand_over(&in->down);
}

static void count(struct listener *l, const struct inspected *found)
{
    stat_inc(found->is_tls ? l->stats.tls_found : l->stats.tls_not_found);
    if (!found->is_tls)
        return;
    stat_inc(found->hello.server_name[0] ? l->stats.sni_found : l->stats.sni_not_found);
    stat_inc(found->hello.protocols_n ? l->stats.alpn_found : l->stats.alpn_not_found);
}

static void look_for_names(struct inspection *in)
{
    uint8_t bytes[CLIENT_HELLO_MAX];
    struct inspected found;
    struct listener *l = in->down.listener;
    ssize_t n = recv(in->io.fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        stat_inc(l->stats.inspector_connection_closed);
        close_it(in, "the client left before it said anything");
        return;
    }
    switch (inspect_bytes(in->wants.tls, in->wants.http, bytes, (size_t)n, &found)) {
    case INSPECT_DONE:
        if (in->wants.tls)
            count(l, &found);
        go_on(in, &found);
        break;
    case INSPECT_REFUSE:
        stat_inc(l->stats.client_hello_too_large);
        close_it(in, "a ClientHello that is too large");
        break;
    case INSPECT_MORE:
        break;
    }
}

/* What the header says may lead to another listener, and other ports want other inspectors. */
static void go_on_behind_header(struct inspection *in)
{
    struct listener *l = in->down.listener, *to = NULL;
    if (l->conf->use_original_dst && in->down.info.is_restored && l->find)
        to = l->find(l->find_arg, &in->down.info.local);
    if (to && to != l) {
        struct accepted a = downstream_accepted(&in->down, let_go(in));
        listener_take(to, &a);
        downstream_hand_over(&in->down);
        return;
    }
    in->wants = wants_of(l->conf, &in->down.info.local);
    in->wants.proxy = false;
    if (in->wants.tls || in->wants.http)
        look_for_names(in);
    else
        go_on(in, NULL);
}

static void look(struct inspection *in)
{
    if (!in->wants.proxy) {
        look_for_names(in);
        return;
    }
    switch (proxy_header_take(in->down.listener, in->io.fd, &in->down)) {
    case INSPECT_DONE:
        go_on_behind_header(in);
        break;
    case INSPECT_REFUSE:
        close_it(in, "no PROXY protocol header, or one that is not accepted");
        break;
    case INSPECT_MORE:
        break;
    }
}

static void on_event(struct loop_io *io, uint32_t events)
{
    struct inspection *in = container_of(io, struct inspection, io);
    if (events & (EPOLLHUP | EPOLLERR)) {
        stat_inc(in->down.listener->stats.inspector_connection_closed);
        close_it(in, "the connection broke");
        return;
    }
    look(in);
    /* What it said so far is all it will say. */
    if ((events & EPOLLRDHUP) && !in->task.is_queued)
        close_it(in, "the client left before it said enough");
}

/* Time is over. Bytes of a header that is not whole must not be taken for the client's. */
static bool may_go_on(const struct inspection *in)
{
    const struct conf_listener *conf = in->down.listener->conf;
    return conf->continue_on_listener_filters_timeout && !in->wants.proxy;
}

static void on_timer(struct loop_timer *t)
{
    struct inspection *in = container_of(t, struct inspection, timer);
    struct listener *l = in->down.listener;
    stat_inc(l->stats.pre_cx_timeout);
    if (may_go_on(in)) {
        struct inspected nothing = {.is_tls = false, .http = NULL};
        go_on(in, &nothing);
    } else {
        close_it(in, "too little came within listener_filters_timeout");
    }
}

void inspect_start(struct listener *l, const struct accepted *a)
{
    const struct conf_listener *conf = l->conf;
    struct wants wants = wants_of(conf, &a->local);
    if (!wants.proxy && !wants.tls && !wants.http) {
        listener_choose(l, a, NULL);
        return;
    }
    struct inspection *in = MEM_NEW(struct inspection);
    in->wants = wants;
    downstream_init(&in->down, l, a, NULL);
    stat_add(l->stats.pre_cx_active, 1);
    in->down.close = close_now;
    in->io = (struct loop_io){a->fd, on_event};
    loop_timer_init(&in->timer, l->env->loop, on_timer);
    if (loop_add(l->env->loop, &in->io)) {
        close_it(in, "it cannot be watched");
        return;
    }
    if (conf->listener_filters_timeout_ms)
        loop_timer_start(&in->timer, conf->listener_filters_timeout_ms);
    look(in);
}
