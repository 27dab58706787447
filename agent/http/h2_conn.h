/* A downstream HTTP/2 connection: a session (http/h2_session.h) and the streams on it. [worker]
 *
 *   serving -> draining (GOAWAY as a notice; drain_timeout) -> closing (final GOAWAY) -> gone
 *
 * It drains at the listener's drain, after its number of requests or its time, and when idle. */
#ifndef HTTP_H2_CONN_H
#define HTTP_H2_CONN_H

#include "http/h2_session.h"
#include "http/hcm.h"
#include "http/linger.h"
#include "http/stream.h"

struct h2_conn {
    struct conn conn;
    struct h2_session session;
    struct hcm *hcm;
    struct downstream_info *down;
    struct http_linger linger;
    bool closed_active; /* with requests in flight */
    struct loop_timer idle_timer, drain_timer, duration_timer;
    struct loop_task free_task;
    uint32_t streams_n, requests_n;  /* being served; of all time */
    uint32_t ended_n, ended_early_n; /* streams; those that the peer reset soon */
    enum { H2_SERVING, H2_DRAINING, H2_CLOSING } state;
    /* The connection is gone; the owner frees it (from the loop). */
    void (*on_end)(struct h2_conn *h);
};

/* As h1_conn_init. */
void h2_conn_init(struct h2_conn *h, struct hcm *hcm, struct downstream_info *down, int fd,
                  struct str initial, void (*on_end)(struct h2_conn *h));

#endif
