/* What the tests of upstream/ share: a loop, a scripted origin server on it, clusters and a
 * request that writes down what happened to it. */
#ifndef TEST_UPSTREAM_RIG_H
#define TEST_UPSTREAM_RIG_H

#include "conf/snapshot.h"
#include "net/loop.h"
#include "upstream/upstream.h"

/* The origin answers by path: see rig.c. */
struct origin {
    struct loop *loop;
    struct loop_io io;
    struct addr addr;
    unsigned accepted, requests, open;
    struct buf seen; /* all bytes that arrived */
    struct list conns;
};

struct rig {
    struct loop *loop;
    struct upstreams *u;
    struct snapshot *snapshot;
    struct origin origin;
    struct loop_timer timer;
    bool (*until)(void *arg);
    void *until_arg;
    bool timed_out;
};

void rig_open(struct rig *r);
void rig_close(struct rig *r);

/* Cluster with Envoy's defaults; change it before rig_publish. */
struct conf_cluster *rig_cluster(const char *name);
struct conf_endpoints *rig_endpoints(const struct addr *addrs, size_t n);
/* The only cluster of a new snapshot. Takes both references. */
void rig_publish(struct rig *r, struct conf_cluster *c, struct conf_endpoints *e);
/* Cluster "c" with the origin as its one endpoint. */
void rig_publish_origin(struct rig *r);

struct probe {
    struct upstream_request up;
    struct rig *rig;
    struct headers head;
    const char *body; /* of the request; NULL: none */
    bool hold_body;   /* the head only */
    unsigned ready, interim, status, resets, highs;
    struct buf received;
    bool end, has_trailers, pause_on_headers;
    enum upstream_reset why;
    char failure[128];
};

void probe_init(struct probe *p, struct rig *r, const char *method, const char *path);
void probe_start(struct probe *p);
void probe_fini(struct probe *p); /* finishes the request */
bool probe_is_over(void *probe);  /* response complete or reset */

/* Runs the loop until cond is true; fails the test after 5 s. */
void rig_run(struct rig *r, bool (*cond)(void *arg), void *arg);
/* Runs for about ms. */
void rig_turn(struct rig *r, unsigned ms);

#endif
