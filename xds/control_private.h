/* What the control_*.c files share. */
#ifndef XDS_CONTROL_PRIVATE_H
#define XDS_CONTROL_PRIVATE_H

#include "base/hash.h"
#include "base/list.h"
#include "base/stat.h"
#include "xds/control.h"
#include "xds/decode.h"
#include "xds/sources.h"
#include "xds/watch.h"

/* One resource by name. `active` serves; `warming` waits for something; both may be there. */
struct entry {
    enum xds_type type;
    char *name;
    char *version, *active_version, *failed_version;
    bool is_static;
    struct conf_object *active, *warming;
    struct str active_bytes, warming_bytes; /* owned copies */
    struct str failed_bytes;
    char *error;
    uint64_t updated_ns, warming_ns, failed_ns; /* when they were received */
    bool is_listed;                             /* mark while a complete update is worked off */
    bool is_timed_out;           /* warming: waited long enough for what is missing */
    bool has_no_endpoints;       /* warming cluster: its server has no endpoints for it */
    bool has_predecessor;        /* warming listener: another version serves */
    bool has_vhds_answer;        /* warming routes: their virtual hosts are known, or need not be */
    bool has_changed_hosts;      /* routes, while an update of virtual hosts is worked off */
    struct loop_timer timer;     /* initial_fetch_timeout of a warming entry */
    struct loop_timer ttl_timer; /* off: it has no end */
    struct loop_timer forget_timer; /* since nothing refers to it */
    struct control *control;
    unsigned source; /* that brought it; 0: static */
    char *wire_name; /* of a secret, whose name here is the key of its references; else NULL */
};

/* An answer that is being put together. Freed when answered and nothing refers to it. */
struct batch {
    struct list node;
    struct control *control;
    enum xds_type type;
    uint64_t ticket; /* 0: static configuration, nobody to answer */
    unsigned source;
    char *version; /* of the response */
    struct sbuf errors;
    unsigned pending, refs;
    bool is_answered;
    struct loop_timer timer;
};

#define CONTROL_STAT_MAP(X)                   \
    X(COUNTER, attempt, "update_attempt")     \
    X(COUNTER, success, "update_success")     \
    X(COUNTER, rejected, "update_rejected")   \
    X(COUNTER, failure, "update_failure")     \
    X(COUNTER, timeout, "init_fetch_timeout") \
    X(GAUGE, version, "version")              \
    X(GAUGE, time, "update_time")             \
    X(TEXT, version_text, "version_text")

struct control_stats {
#define X(kind, field, name) stat_id field;
    CONTROL_STAT_MAP(X)
#undef X
};

/* A plugin slot: wanted by listeners (warming ones too). */
struct slot {
    char *name;
    unsigned users;
    bool is_discovered, is_network;
    struct control_stats stats; /* discovered */
    stat_id reload, fail;
};

/* A layer of the runtime. */
struct runtime_layer {
    struct control *control;
    const struct bootstrap_layer *boot;
    struct runtime *values;  /* of this layer alone; NULL: there is none now */
    struct watch *watch;     /* on disk */
    struct loop_timer timer; /* RTDS: initial_fetch_timeout */
    bool is_settled;         /* not, or no longer, awaited */
};

#define RUNTIME_STAT_MAP(X)                                    \
    X(GAUGE, keys, "num_keys")                                 \
    X(GAUGE, layers, "num_layers")                             \
    X(GAUGE, admin_overrides_active, "admin_overrides_active") \
    X(COUNTER, load_success, "load_success")                   \
    X(COUNTER, load_error, "load_error")                       \
    X(COUNTER, override_dir_exists, "override_dir_exists")     \
    X(COUNTER, override_dir_not_exists, "override_dir_not_exists")

struct runtime_stats {
#define X(kind, field, name) stat_id field;
    RUNTIME_STAT_MAP(X)
#undef X
};

struct control {
    struct loop *loop;
    struct control_options o;
    struct sources *sources;
    struct hash store[XDS_TYPE_COUNT]; /* name -> struct entry */
    struct list batches;
    struct hash eds_users;          /* name -> the clusters that ask for it (control_eds.c) */
    struct hash rds_users;          /* name -> the listeners and scopes (control_rds.c) */
    struct hash slots;              /* name -> struct slot */
    struct hash secrets;            /* key -> struct secret_use */
    char *versions[XDS_TYPE_COUNT]; /* of the last response; NULL before the first */
    struct control_stats stats[XDS_TYPE_COUNT];
    struct pb_unknown unknown;
    stat_id connected, dynamic_unknown, static_unknown;
    stat_id active_clusters, warming_clusters, cluster_added, cluster_modified, cluster_removed;
    stat_id active_listeners, warming_listeners, listener_in_place_updated, listener_added,
        listener_modified, listener_removed, listener_create_success, listener_create_failure;
    struct runtime_layer *runtime; /* in the order of the bootstrap */
    size_t runtime_n;
    struct runtime_stats runtime_stats;
    unsigned scopes_wanted;          /* by listeners */
    struct conf_source scope_routes; /* of the routes of scopes; own copy */
    char *scope_prefix;              /* stat_prefix of the connection manager they came with */
    bool has_srds;
    bool is_cds_wanted, is_lds_wanted, is_initialized, has_cds, has_lds, is_closing;
    struct loop_timer cds_timer, lds_timer;
    struct loop_task check_task; /* warming entries are looked at once per turn */
    bool is_edited;
};

/* ---- control_store.c ---- */
struct entry *store_find(struct control *c, enum xds_type t, const char *name);
struct entry *store_get(struct control *c, enum xds_type t, const char *name);
void store_remove(struct control *c, struct entry *e);
/* The new object waits as `warming` (takes over its reference). */
void store_set_warming(struct entry *e, const struct batch *b, void *object, struct str bytes,
                       const char *version);
/* `warming` becomes `active`. */
void store_activate(struct entry *e);
/* `warming` is given up; `active`, if there is one, is what is held again. */
void store_drop_warming(struct entry *e);
/* bytes STR_NULL: what failed is what was accepted before. */
void store_set_error(struct entry *e, struct str bytes, const char *version, const char *text);
void store_clear_error(struct entry *e);
void store_fini(struct control *c);

/* ---- control_batch.c ---- */
struct batch *batch_create(struct control *c, enum xds_type t, unsigned source, uint64_t ticket);
/* Adds "NAME: text" ("NAME: stage: text" with a stage). After the answer: a late NACK. */
void batch_add_error(struct batch *b, const char *name, const char *stage, const char *text);
void batch_free_all(struct control *c); /* at the end, when nobody calls back any more */
void batch_hold(struct batch *b);
void batch_release(struct batch *b);
/* Everything was worked off: publishes, and answers when nothing is pending. */
void batch_finish(struct batch *b);

/* ---- per type: work off one resource, one removal; the end of an update ---- */
void cds_apply(struct control *c, struct batch *b, const struct xds_resource *r, bool is_static);
void cds_remove(struct control *c, struct entry *e);
/* Brings cluster_manager's gauges up to date: once per turn, for it looks at every cluster. */
void cds_count(struct control *c);
void cds_check(struct control *c, struct entry *e);
/* New endpoints (NULL: none) of the assignment eds_name, for a cluster that may ask for it. */
void cds_set_endpoints(struct control *c, struct entry *e, const char *eds_name,
                       struct conf_endpoints *endpoints);
void lds_apply(struct control *c, struct batch *b, const struct xds_resource *r, bool is_static);
void lds_remove(struct control *c, struct entry *e);
/* What its warming version still misses was waited for long enough. */
void lds_note_timeout(struct control *c, struct entry *e);
void lds_check(struct control *c, struct entry *e);
/* Brings listener_manager's gauges up to date: once per turn. */
void lds_count(struct control *c);
void ecds_apply(struct control *c, struct batch *b, const struct xds_resource *r);
void ecds_remove(struct control *c, struct entry *e);

/* ---- control_eds.c ---- */
/* A version of a cluster takes its endpoints from the assignment `name`; it does no longer. */
void eds_want(struct control *c, struct entry *cluster, const char *name);
void eds_unwant(struct control *c, struct entry *cluster, const char *name);
bool eds_is_wanted(const struct control *c, const char *name);
void eds_apply(struct control *c, struct batch *b, const struct xds_resource *r);
/* The server does not have it, or not any more: clusters that run keep their endpoints, those that
 * wait serve without, as in Envoy (EdsClusterImpl::onConfigUpdate). */
void eds_note_missing(struct control *c, const char *name);
void eds_fini(struct control *c);

/* ---- control_ttl.c ---- */
void ttl_init(struct entry *e);
/* How long what the update brought, or prolongs, may stay. Before what is not listed is removed. */
void ttl_note(struct control *c, const struct xds_update *u);
/* Nothing refers to this name any more: what there is of it is forgotten after forget_after_ms,
 * unless something does by then. */
void forget_later(struct control *c, enum xds_type t, const char *name);

/* ---- control_counts.c ---- */
/* Statistics of what is asked for by one name, or of a type; the format makes the prefix. */
void counts_define(struct control_stats *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void counts_release(struct control_stats *s);
/* An update came and was taken or refused. */
void counts_note(struct control_stats *s, const struct batch *b, bool is_good);

/* ---- control_ecds.c: statistics of slots ---- */
void slot_define_stats(struct slot *s); /* of a discovered one */
void slot_destroy(struct slot *s);
void slot_note_timeout(struct control *c, const char *name);
void slots_note_failure(struct control *c); /* their server cannot be reached */

/* ---- control_rds.c ---- */
/* Asks for routes on behalf of a listener or a scope; counted. */
void rds_want(struct control *c, const char *stat_prefix, const char *name,
              const struct conf_source *source);
void rds_unwant(struct control *c, const char *name, const struct conf_source *source);
bool rds_is_wanted(const struct control *c, const char *name);
/* Someone's initial_fetch_timeout is over. */
void rds_note_timeout(struct control *c, const char *name);
void rds_note_failure(struct control *c); /* their server cannot be reached */
void rds_apply(struct control *c, struct batch *b, const struct xds_resource *r);
void rds_remove(struct control *c, struct entry *e);
void rds_check(struct control *c, struct entry *e);
/* `active` goes into the next snapshot. */
void rds_publish(struct control *c, struct entry *e);
void rds_fini(struct control *c);

/* ---- control_vhds.c ---- */
void vhds_apply(struct control *c, struct batch *b, const struct xds_resource *r);
void vhds_remove(struct control *c, struct entry *e);
/* At the end of an update (b NULL: hosts were removed without one): the route configurations whose
 * hosts have changed are made anew. */
void vhds_finish(struct control *c, struct batch *b);
/* Forgets the hosts of sources that are closed. */
void vhds_sweep(struct control *c);
/* *routes, decoded from bytes, is replaced by itself with the virtual hosts that are there. */
int vhds_merge(struct control *c, const char *name, struct str bytes,
               struct conf_route_config **routes, struct error *err);
/* The bytes of the active routes with their virtual hosts. */
void vhds_show(struct control *c, const struct entry *e, struct sbuf *out);
/* Asks for the virtual hosts of routes that are to be e's; whether they need not be waited for. */
bool vhds_want(struct control *c, const struct entry *e, const struct conf_route_config *routes);
void vhds_unwant(struct control *c, const struct conf_route_config *routes);
bool vhds_is_ready(struct control *c, const struct entry *e);

/* ---- control_runtime.c ---- */
/* Reads the layers of the bootstrap, and asks for those that are discovered. */
int runtime_start(struct control *c, struct error *err);
/* Nothing is awaited any more. */
bool runtime_is_ready(const struct control *c);
void runtime_close(struct control *c);
void runtime_fini(struct control *c);
void runtime_publish(struct control *c);
/* New values of a layer: an empty runtime of that one layer; it replaces those before. */
struct runtime *runtime_layer_begin(const struct runtime_layer *l);
void runtime_layer_set(struct runtime_layer *l, struct runtime *values);

/* ---- control_rtds.c ---- */
int rtds_want(struct control *c, struct runtime_layer *l, struct error *err);
/* The server has spoken of the resource, though without it. */
void rtds_note_answer(struct control *c, const char *name);
void rtds_apply(struct control *c, struct batch *b, const struct xds_resource *r);
void rtds_remove(struct control *c, struct entry *e);

/* ---- control_srds.c ---- */
void srds_want_of_listener(struct control *c, const struct conf_listener *l);
void srds_unwant_of_listener(struct control *c, const struct conf_listener *l);
bool srds_is_ready_for_listener(struct control *c, const struct conf_listener *l);
uint32_t srds_timeout_of_listener(struct control *c, const struct conf_listener *l);
int srds_check_listener(struct control *c, const struct batch *b, const struct conf_listener *l,
                        struct error *err);
void srds_apply(struct control *c, struct batch *b, const struct xds_resource *r);
void srds_remove(struct control *c, struct entry *e);
void srds_check(struct control *c, struct entry *e);

/* ---- control_sds.c ---- */
void sds_want_of_listener(struct control *c, const struct conf_listener *l);
void sds_unwant_of_listener(struct control *c, const struct conf_listener *l);
void sds_want_of_cluster(struct control *c, const struct conf_cluster *cluster);
void sds_unwant_of_cluster(struct control *c, const struct conf_cluster *cluster);
bool sds_is_ready_for_listener(struct control *c, const struct conf_listener *l);
bool sds_is_ready_for_cluster(struct control *c, const struct conf_cluster *cluster);
/* The longest initial_fetch_timeout of its secrets; 0: none. */
uint32_t sds_timeout_of_listener(struct control *c, const struct conf_listener *l);
uint32_t sds_timeout_of_cluster(struct control *c, const struct conf_cluster *cluster);
/* Whether the secrets' sources can be used. */
int sds_check_listener(struct control *c, const struct batch *b, const struct conf_listener *l,
                       struct error *err);
int sds_check_cluster(struct control *c, const struct batch *b, const struct conf_cluster *cluster,
                      struct error *err);
void sds_apply(struct control *c, struct batch *b, const struct xds_resource *r);
void sds_remove(struct control *c, struct entry *e);
void sds_remove_named(struct control *c, unsigned source, const char *name);
/* Secrets that were asked for and have not come. */
void sds_each_missing(struct control *c, void (*fn)(const struct control_row *row, void *arg),
                      void *arg);
void sds_fini(struct control *c);

/* Who hears of unknown fields of a resource; NULL: they are refused. */
const struct pb_unknown *control_unknown(const struct control *c, bool is_static);
/* Common beginning: is the resource the one we have (then only its version is noted)? */
bool control_is_unchanged(struct control *c, const struct batch *b, struct entry *e,
                          const struct xds_resource *r);
/* Notes a refusal in store, batch and log. */
void control_refuse(struct control *c, struct batch *b, struct entry *e,
                    const struct xds_resource *r, const struct error *err);
/* ---- control_update.c ---- */
const char *control_stat_prefix(enum xds_type t);
/* ads_ops.on_update; arg: struct control */
void control_on_update(void *arg, const struct xds_update *u);
/* Its server, or its time to live, has ended it: endpoints and routes stay in use, as in Envoy. */
void control_end(struct control *c, struct entry *e);
/* Nothing of it stays. */
void control_remove(struct control *c, struct entry *e);
/* Starts the rollout of a plugin; its outcome goes into the batch. */
void control_push_plugin(struct control *c, struct batch *b, const char *resource,
                         struct conf_plugin *plugin);
/* Look at what is warming at the end of this turn. */
void control_check_later(struct control *c);
static inline void control_edited(struct control *c)
{
    c->is_edited = true;
}

#endif
