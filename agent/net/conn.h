/* A byte stream over a socket: reading into a buffer, writing with back-pressure, half close.
 * Embedded by its user (downstream connection, upstream connection, TCP session). [worker].
 *
 * Reading: when bytes arrived, on_data is called with conn->in holding them; the user consumes
 * what it can. While conn_read_disable'd nothing is read from the socket (the kernel pushes
 * back); conn_read_enable resumes, from the loop if data waits.
 * Writing: add to conn->out, then conn_flush. When more than the high water mark is left,
 * on_high_water is called once, and on_low_water once it fell to half.
 * Ends: on_eof when the peer half-closed (after the last on_data); on_close exactly once when
 * the connection is gone for any reason, also by conn_close; never from inside conn_close
 * itself, always from the loop. The descriptor is closed by then; free the object there. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "net/addr.h"
#include "net/loop.h"

struct conn;

struct conn_ops {
    void (*on_data)(struct conn *c);
    void (*on_eof)(struct conn *c);
    void (*on_close)(struct conn *c);
    void (*on_high_water)(struct conn *c); /* NULL allowed */
    void (*on_low_water)(struct conn *c);  /* NULL allowed */
    void (*on_connected)(struct conn *c);  /* client side only */
};

/* Transport under the stream: plain here, TLS in conn_tls. Same results as read(2)/writev(2). */
struct conn_transport {
    ssize_t (*read)(struct conn *c, void *p, size_t n);
    ssize_t (*write)(struct conn *c, const void *p, size_t n);
    void (*shutdown)(struct conn *c);
    /* The rest is NULL for plain TCP. A step of the handshake: 0 done, -ERR_AGAIN, or another code
     * when it failed. */
    int (*handshake)(struct conn *c);
    void (*close)(struct conn *c);                /* before the descriptor is closed */
    void (*destroy)(void *state);                 /* after on_close */
    const char *(*failure)(const struct conn *c); /* why it failed, "" when it did not */
};

enum conn_close_cause {                     /* why on_close was called */
                        CONN_CLOSED_LOCAL,  /* conn_close */
                        CONN_CLOSED_REMOTE, /* peer closed */
                        CONN_CLOSED_RESET,  /* peer reset, or an error on the socket */
                        CONN_CONNECT_FAILED,
};

struct conn {
    struct loop_io io;
    struct loop *loop;
    const struct conn_ops *ops;
    const struct conn_transport *transport;
    void *transport_state;
    struct buf in, out;
    uint64_t id; /* unique in the process: Envoy's connection id */
    struct addr local, remote;
    size_t high_water; /* bytes of out; and bound of unconsumed in */
    uint64_t rx_bytes, tx_bytes;
    uint8_t read_disabled; /* counter */
    bool is_connecting, is_readable, is_writable, is_eof, is_eof_told, is_above_high;
    bool is_handshaking; /* is_connecting, and TCP is connected */
    bool is_half_closed, shutdown_pending, close_after_flush, is_closed, is_closing;
    bool closes_on_early_eof; /* set by the user: the peer's FIN ends it also while not read */
    char *preamble;           /* conn_set_preamble; NULL: none, or sent */
    uint32_t preamble_n, preamble_at;
    enum conn_close_cause cause;
    int saved_errno; /* of CONN_CLOSED_RESET and CONN_CONNECT_FAILED */
    struct loop_task task;
};

/* Takes over a connected (accepted) socket. The first read happens from the loop. */
void conn_init_accepted(struct conn *c, struct loop *loop, int fd, const struct conn_ops *ops);
/* Starts connecting; on_connected or on_close follows, never from inside. */
void conn_init_connect(struct conn *c, struct loop *loop, const struct addr *to,
                       const struct addr *source, const struct conn_ops *ops);
/* The same, from an address that need not be ours. */
struct conn_source {
    const struct addr *addr; /* NULL: the kernel's choice */
    uint32_t mark;           /* SO_MARK; 0: none */
    bool is_foreign;         /* IP_TRANSPARENT */
};
void conn_init_connect_from(struct conn *c, struct loop *loop, const struct addr *to,
                            const struct conn_source *from, const struct conn_ops *ops);
/* For a connection that conn_init_connect just began: bytes that go out before everything else, a
 * handshake too. Copied. */
void conn_set_preamble(struct conn *c, struct str bytes);
/* Writes what it can now; the rest goes out when the socket allows. */
void conn_flush(struct conn *c);
static inline void conn_write(struct conn *c, struct str s)
{
    buf_adds(&c->out, s);
    conn_flush(c);
}
void conn_read_disable(struct conn *c);
void conn_read_enable(struct conn *c);
/* Calls on_data from the loop if c->in holds bytes: for users that left some unconsumed. */
void conn_wake(struct conn *c);
/* Sends FIN after what is buffered. */
void conn_shutdown_write(struct conn *c);
/* Closes at once (buffered output is dropped), or after flushing it. */
void conn_close(struct conn *c);
void conn_close_after_flush(struct conn *c);
/* Fails a connection that is not up yet: on_close follows with CONN_CONNECT_FAILED. */
void conn_fail(struct conn *c);
/* Descriptor and transport have gone to another connection: this one closes without them. */
void conn_give_away(struct conn *c);
/* What the transport has to say about its failure ("TLS_error:|..."); "" nothing. For on_close. */
const char *conn_failure(const struct conn *c);
/* Closes with RST. */
void conn_reset(struct conn *c);
static inline bool conn_is_open(const struct conn *c)
{
    return !c->is_closed && !c->is_closing;
}

#endif
