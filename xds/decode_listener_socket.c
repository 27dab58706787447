/* What a listener binds: its addresses and how their sockets are set up. */
#include <netinet/tcp.h>

#include "xds/decode_private.h"

typedef Envoy__Config__Listener__V3__Listener listener_msg;
typedef Envoy__Config__Listener__V3__AdditionalAddress additional_msg;
typedef Envoy__Config__Core__V3__SocketOption option_msg;
typedef Envoy__Config__Core__V3__TcpKeepalive keepalive_msg;

enum { ADDRESSES_MAX = 256, OPTIONS_MAX = 64, VALUE_MAX = 4096, OWN_OPTIONS = 8 };

#define STATE(x) ENVOY__CONFIG__CORE__V3__SOCKET_OPTION__SOCKET_STATE__##x
#define VERSION(x) ENVOY__CONFIG__CORE__V3__SOCKET_OPTION__SOCKET_IP_VERSION__SOCKET_IP_VERSION_##x
#define VALUE(x) ENVOY__CONFIG__CORE__V3__SOCKET_OPTION__VALUE_##x

/* The options of one socket as they are collected. */
struct options {
    struct sock_option *v;
    size_t n;
};

static void add_int(struct decode *d, struct options *o, struct sock_option option, int value)
{
    option.value =
        (struct str){arena_strndup(d->out, (char *)&value, sizeof(value)), sizeof(value)};
    o->v[o->n++] = option;
}

static int set_state(const option_msg *m, struct sock_option *o, struct error *err)
{
    switch (m->state) {
    case STATE(STATE_PREBIND):
        o->state = SOCK_PREBIND;
        return 0;
    case STATE(STATE_BOUND):
        o->state = SOCK_BOUND;
        return 0;
    case STATE(STATE_LISTENING):
        o->state = SOCK_LISTENING;
        return 0;
    default:
        return error_set(err, ERR_INVALID, "state: unknown value %d", (int)m->state);
    }
}

static int add_option(struct decode *d, const option_msg *m, struct options *list,
                      struct error *err)
{
    struct sock_option o = {.level = (int)m->level, .name = (int)m->name};
    if (m->type && m->type->datagram && !m->type->stream)
        return 0;
    if (m->level < 0 || m->level > INT32_MAX || m->name < 0 || m->name > INT32_MAX)
        return error_set(err, ERR_INVALID, "level, name: out of range");
    if (set_state(m, &o, err))
        return error_code(err);
    o.family = m->ip_version == VERSION(IPV4)   ? AF_INET
               : m->ip_version == VERSION(IPV6) ? AF_INET6
                                                : AF_UNSPEC;
    if (m->value_case == VALUE(INT_VALUE)) {
        if (m->int_value < INT32_MIN || m->int_value > UINT32_MAX)
            return error_set(err, ERR_INVALID, "int_value: out of range");
        add_int(d, list, o, (int)m->int_value);
        return 0;
    }
    if (m->value_case != VALUE(BUF_VALUE))
        return error_set(err, ERR_INVALID, "value: required");
    if (m->buf_value.len > VALUE_MAX)
        return error_set(err, ERR_LIMIT, "buf_value: more than %d bytes", VALUE_MAX);
    o.value = (struct str){
        arena_strndup(d->out, m->buf_value.len ? (char *)m->buf_value.data : "", m->buf_value.len),
        m->buf_value.len};
    list->v[list->n++] = o;
    return 0;
}

static int add_options(struct decode *d, option_msg *const *m, size_t n, struct options *list,
                       struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (add_option(d, m[i], list, err))
            return error_prefix(err, "socket_options[%zu].", i);
    return 0;
}

/* Accepted connections inherit these from the socket that listens. */
static void add_keepalive(struct decode *d, const keepalive_msg *m, struct options *list)
{
    const struct {
        const Google__Protobuf__UInt32Value *value;
        int name;
    } times[] = {{m->keepalive_probes, TCP_KEEPCNT},
                 {m->keepalive_time, TCP_KEEPIDLE},
                 {m->keepalive_interval, TCP_KEEPINTVL}};
    add_int(d, list, (struct sock_option){.level = SOL_SOCKET, .name = SO_KEEPALIVE}, 1);
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        if (times[i].value)
            add_int(d, list, (struct sock_option){.level = IPPROTO_TCP, .name = times[i].name},
                    (int)times[i].value->value);
}

static void add_own(struct decode *d, const listener_msg *m, struct options *list)
{
    const struct sock_option v4 = {.level = SOL_IP, .name = IP_FREEBIND, .family = AF_INET};
    const struct sock_option v6 = {.level = SOL_IPV6, .name = IPV6_FREEBIND, .family = AF_INET6};
    const struct sock_option open = {
        .level = IPPROTO_TCP, .name = TCP_FASTOPEN, .state = SOCK_BOUND};
    if (m->freebind) {
        add_int(d, list, v4, m->freebind->value);
        add_int(d, list, v6, m->freebind->value);
    }
    if (m->tcp_fast_open_queue_length)
        add_int(d, list, open, (int)m->tcp_fast_open_queue_length->value);
}

static uint64_t hash_setup(const struct sock_setup *s)
{
    uint64_t hash =
        hash_xx64(&s->mode, sizeof(s->mode), (uint64_t)(s->reuse_port + 2 * s->transparent));
    for (size_t i = 0; i < s->options_n; i++) {
        const struct sock_option *o = &s->options[i];
        const int numbers[] = {o->level, o->name, o->family, (int)o->state};
        hash = hash_xx64(numbers, sizeof(numbers), hash);
        hash = hash_xx64(o->value.p, o->value.n, hash);
    }
    return hash;
}

/* `a` NULL: the listener's own address. */
static int decode_socket(struct decode *d, const listener_msg *m, const additional_msg *a,
                         const struct conf_listener *l, struct conf_socket *out, struct error *err)
{
    const Envoy__Config__Core__V3__Address *address = a ? a->address : m->address;
    option_msg *const *own = m->socket_options;
    size_t own_n = m->n_socket_options;
    const keepalive_msg *keepalive = a && a->tcp_keepalive ? a->tcp_keepalive : m->tcp_keepalive;
    if (a && a->socket_options) { /* in place of the listener's */
        own = a->socket_options->socket_options;
        own_n = a->socket_options->n_socket_options;
    }
    if (decode_address(address, &out->addr, err))
        return error_code(err);
    bool is_unix = out->addr.sa.sa_family == AF_UNIX;
    if (own_n > OPTIONS_MAX)
        return error_set(err, ERR_LIMIT, "socket_options: more than %d", OPTIONS_MAX);
    bool has_own = m->freebind || m->tcp_fast_open_queue_length || keepalive;
    struct options list = {DECODE_ARRAY(d, struct sock_option, own_n + (has_own ? OWN_OPTIONS : 0)),
                           0};
    if (!is_unix)
        add_own(d, m, &list);
    if (!is_unix && keepalive)
        add_keepalive(d, keepalive, &list);
    if (add_options(d, own, own_n, &list, err))
        return error_code(err);
    out->setup = (struct sock_setup){.reuse_port = l->reuse_port && !is_unix,
                                     .transparent = l->transparent,
                                     .options = list.v,
                                     .options_n = list.n};
    if (is_unix)
        out->setup.mode = address->pipe->mode;
    if (out->setup.mode > 0777)
        return error_set(err, ERR_INVALID, "address.pipe.mode: must not be above 0777");
    out->hash = hash_setup(&out->setup);
    return 0;
}

int decode_listener_sockets(struct decode *d, const listener_msg *m, struct conf_listener *l,
                            struct error *err)
{
    size_t n = m->n_additional_addresses;
    if (n >= ADDRESSES_MAX)
        return error_set(err, ERR_LIMIT, "additional_addresses: more than %d", ADDRESSES_MAX - 1);
    l->sockets = DECODE_ARRAY(d, struct conf_socket, n + 1);
    if (decode_socket(d, m, NULL, l, &l->sockets[0], err))
        return error_code(err);
    l->sockets_n = 1;
    l->address = l->sockets[0].addr;
    for (size_t i = 0; i < n; i++) {
        struct conf_socket *s = &l->sockets[l->sockets_n];
        if (decode_socket(d, m, m->additional_addresses[i], l, s, err))
            return error_prefix(err, "additional_addresses[%zu].", i);
        for (size_t k = 0; k < l->sockets_n; k++)
            if (addr_port(&s->addr) && addr_eq(&l->sockets[k].addr, &s->addr))
                return error_set(err, ERR_DUPLICATE,
                                 "additional_addresses[%zu].address: is the listener's already", i);
        l->sockets_n++;
    }
    return 0;
}
