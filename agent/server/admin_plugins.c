/* GET /plugins: what each plugin is doing and what its requests see. Ours; JSON. */
#include <jansson.h>

#include "base/clock.h"
#include "server/admin_private.h"
#include "server/server.h"

static void add_row(const struct plugin_row *row, void *arg)
{
    char since[32];
    clock_format_utc_ms(row->since_ns, since);
    json_array_append_new(
        arg, json_pack("{s:s s:s s:s s:s s:s s:s s:s s:s s:i s:I s:s}", "slot", row->slot, "name",
                       row->name, "state", plugin_state_text(row->state), "digest", row->digest,
                       "serving_digest", row->serving_digest, "resource_version",
                       row->resource_version, "stage", row->stage, "last_error", row->last_error,
                       "vms", (int)row->vms, "traps", (json_int_t)row->traps, "since", since));
}

void admin_plugins(struct admin_request *r)
{
    json_t *rows = json_array();
    rollout_each(r->server->rollout, add_row, rows);
    json_t *top = json_pack("{s:o}", "plugins", rows);
    admin_reply_json(r, top);
}
