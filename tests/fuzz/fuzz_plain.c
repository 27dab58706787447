/* Discovery responses that are polled for (REST's JSON) or read from files (YAML, JSON, bytes). The
 * first byte: form, type, and whether all or one name is wanted. Held to: an update names only what
 * was asked for, each name once, and what is refused leaves a text. */
#include <stdlib.h>
#include <string.h>

#include "xds/sources_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_update(const struct xds_update *u, enum xds_type t, const struct subs *subs)
{
    struct hash seen = {0};
    check(u->type == t && u->version && !u->removed_n && !u->heartbeats_n);
    for (size_t i = 0; i < u->resources_n; i++) {
        const struct xds_resource *r = &u->resources[i];
        check(r->name[0] && subs_is_wanted(subs, r->name) &&
              !hash_set(&seen, str_of(r->name), &seen));
        check(!r->value.n || r->value.p);
    }
    hash_fini(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum xds_type types[] = {XDS_LDS, XDS_RDS, XDS_SDS, XDS_RTDS};
    struct pb_arena arena;
    struct xds_update u = {0};
    struct subs subs;
    struct error err = {0};
    if (!size)
        return 0;
    enum xds_type t = types[data[0] >> 2 & 3];
    struct str text = {(const char *)data + 1, size - 1};
    subs_init(&subs);
    subs.is_all = data[0] & 16;
    if (!subs.is_all)
        subs_want(&subs, "a");
    pb_arena_init(&arena, pb_budget(text.n));
    int rc = plain_read((enum plain_form)((data[0] & 3) % 3), text, t, &subs, &arena, &u, &err);
    check(rc == 0 || (rc == -(int)err.code && err.text[0]));
    if (!rc)
        check_update(&u, t, &subs);
    pb_arena_fini(&arena);
    subs_fini(&subs);
    return 0;
}
