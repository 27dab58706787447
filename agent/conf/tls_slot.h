/* One use of a TLS transport socket on one worker: a listener's filter chain, or a cluster. It
 * holds the context that new connections get, and makes the next one when a secret in the snapshot
 * was replaced. Secrets that cannot be used leave the context before them in force. [worker] */
#ifndef CONF_TLS_SLOT_H
#define CONF_TLS_SLOT_H

#include "conf/tls.h"
#include "net/conn_tls.h"

struct snapshot;
struct tls_slot;

/* prefix: "listener.0.0.0.0_80" or "cluster.NAME", of the statistics. Takes a reference. */
struct tls_slot *tls_slot_create(struct conf_tls *conf, const char *prefix);
struct tls_slot *tls_slot_ref(struct tls_slot *slot); /* NULL stays NULL */
void tls_slot_unref(struct tls_slot *slot);           /* NULL allowed */
/* The context for a connection that begins now; NULL: secrets are missing or do not serve, and
 * *why_r says so. It holds until the next call: connections take their own reference. */
struct tls_context *tls_slot_context(struct tls_slot *slot, const struct snapshot *s,
                                     const char **why_r);
struct tls_stats *tls_slot_stats(struct tls_slot *slot);
const struct conf_tls *tls_slot_conf(const struct tls_slot *slot);

#endif
