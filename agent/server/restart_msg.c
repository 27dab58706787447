#include "server/restart_msg.h"

#include <string.h>

/* Layout, in the machine's byte order: magic, kind, worker, length of the address, the address. */
static const uint32_t MAGIC = 0x31535252; /* "RRS1" */

static void put(unsigned char *dst, size_t at, uint32_t v)
{
    memcpy(dst + at, &v, sizeof(v));
}

static uint32_t get(const unsigned char *src, size_t at)
{
    uint32_t v;
    memcpy(&v, src + at, sizeof(v));
    return v;
}

void restart_msg_write(const struct restart_msg *m, unsigned char dst[RESTART_MSG_SIZE])
{
    memset(dst, 0, RESTART_MSG_SIZE);
    put(dst, 0, MAGIC);
    put(dst, 4, m->kind);
    put(dst, 8, m->worker);
    put(dst, 12, m->addr.len);
    memcpy(dst + 16, &m->addr.ss, m->addr.len <= RESTART_ADDR_MAX ? m->addr.len : 0);
}

static bool is_address(const struct addr *a)
{
    size_t path_at = offsetof(struct sockaddr_un, sun_path);
    switch (a->sa.sa_family) {
    case AF_INET:
        return a->len == sizeof(a->v4);
    case AF_INET6:
        return a->len == sizeof(a->v6);
    case AF_UNIX:
        return a->len > path_at && a->len <= sizeof(a->un);
    default:
        return false;
    }
}

int restart_msg_read(const void *bytes, size_t n, struct restart_msg *m)
{
    const unsigned char *src = bytes;
    *m = (struct restart_msg){0};
    if (n != RESTART_MSG_SIZE || get(src, 0) != MAGIC)
        return -ERR_INVALID;
    uint32_t kind = get(src, 4);
    m->worker = get(src, 8);
    uint32_t len = get(src, 12);
    if (kind < RESTART_STOP_ADMIN || kind >= RESTART_KINDS || m->worker >= RESTART_WORKERS_MAX ||
        len > RESTART_ADDR_MAX)
        return -ERR_INVALID;
    m->kind = (enum restart_kind)kind;
    m->addr.len = len;
    memcpy(&m->addr.ss, src + 16, len);
    if (m->kind == RESTART_GET_SOCKET ? !is_address(&m->addr) : len != 0)
        return -ERR_INVALID;
    return 0;
}
