#include "proxy/proxy_header.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/proxy_protocol.h"

enum { FIRST_LOOK = 512 };

struct proxy_header_stats {
    stat_id errors, not_found_allowed, not_found_disallowed;
    struct version_stats {
        stat_id found, disallowed, error;
    } version[2];
};

static stat_id define(const char *prefix, const char *name)
{
    return stat_define(STAT_COUNTER, "proxy_proto.%s%s%s", prefix, *prefix ? "." : "", name);
}

struct proxy_header_stats *proxy_header_stats_create(const struct conf_listener *conf)
{
    if (!conf->proxy_protocol)
        return NULL;
    const char *prefix = conf->proxy_protocol->stat_prefix;
    struct proxy_header_stats *st = MEM_NEW(struct proxy_header_stats);
    st->errors = stat_define(STAT_COUNTER, "downstream_cx_proxy_proto_error");
    st->not_found_allowed = define(prefix, "not_found_allowed");
    st->not_found_disallowed = define(prefix, "not_found_disallowed");
    st->version[0] = (struct version_stats){define(prefix, "versions.v1.found"),
                                            define(prefix, "versions.v1.disallowed"),
                                            define(prefix, "versions.v1.error")};
    st->version[1] = (struct version_stats){define(prefix, "versions.v2.found"),
                                            define(prefix, "versions.v2.disallowed"),
                                            define(prefix, "versions.v2.error")};
    return st;
}

void proxy_header_stats_destroy(struct proxy_header_stats **stats)
{
    struct proxy_header_stats *st = *stats;
    if (!st)
        return;
    stat_release(st->errors);
    stat_release(st->not_found_allowed);
    stat_release(st->not_found_disallowed);
    for (int i = 0; i < 2; i++) {
        stat_release(st->version[i].found);
        stat_release(st->version[i].disallowed);
        stat_release(st->version[i].error);
    }
    mem_free(st);
    *stats = NULL;
}

/* Those that are to be passed on, in wire form. */
static void keep_tlvs(const struct conf_proxy_protocol *conf, const uint8_t *p,
                      const struct proxy_protocol *o, struct downstream *d)
{
    struct sbuf kept = {0};
    size_t at = 0;
    uint8_t type;
    struct str value;
    while (proxy_protocol_next_tlv(p + o->tlvs_at, o->len - o->tlvs_at, &at, &type, &value))
        if (conf->passes[type / 8] & 1 << type % 8)
            proxy_protocol_add_tlv(&kept, type, value);
    d->info.proxy_tlvs = (struct str){kept.p, kept.n};
    d->proxy_tlvs = kept.p;
}

static void take_addresses(const struct proxy_protocol *o, struct downstream *d)
{
    d->info.remote = o->source;
    if (addr_eq(&o->destination, &d->info.local))
        return;
    d->info.local = o->destination;
    d->info.is_restored = true;
}

/* The header is whole: p holds it, and the socket still does. */
static enum inspect_result take(struct listener *l, int fd, struct downstream *d, uint8_t *p,
                                const struct proxy_protocol *o)
{
    const struct conf_proxy_protocol *conf = l->conf->proxy_protocol;
    struct version_stats *st = &l->proxy_stats->version[o->version - 1];
    if (conf->is_disallowed[o->version - 1]) {
        stat_inc(st->disallowed);
        stat_inc(l->proxy_stats->errors);
        return INSPECT_REFUSE;
    }
    if (recv(fd, p, o->len, MSG_DONTWAIT) != (ssize_t)o->len)
        return INSPECT_REFUSE;
    stat_inc(st->found);
    if (o->is_local)
        return INSPECT_DONE;
    take_addresses(o, d);
    keep_tlvs(conf, p, o, d);
    return INSPECT_DONE;
}

static enum inspect_result count_bad(struct listener *l, unsigned version)
{
    struct proxy_header_stats *st = l->proxy_stats;
    stat_inc(st->errors);
    stat_inc(version ? st->version[version - 1].error : st->not_found_disallowed);
    return INSPECT_REFUSE;
}

static enum inspect_result look(struct listener *l, int fd, struct downstream *d, uint8_t *p,
                                size_t max, size_t *len_r)
{
    struct proxy_protocol o;
    ssize_t n = recv(fd, p, max, MSG_PEEK | MSG_DONTWAIT);
    *len_r = 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return INSPECT_MORE;
    if (n <= 0)
        return INSPECT_REFUSE;
    switch (proxy_protocol_parse(p, (size_t)n, &o)) {
    case PROXY_PROTOCOL_FOUND:
        return take(l, fd, d, p, &o);
    case PROXY_PROTOCOL_MORE:
        *len_r = o.len;
        return INSPECT_MORE;
    case PROXY_PROTOCOL_NONE:
        if (!l->conf->proxy_protocol->allows_none)
            return count_bad(l, 0);
        stat_inc(l->proxy_stats->not_found_allowed);
        return INSPECT_DONE;
    case PROXY_PROTOCOL_BAD:
        break;
    }
    return count_bad(l, o.version);
}

enum inspect_result proxy_header_take(struct listener *l, int fd, struct downstream *d)
{
    uint8_t first[FIRST_LOOK], whole[PROXY_PROTOCOL_MAX];
    size_t len;
    int waiting = 0;
    enum inspect_result rc = look(l, fd, d, first, sizeof(first), &len);
    if (rc != INSPECT_MORE || len <= sizeof(first))
        return rc;
    /* A large one is looked at when all of it is there, not at each of its bytes. */
    if (ioctl(fd, FIONREAD, &waiting) || (size_t)waiting < len)
        return INSPECT_MORE;
    return look(l, fd, d, whole, len, &len);
}
