/* Publishing: the current snapshot, and the way of the next one to all workers. [main]
 *
 * Changes are collected (publish_edit returns the snapshot being built) and go out together by
 * publish_commit. A commit is done when every worker has applied it. */
#ifndef SERVER_PUBLISH_H
#define SERVER_PUBLISH_H

#include "conf/snapshot.h"
#include "proxy/sockets.h"
#include "server/worker.h"

struct publish;

struct publish *publish_create(struct sockets *sockets, struct worker **workers, unsigned n);
void publish_destroy(struct publish **p);

/* The snapshot in force (never NULL after the first commit; before, an empty one). */
struct snapshot *publish_current(struct publish *p);
/* The snapshot being built on top of it; made at the first call after a commit. */
struct snapshot *publish_edit(struct publish *p);
/* Opens the socket of a listener that is about to be set; the error names it. It stays open until
 * publish_release at least. */
int publish_open(struct publish *p, const struct conf_listener *l, struct error *err);
/* The listener was set, or is given up. */
void publish_release(struct publish *p, const struct conf_listener *l);
/* Sends what was edited; done (may be NULL) is called from the loop when it serves on all
 * workers, at once when nothing was edited. */
void publish_commit(struct publish *p, void (*done)(void *arg), void *arg);

/* worker_events.on_applied */
void publish_on_applied(struct publish *p, unsigned worker, uint64_t generation);

#endif
