/* /listeners: every listener that serves, with its address. Source: Envoy's listeners_handler. */
#include <jansson.h>

#include "net/sock.h"
#include "server/admin_private.h"
#include "server/server.h"

/* The kernel's choice where the configuration leaves the port to it. */
static struct addr address_of(const struct server *s, const struct conf_listener *l, size_t i)
{
    struct addr a = l->sockets[i].addr;
    int fd = l->bind_to_port ? sockets_fd(s->sockets, &l->sockets[i], 0) : -1;
    if (fd >= 0 && a.sa.sa_family != AF_UNIX)
        sock_local(fd, &a);
    return a;
}

static json_t *format_json(const struct server *s, const struct conf_listener *l)
{
    struct addr a = address_of(s, l, 0);
    json_t *one =
        json_pack("{s:s s:o}", "name", l->object.name, "local_address", admin_address_json(&a));
    json_t *more = json_array();
    for (size_t i = 1; i < l->sockets_n; i++) {
        a = address_of(s, l, i);
        json_array_append_new(more, admin_address_json(&a));
    }
    if (json_array_size(more))
        json_object_set(one, "additional_local_addresses", more);
    json_decref(more);
    return one;
}

void admin_listeners(struct admin_request *r)
{
    bool is_json = admin_wants_json(r);
    const struct snapshot *snapshot = publish_current(r->server->publish);
    json_t *all = json_array();
    for (size_t i = 0; i < snapshot->listeners_n; i++) {
        const struct conf_listener *l = snapshot->listeners[i];
        if (is_json)
            json_array_append_new(all, format_json(r->server, l));
        for (size_t k = 0; !is_json && k < l->sockets_n; k++) {
            char text[ADDR_TEXT_MAX];
            struct addr a = address_of(r->server, l, k);
            sbuf_printf(&r->out, "%s::%s\n", l->object.name, addr_format(&a, text));
        }
    }
    if (is_json)
        admin_reply_list(r, "listener_statuses", all);
    else
        json_decref(all);
}
