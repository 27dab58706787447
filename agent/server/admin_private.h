/* The handlers of the admin interface, by subject; listed in admin_handlers.c. [main] */
#ifndef SERVER_ADMIN_PRIVATE_H
#define SERVER_ADMIN_PRIVATE_H

#include <jansson.h>

#include "base/stat.h"
#include "server/admin.h"

/* admin_process.c */
void admin_ready(struct admin_request *r);
void admin_memory(struct admin_request *r);
void admin_logging(struct admin_request *r);
void admin_quit(struct admin_request *r);
void admin_drain_listeners(struct admin_request *r);
void admin_healthcheck_fail(struct admin_request *r);
void admin_healthcheck_ok(struct admin_request *r);
void admin_reopen_logs(struct admin_request *r);
void admin_reset_counters(struct admin_request *r);
void admin_help(struct admin_request *r);

/* admin_stats.c */
void admin_stats(struct admin_request *r);
/* Every stat that ?usedonly and ?filter= let through; fails, and says so, for a bad filter. */
int admin_each_stat(struct admin_request *r, void (*fn)(const struct stat_value *v, void *arg),
                    void *arg);

/* admin_prometheus.c */
struct stat_buckets {
    const double *bounds; /* upper ones, rising */
    size_t n;
};
/* Those of a histogram. */
const struct stat_buckets *admin_buckets(const char *name);
void admin_prometheus(struct admin_request *r);

/* admin_config.c */
void admin_config_dump(struct admin_request *r);
void admin_init_dump(struct admin_request *r);

/* admin_certs.c, admin_listeners.c, admin_clusters.c */
void admin_certs(struct admin_request *r);
void admin_listeners(struct admin_request *r);
void admin_clusters(struct admin_request *r);

/* admin_info.c */
void admin_server_info(struct admin_request *r);
void admin_runtime(struct admin_request *r);
void admin_hot_restart_version(struct admin_request *r);
void admin_contention(struct admin_request *r);

/* admin_json.c: takes json over and answers with it; ?format=json; an envoy.config.core.v3.Address
 */
void admin_reply_json(struct admin_request *r, json_t *json);
bool admin_wants_json(const struct admin_request *r);
json_t *admin_address_json(const struct addr *a);

/* admin_plugins.c */
void admin_plugins(struct admin_request *r);

#endif
