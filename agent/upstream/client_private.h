/* Connections to one host and what they speak: requests wait in a pool for a client, a client is
 * one connection, its codec puts requests on it. [worker]
 *
 *   pool --> client --> codec (h1_client.c, h2_client.c) --> struct conn
 *    | pending            | requests      (tcp_client.c: what CONNECT brought)
 */
#ifndef UPSTREAM_CLIENT_PRIVATE_H
#define UPSTREAM_CLIENT_PRIVATE_H

#include "http/stream.h"
#include "upstream/upstream_private.h"

struct pool {
    struct upstream_host *host; /* that it is part of */
    enum pool_kind kind;
    struct downstream_info *down; /* whose it is alone (pool_keyed.c); NULL: anybody's */
    char *server_name;            /* of its connections; NULL: what the configuration says */
    struct str alpn;              /* that they offer, own copy; p NULL: by configuration, kind */
    unsigned clients_n;           /* also those that are closing */
    struct list ready;            /* have room; last used first */
    struct list busy;             /* connecting, full, or to be closed after what runs on them */
    struct list pending;          /* requests that wait, oldest first */
    unsigned pending_n;
    unsigned pending_high_n; /* of them, of high priority: they stand first */
    uint64_t connecting_n;   /* requests that the connecting ones will take */
    uint32_t streams_max;    /* that the host allowed on a connection before; 0: unknown */
};

struct pool *pool_create(struct upstream_host *h, enum pool_kind kind);
/* ---- pool_keyed.c ---- */
/* The pool of connections that tell of r's client, whose peers answer to r's name, or that offer
 * r's protocols; NULL: those of anybody will do. */
struct pool *pool_keyed(struct upstream_host *h, enum pool_kind kind,
                        const struct upstream_request *r);
void pools_keyed_destroy(struct upstream_host *h);

/* ---- pool.c ---- */
/* c has room for a request or is over: it serves those that wait, is kept, or closes. */
void pool_put(struct client *c);
/* A connection of p failed to connect: everything that waits is told. */
void pool_connect_failed(struct pool *p, enum upstream_reset why, const char *failure);
/* A connection went away: others may be needed. */
void pool_refill(struct pool *p);
void pool_unqueue(struct upstream_request *r);

/* ---- client.c ---- */
enum client_state { CLIENT_CONNECTING, CLIENT_OPEN, CLIENT_CLOSED };

struct client_codec {
    /* What follows the connection's events once it is up; on_close is client_on_close. */
    struct conn_ops conn;
    /* The connection is up: makes c->codec_state, says how many streams it takes. */
    void (*start)(struct client *c);
    /* It is gone: resets the requests that are on it. */
    void (*stop)(struct client *c);
    /* Frees the state; nobody up the stack uses it any more. */
    void (*destroy)(struct client *c);
    /* The client's deferred task; for codecs that defer it. */
    void (*run)(struct client *c);
    /* r has its place: ends in on_ready. */
    void (*attach)(struct client *c, struct upstream_request *r);
    /* r lets go, complete on both sides or not. False: the connection is of no use any more. */
    bool (*detach)(struct client *c, struct upstream_request *r, bool is_whole);
    void (*send_headers)(struct upstream_request *r, const struct headers *h, bool end);
    void (*send_body)(struct upstream_request *r, struct buf *data, bool end);
    void (*send_trailers)(struct upstream_request *r, const struct headers *h);
    void (*read_disable)(struct upstream_request *r, bool disable);
};

extern const struct client_codec h1_client_codec, h2_client_codec, tcp_client_codec;

struct client {
    struct conn conn;
    const struct client_codec *codec;
    void *codec_state;
    struct upstream_host *host;  /* own reference */
    struct pool *pool;           /* of host */
    struct list node;            /* pool.ready or pool.busy */
    struct loop_timer timer;     /* connecting, then idle */
    struct loop_timer age_timer; /* max_connection_duration */
    struct loop_task task;       /* the codec's, then the end */
    enum client_state state;
    uint64_t start_us, rx_counted, tx_counted;
    uint32_t connecting_n; /* what it counts for in pool.connecting_n */
    uint32_t streams_max;  /* requests at a time */
    uint32_t active_n, requests_n;
    unsigned priority; /* whose limit it counts against */
    bool must_close;   /* takes no further request */
    bool was_cut;      /* a request on it was given up before its end */
    bool has_timed_out, is_over;
};

static inline bool client_has_room(const struct client *c)
{
    return c->state == CLIENT_OPEN && !c->must_close && c->active_n < c->streams_max;
}

/* Opens a connection; it joins p's busy list. */
void client_open(struct pool *p, unsigned priority);
void client_close(struct client *c);
/* Serves nobody any more; what it has to send still goes out, for a while. */
void client_end(struct client *c);
/* Requests at a time that a connection of p is expected to take. */
uint32_t client_streams_max(const struct pool *p);
/* No further requests; closes when those that are on it are over. */
void client_drain(struct client *c);
/* Nothing runs on it: starts the idle timer. */
void client_idle(struct client *c);
void client_count_bytes(struct client *c);
void client_on_close(struct conn *conn);

/* ---- request.c ---- */
/* r's connection fails under it: r is told. */
void request_reset(struct upstream_request *r, enum upstream_reset why, const char *failure);
/* r leaves its connection, which goes on; r is told from the loop. */
void request_fail(struct upstream_request *r, enum upstream_reset why);
/* r, which is on no connection, is told from the loop. */
void request_refuse(struct upstream_request *r, enum upstream_reset why, const char *failure);
static inline bool request_is_connect(const struct upstream_request *r)
{
    return str_is(r->upgrade, "CONNECT");
}
/* A final response of that status grants what r asked for. */
bool request_is_granted(const struct upstream_request *r, unsigned status);
/* Passes the head of such a response on, then sends what was held back. */
void request_switch(struct upstream_request *r);

#endif
