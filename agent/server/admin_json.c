/* What the JSON answers share. */
#include <stdlib.h>

#include "server/admin_private.h"

json_t *admin_address_json(const struct addr *a)
{
    char text[ADDR_TEXT_MAX];
    if (a->sa.sa_family == AF_UNIX)
        return json_pack("{s:{s:s}}", "pipe", "path", addr_format(a, text));
    return json_pack("{s:{s:s s:i}}", "socket_address", "address", addr_format_ip(a, text),
                     "port_value", addr_port(a));
}

void admin_reply_json(struct admin_request *r, json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    sbuf_addz(&r->out, text ? text : "{}");
    sbuf_addc(&r->out, '\n');
    r->content_type = "application/json";
    free(text); /* lint: free: jansson allocated it */
    json_decref(json);
}

void admin_reply_list(struct admin_request *r, const char *key, json_t *list)
{
    json_t *json = json_object();
    if (json_array_size(list))
        json_object_set(json, key, list);
    json_decref(list);
    admin_reply_json(r, json);
}

bool admin_wants_json(const struct admin_request *r)
{
    char format[8];
    return admin_query(r, "format", format, sizeof(format)) && str_is(str_of(format), "json");
}
