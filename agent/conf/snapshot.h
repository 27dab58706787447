/* A snapshot: everything the workers run on at one moment. Immutable once published; it shares
 * its parts with the snapshots before and after it (one reference per part and snapshot), so
 * changing one resource copies pointers, not resources. Built on main. */
#ifndef CONF_SNAPSHOT_H
#define CONF_SNAPSHOT_H

#include "base/hash.h"
#include "conf/cluster.h"
#include "conf/listener.h"
#include "conf/route.h"
#include "conf/runtime.h"
#include "conf/scoped_route.h"
#include "conf/secret.h"

struct snapshot {
    struct conf_object object;
    uint64_t generation;
    struct conf_listener **listeners; /* owned references */
    size_t listeners_n, listeners_cap;
    struct hash listener_places; /* name -> place in listeners, counted from 1 */
    struct hash clusters;        /* name -> struct conf_cluster_entry *, owned references */
    struct hash routes;          /* name -> struct conf_route_config *, owned references */
    struct runtime *runtime;     /* owned reference; NULL: no layers */
    struct hash scopes;          /* key -> struct conf_scope *, owned references */
    struct hash secrets; /* key of conf_secret_ref -> struct conf_secret *, owned references */
};

/* A new snapshot with the parts of `base` (NULL: empty) and the next generation. [main] */
struct snapshot *snapshot_copy(const struct snapshot *base);
/* Setters for a snapshot that was not published yet; they take their own reference; NULL value
 * removes the name. [main] */
void snapshot_set_cluster(struct snapshot *s, const char *name, struct conf_cluster_entry *e);
void snapshot_set_route(struct snapshot *s, const char *name, struct conf_route_config *r);
void snapshot_set_secret(struct snapshot *s, const char *key, struct conf_secret *secret);
void snapshot_set_runtime(struct snapshot *s, struct runtime *r);
/* By the scope's key, which its owner keeps apart from those of other scopes. */
void snapshot_set_scope(struct snapshot *s, struct str key, struct conf_scope *scope);
void snapshot_set_listener(struct snapshot *s, const char *name, struct conf_listener *l);

/* [any] */
struct conf_cluster_entry *snapshot_cluster(const struct snapshot *s, struct str name);
struct conf_route_config *snapshot_route(const struct snapshot *s, struct str name);
struct conf_scope *snapshot_scope(const struct snapshot *s, struct str key);
struct conf_secret *snapshot_secret(const struct snapshot *s, const char *key);
struct conf_listener *snapshot_listener(const struct snapshot *s, const char *name);
static inline struct snapshot *snapshot_ref(struct snapshot *s)
{
    return conf_object_ref(s);
}
static inline void snapshot_unref(struct snapshot *s)
{
    conf_object_unref(s);
}

#endif
