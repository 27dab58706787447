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

/* Types in several lines are one list, which no configuration names. */
static struct str joined_type(struct stream *s)
{
    struct sbuf all = {0};
    for (const struct header *e = s->req.v; e < s->req.v + s->req.n; e++) {
        if (e->id != HDR_UPGRADE)
            continue;
        struct str one = header_value(&s->req, e);
        if (all.n)
            sbuf_addc(&all, ',');
        sbuf_add(&all, one.p, one.n);
    }
    struct str out = {all.n ? arena_strndup(&s->arena, all.p, all.n) : NULL, all.n};
    sbuf_fini(&all);
    return out;
}

struct str upgrade_wanted(struct stream *s)
{
    const struct headers *h = &s->req;
    if (str_is(headers_get(h, HDR_METHOD), "CONNECT"))
        return STR("CONNECT");
    if (!headers_get(h, HDR_UPGRADE).n || !has_token(h, HDR_CONNECTION, STR("upgrade")))
        return STR_NULL;
    return joined_type(s);
}

const struct conf_upgrade *upgrade_find(const struct conf_upgrade *v, size_t n, struct str type)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(v[i].type, type))
            return &v[i];
    return NULL;
}

enum upgrade_verdict upgrade_judge(struct stream *s, struct str type)
{
    const struct conf_hcm *conf = s->hcm->conf;
    const struct conf_route_config *rc;
    struct route_choice choice;
    const struct conf_upgrade *u = NULL;
    bool has_route = !route_resolve(s, &s->req, &rc, &choice) && choice.route;
    if (has_route)
        u = upgrade_find(choice.route->upgrades, choice.route->upgrades_n, type);
    if (!u)
        u = upgrade_find(conf->upgrades, conf->upgrades_n, type);
    if (u && u->is_enabled)
        return UPGRADE_ALLOWED;
    return has_route ? UPGRADE_REFUSED : UPGRADE_UNROUTED;
}

void upgrade_mark(struct headers *h, struct str connection, struct str type)
{
    headers_set_id(h, HDR_CONNECTION, connection);
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
    upgrade_mark(h, STR("upgrade"), protocol);
    headers_set_id(h, HDR_METHOD, STR("GET"));
    headers_remove(h, STR(":protocol"));
}

void upgrade_response_to_h2(struct headers *h)
{
    if (headers_status(h) == 101)
        headers_set_id(h, HDR_STATUS, STR("200"));
    headers_remove_id(h, HDR_CONTENT_LENGTH);
}
