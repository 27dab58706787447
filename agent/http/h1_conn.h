/* A downstream HTTP/1.1 connection: reads requests, feeds streams one after the other, writes
 * responses. [worker]
 *
 * Requests that come while one is being served (pipelining) wait unread in conn->in. Output is
 * collected and flushed once per loop turn. */
#ifndef HTTP_H1_CONN_H
#define HTTP_H1_CONN_H

#include "http/h1_parse.h"
#include "http/hcm.h"
#include "http/linger.h"
#include "http/stream.h"
#include "net/conn.h"

struct h1_conn {
    struct conn conn;
    struct h1_parser parser;
    struct hcm *hcm;
    struct downstream_info *down;
    struct stream *stream;    /* the one being served, or NULL */
    struct headers head;      /* being parsed */
    struct header_case names; /* its, where they are kept */
    bool resp_chunked, resp_no_body, close_after, is_continue_pending;
    bool is_read_disabled, is_aborted, is_in_data, is_stream_held;
    bool resp_has_length; /* content-length says how much body goes out */
    uint64_t resp_left;   /* of it */
    bool is_old;          /* max_connection_duration is over */
    bool is_raw;          /* the request asks for an upgrade: bytes follow its head */
    bool is_used;         /* a byte has come */
    uint32_t requests;
    struct loop_timer idle_timer, head_timer;
    struct loop_timer duration_timer; /* max_connection_duration, then drain_timeout */
    struct http_linger linger;
    bool closed_active; /* with a request in flight */
    struct loop_task flush_task, free_task;
    /* The connection is gone; the owner frees it (from the loop). */
    void (*on_end)(struct h1_conn *h);
    /* HTTP/2's preface is in conn.in: the owner takes descriptor and bytes away. NULL: that is
     * not looked for. */
    void (*on_preface)(struct h1_conn *h);
};

/* Embedded in the owner's object. Takes over fd; `initial` holds bytes read before (peeked), may
 * be empty. */
void h1_conn_init(struct h1_conn *h, struct hcm *hcm, struct downstream_info *down, int fd,
                  struct str initial, void (*on_end)(struct h1_conn *h));

#endif
