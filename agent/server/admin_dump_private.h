/* What makes up /config_dump: its sections, by subject. [main]
 * Source: Envoy's envoy.admin.v3.ConfigDump and who fills it. */
#ifndef SERVER_ADMIN_DUMP_PRIVATE_H
#define SERVER_ADMIN_DUMP_PRIVATE_H

#include <jansson.h>

#include "base/regex.h"
#include "server/server.h"
#include "xds/dump.h"

struct dump {
    struct server *server;
    struct regex *name; /* ?name_regex=, or NULL */
    bool include_eds;
    json_t *lists[3];  /* of the section at hand */
    json_t *listeners; /* the section of all, whatever their names; NULL until it is needed */
};

/* ---- admin_config.c: what the sections share ---- */
bool dump_is_wanted(const struct dump *d, const char *name);
/* An object that says which message of envoy.admin.v3 it is. */
json_t *dump_section(const char *type);
void dump_begin_lists(struct dump *d);
/* Puts lists[i] under keys[i]; empty ones are left out, as proto3 JSON does. */
void dump_end_lists(struct dump *d, json_t *section, const char *const *keys, size_t n);
void dump_set_time(json_t *json, const char *key, uint64_t wall_ns);
void dump_set_text(json_t *json, const char *key, const char *value); /* unless it is "" */
/* {version_info, KEY: resource, last_updated}: what most sections are made of. */
json_t *dump_state(const struct control_row *row, const char *key);
/* Adds error_state (envoy.admin.v3.UpdateFailureState) where the last update was refused. */
json_t *dump_with_error(json_t *json, const struct control_row *row);

/* Calls fn for every listener that serves or is warming, with when it was received. */
void dump_each_listener(struct dump *d,
                        void (*fn)(const json_t *listener, json_t *last_updated, void *arg),
                        void *arg);

/* ---- the sections ---- */
json_t *dump_endpoints(struct dump *d); /* admin_endpoints.c */
/* admin_routes.c */
json_t *dump_routes(struct dump *d);
json_t *dump_scoped_routes(struct dump *d);
json_t *dump_secrets(struct dump *d); /* admin_secrets.c */

#endif
