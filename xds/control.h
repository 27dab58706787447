/* What the control plane says becomes what the workers run: resources are decoded, kept (store),
 * warmed (clusters wait for endpoints, listeners for routes and plugins), published and answered.
 * [main]
 *
 * Answers: ACK when everything in the response serves on all workers; NACK names each refused
 * resource as "NAME: STAGE: cause", several joined by "; ", and the good ones apply all the same.
 * An answer never waits for a resource of another type, and never longer than answer_wait_ms. */
#ifndef XDS_CONTROL_H
#define XDS_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/snapshot.h"
#include "net/loop.h"
#include "wasm/rollout.h"
#include "xds/ads.h"
#include "xds/bootstrap.h"

struct control;

/* What control asks of the server. */
struct control_ops {
    struct snapshot *(*current)(void *arg);
    struct snapshot *(*edit)(void *arg);
    /* Opens the listener's socket; release_listener says that it was set, or is given up. */
    int (*open_listener)(void *arg, const struct conf_listener *l, struct error *err);
    void (*release_listener)(void *arg, const struct conf_listener *l);
    void (*commit)(void *arg, void (*done)(void *done_arg), void *done_arg);
    /* A cluster of a DNS type was added or changed (c), or removed (NULL): resolve it and answer
     * by control_set_endpoints. */
    void (*resolve)(void *arg, const char *name, struct conf_cluster *c);
    /* All of the first configuration is in force: workers start, state LIVE. */
    void (*on_initialized)(void *arg);
    void *arg;
};

struct control_options {
    const struct bootstrap *bootstrap;
    struct rollout *rollout;
    uint32_t answer_wait_ms; /* default 5000 */
    /* How long routes and endpoints stay that nothing refers to any more: draining listeners may
     * still use them. */
    uint64_t forget_after_ms;
    /* Fields that no message declares in what the control plane sends: refused, or not even
     * counted. */
    bool reject_unknown_fields, ignore_unknown_fields;
    struct control_ops ops;
};

int control_create(struct loop *loop, const struct control_options *o, struct control **c_r,
                   struct error *err);
/* Disconnects and asks nothing more of the server. Outcomes of rollouts may still come. */
void control_close(struct control *c);
/* After the rollout is destroyed. */
void control_destroy(struct control **c);

/* Loads the static resources and connects to the management server when there is one. A static
 * listener that cannot be opened, or a plugin of it that fails to start, is an error. */
int control_start(struct control *c, struct error *err);

/* Fresh endpoints of a DNS cluster. */
void control_set_endpoints(struct control *c, const char *cluster, struct conf_endpoints *e);

/* A plugin that was reported as live failed later: the late answer. */
void control_plugin_failed(struct control *c, const char *slot, const struct error *err);

/* A plugin became live after its failure was reported: listeners may be waiting for it. */
void control_plugin_live(struct control *c);

/* ---- for admin ---- */
/* What the administrator's layer of the runtime shall say; value "": nothing of this key any more.
 * ERR_NOT_FOUND: the bootstrap has no such layer. */
struct control_override {
    const char *key, *value;
};
int control_modify_runtime(struct control *c, const struct control_override *o, size_t n,
                           struct error *err);

enum control_status { CONTROL_ACTIVE, CONTROL_WARMING, CONTROL_REFUSED };

struct control_row {
    enum xds_type type;
    const char *name, *version;
    bool is_static;
    enum control_status status;
    struct str value;  /* serialized resource as received */
    struct str failed; /* refused one, or n 0 */
    const char *error; /* of the last refusal, "" none */
    const char *failed_version;
    uint64_t updated_ns, failed_ns; /* wall clock; when it was received */
};
/* Of secrets also those that were asked for and have not come, without a value. */
void control_each(struct control *c, enum xds_type t,
                  void (*fn)(const struct control_row *row, void *arg), void *arg);
/* The rows of one name. */
void control_find(struct control *c, enum xds_type t, const char *name,
                  void (*fn)(const struct control_row *row, void *arg), void *arg);

/* Does a listener refer to an extension that is discovered? */
bool control_wants_extensions(const struct control *c);

/* A listener or cluster that is not ready, and what it waits for. */
struct control_unready {
    enum xds_type type; /* XDS_LDS, XDS_CDS */
    const char *name;
    uint64_t hash; /* of the resource */
};
/* Calls on_unready for each, then on_target for each thing that is missing (control_show.c). */
struct control_unready_ops {
    void (*on_unready)(const struct control_unready *u, void *arg);
    void (*on_target)(enum xds_type t, const char *name, void *arg);
    void *arg;
};
void control_each_unready(struct control *c, enum xds_type t,
                          const struct control_unready_ops *ops);
/* Of the last response of this type; "" before the first. */
const char *control_version(const struct control *c, enum xds_type t);

#endif
