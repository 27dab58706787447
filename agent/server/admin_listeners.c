/* /listeners: every listener that serves, with its address. Source: Envoy's listeners_handler. */
#include <jansson.h>

#include "net/sock.h"
#include "server/admin_private.h"
#include "server/server.h"

/* The kernel's choice where the configuration leaves the port to it. */
static struct addr address_of(const struct server *s, const struct conf_listener *l)
{
    struct addr a = l->address;
    int fd = l->bind_to_port ? sockets_fd(s->sockets, &l->address, 0) : -1;
    if (fd >= 0 && a.sa.sa_family != AF_UNIX)
        sock_local(fd, &a);
    return a;
}

void admin_listeners(struct admin_request *r)
{
    bool is_json = admin_wants_json(r);
    const struct snapshot *snapshot = publish_current(r->server->publish);
    json_t *all = json_array();
    for (size_t i = 0; i < snapshot->listeners_n; i++) {
        char text[ADDR_TEXT_MAX];
        const char *name = snapshot->listeners[i]->object.name;
        struct addr a = address_of(r->server, snapshot->listeners[i]);
        if (is_json)
            json_array_append_new(
                all, json_pack("{s:s s:o}", "name", name, "local_address", admin_address_json(&a)));
        else
            sbuf_printf(&r->out, "%s::%s\n", name, addr_format(&a, text));
    }
    if (is_json)
        admin_reply_json(r, json_pack("{s:O}", "listener_statuses", all));
    json_decref(all);
}
