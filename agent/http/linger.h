/* The end of a downstream connection whose output should still arrive: what is left is sent, then
 * FIN, then the peer gets a little time to close, so that unread bytes of its do not turn the
 * answer into a reset (RFC 9112 9.6). A peer that still takes bytes gets its time anew.
 * Embedded beside the connection. [worker]
 * Source: Envoy's FlushWriteAndDelay, delayed_close_timeout. */
#ifndef HTTP_LINGER_H
#define HTTP_LINGER_H

#include "net/conn.h"

struct http_linger {
    struct conn *conn;
    struct loop_timer timer;
    uint64_t tx_bytes; /* what was sent when the timer started */
    uint32_t timeout_ms;
    bool is_on;
    bool has_timed_out; /* the peer did not close */
};

/* timeout_ms 0: closes once the output is flushed, without waiting for the peer. */
void http_linger_init(struct http_linger *l, struct conn *conn, uint32_t timeout_ms);
void http_linger_close(struct http_linger *l);
/* The same for an output that is not whole: no FIN of its own before the end. */
void http_linger_cut(struct http_linger *l);
void http_linger_fini(struct http_linger *l);

#endif
