/* /init_dump: what is warming, and what each waits for. Source: Envoy's init_dump_handler, which
 * knows listeners only; clusters are there for whoever asks for everything. */
#include "server/admin_private.h"
#include "server/server.h"

/* By type, as Envoy calls those who fetch them. */
static const char *target_format(enum xds_type t)
{
    switch (t) {
    case XDS_RDS:
        return "shared target RdsRouteConfigSubscription RDS init %s";
    case XDS_ECDS:
        return "shared target FilterConfigSubscription init %s";
    case XDS_SRDS:
        return "shared target ScopedRdsConfigSubscription init %s";
    case XDS_SDS:
        return "shared target SdsApi %s";
    default:
        return "target endpoints of %s";
    }
}

static void on_unready(const struct control_unready *u, void *arg)
{
    json_t *name = u->type == XDS_LDS
                       ? json_sprintf("init manager Listener-local-init-manager %s %lu", u->name,
                                      (unsigned long)u->hash)
                       : json_sprintf("init manager Cluster %s", u->name);
    json_array_append_new(arg, json_pack("{s:o}", "name", name));
}

static void on_target(enum xds_type t, const char *name, void *arg)
{
    json_t *last = json_array_get(arg, json_array_size(arg) - 1);
    json_t *targets = json_object_get(last, "target_names");
    if (!targets) {
        targets = json_array();
        json_object_set_new(last, "target_names", targets);
    }
    json_array_append_new(targets, json_sprintf(target_format(t), name));
}

static bool has_listener(struct str mask)
{
    struct str path;
    while (str_next(&mask, ',', &path))
        if (str_is(path, "listener"))
            return true;
    return false;
}

void admin_init_dump(struct admin_request *r)
{
    char mask[256];
    bool has_mask = admin_query(r, "mask", mask, sizeof(mask));
    json_t *all = json_array();
    const struct control_unready_ops ops = {on_unready, on_target, all};
    if (!has_mask)
        control_each_unready(r->server->control, XDS_CDS, &ops);
    if (!has_mask || has_listener(str_of(mask)))
        control_each_unready(r->server->control, XDS_LDS, &ops);
    admin_reply_list(r, "unready_targets_dumps", all);
}
