#include "http/upgrade.h"

#include "http/hcm.h"
#include "http/route_resolve.h"

static bool has_token(const struct headers *h, enum hdr id, struct str wanted)
{
    for (const struct header *e = h->v; e < h->v + h->n; e++) {
        struct str list = e->id == id ? header_value(h, e) : STR_NULL, token;
        while (list.n && str_next(&list, ',', &token))
            if (str_eq_nocase(str_trim(token), wanted))
                return true;
    }
    return false;
}

struct str upgrade_wanted(const struct headers *h)
{
    if (str_is(headers_get(h, HDR_METHOD), "CONNECT"))
        return STR("CONNECT");
    struct str type = headers_get(h, HDR_UPGRADE);
    return type.n && has_token(h, HDR_CONNECTION, STR("upgrade")) ? type : STR_NULL;
}

const struct conf_upgrade *upgrade_find(const struct conf_upgrade *v, size_t n, struct str type)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(v[i].type, type))
            return &v[i];
    return NULL;
}

bool upgrade_is_allowed(struct stream *s, struct str type)
{
    const struct conf_hcm *conf = s->hcm->conf;
    const struct conf_route_config *rc;
    struct route_choice choice;
    const struct conf_upgrade *u = NULL;
    if (!route_resolve(s, &s->req, &rc, &choice) && choice.route)
        u = upgrade_find(choice.route->upgrades, choice.route->upgrades_n, type);
    if (!u)
        u = upgrade_find(conf->upgrades, conf->upgrades_n, type);
    return u && u->is_enabled;
}

void upgrade_mark(struct headers *h, struct str type)
{
    headers_set_id(h, HDR_CONNECTION, STR("upgrade"));
    headers_set_id(h, HDR_UPGRADE, type);
}

bool upgrade_is_taken(const struct stream *s, unsigned status)
{
    if (!s->upgrade.n)
        return false;
    return str_is(s->upgrade, "CONNECT") ? status / 100 == 2 : status == 101;
}

void upgrade_from_h2(struct headers *h)
{
    struct str protocol = headers_get_name(h, STR(":protocol"));
    if (!protocol.p || !str_is(headers_get(h, HDR_METHOD), "CONNECT"))
        return;
    upgrade_mark(h, protocol);
    headers_set_id(h, HDR_METHOD, STR("GET"));
    headers_remove(h, STR(":protocol"));
}

void upgrade_response_to_h2(struct headers *h)
{
    if (headers_status(h) == 101)
        headers_set_id(h, HDR_STATUS, STR("200"));
    headers_remove_id(h, HDR_CONTENT_LENGTH);
}
