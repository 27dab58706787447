/* The handlers of the admin interface, by subject; listed in admin_handlers.c. [main] */
#ifndef SERVER_ADMIN_PRIVATE_H
#define SERVER_ADMIN_PRIVATE_H

#include <jansson.h>

#include "base/stat.h"
#include "conf/stats.h"
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

/* What /stats was asked for. */
enum admin_histogram_form {
    ADMIN_HISTOGRAM_DEFAULT, /* a summary; in Prometheus' format buckets */
    ADMIN_HISTOGRAM_SUMMARY,
    ADMIN_HISTOGRAM_CUMULATIVE,
    ADMIN_HISTOGRAM_DISJOINT,
    ADMIN_HISTOGRAM_DETAILED,
};

struct admin_stats_query {
    unsigned kinds; /* STAT_SET */
    bool used_only, text_readouts;
    struct regex *filter; /* NULL: all */
    enum admin_histogram_form form;
};

/* admin_stats.c */
void admin_stats(struct admin_request *r);
/* False: it is answered with what is wrong; else end it with admin_stats_query_fini. */
bool admin_stats_query(struct admin_request *r, struct admin_stats_query *q);
void admin_stats_query_fini(struct admin_stats_query *q);
/* The stats of these kinds that it is about, by name. */
void admin_each_stat(const struct admin_stats_query *q, unsigned kinds,
                     void (*fn)(const struct stat_value *v, void *arg), void *arg);
/* Samples of a histogram (NULL: none) at or below each bound; disjoint: above the bound before it.
 * The caller frees them. */
uint64_t *admin_count_buckets(const struct stat_hist *h, const struct conf_stat_buckets *b,
                              bool is_disjoint);

/* admin_stats_json.c */
void admin_stats_json(struct admin_request *r, const struct admin_stats_query *q);

/* admin_prometheus.c */
void admin_prometheus(struct admin_request *r);

/* admin_config.c */
void admin_config_dump(struct admin_request *r);
/* admin_init.c */
void admin_init_dump(struct admin_request *r);

/* admin_certs.c, admin_listeners.c, admin_clusters.c */
void admin_certs(struct admin_request *r);
void admin_listeners(struct admin_request *r);
void admin_clusters(struct admin_request *r);

/* admin_info.c */
void admin_server_info(struct admin_request *r);
void admin_hot_restart_version(struct admin_request *r);
void admin_contention(struct admin_request *r);

/* admin_runtime.c */
void admin_runtime(struct admin_request *r);
void admin_runtime_modify(struct admin_request *r);

/* ---- admin_json.c ---- */
/* Takes json over and answers with it. */
void admin_reply_json(struct admin_request *r, json_t *json);
/* Takes the list over and answers with {KEY: list}, or {} when it is empty, as proto3 JSON does. */
void admin_reply_list(struct admin_request *r, const char *key, json_t *list);
bool admin_wants_json(const struct admin_request *r); /* ?format=json */
/* An envoy.config.core.v3.Address. */
json_t *admin_address_json(const struct addr *a);

/* admin_plugins.c */
void admin_plugins(struct admin_request *r);

#endif
