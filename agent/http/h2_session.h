/* One HTTP/2 connection of either side: frames, header compression, flow control and flood guard
 * by libnghttp2, on top of a struct conn. Embedded by its user (the downstream codec, the upstream
 * client). [worker]
 *
 * The user hands arrived bytes in (h2_session_input, from on_data), gets messages by ops, sends by
 * h2_stream_*; output goes to conn->out once per loop turn (and from on_low_water by
 * h2_session_flush). Ops may send, reset and read-disable; they must not free the session.
 *
 * A stream lives from the request's head to its last op, on_close, which comes exactly once unless
 * the user let go of it first (h2_stream_detach, h2_stream_reset): then no op names it any more.
 * What arrives for a read-disabled stream waits in it, bounded by the stream's window.
 * Source: RFC 9113, RFC 9218 is not used; limits as Envoy's http2 codec. */
#ifndef HTTP_H2_SESSION_H
#define HTTP_H2_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/stat.h"
#include "conf/http2.h"
#include "http/headers.h"
#include "net/conn.h"

/* Names below "http2." or "cluster.NAME.http2." */
#define H2_STAT_MAP(X)                                        \
    X(COUNTER, dropped_headers_with_underscores)              \
    X(COUNTER, goaway_sent)                                   \
    X(COUNTER, header_overflow)                               \
    X(COUNTER, headers_cb_no_stream)                          \
    X(COUNTER, inbound_empty_frames_flood)                    \
    X(COUNTER, inbound_priority_frames_flood)                 \
    X(COUNTER, inbound_window_update_frames_flood)            \
    X(COUNTER, keepalive_timeout)                             \
    X(COUNTER, metadata_empty_frames)                         \
    X(COUNTER, outbound_control_flood)                        \
    X(COUNTER, outbound_flood)                                \
    X(COUNTER, requests_rejected_with_underscores_in_headers) \
    X(COUNTER, rx_messaging_error)                            \
    X(COUNTER, rx_reset)                                      \
    X(COUNTER, stream_refused_errors)                         \
    X(COUNTER, trailers)                                      \
    X(COUNTER, tx_flush_timeout)                              \
    X(COUNTER, tx_reset)                                      \
    X(GAUGE, streams_active)                                  \
    X(GAUGE, pending_send_bytes)

struct h2_stats {
#define X(kind, field) stat_id field;
    H2_STAT_MAP(X)
#undef X
};

/* prefix: "" or "cluster.NAME.". */
void h2_stats_init(struct h2_stats *st, const char *prefix);
void h2_stats_fini(struct h2_stats *st);

/* RFC 9113 7 */
enum h2_code {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR = 1,
    H2_INTERNAL_ERROR = 2,
    H2_REFUSED_STREAM = 7,
    H2_CANCEL = 8,
    H2_CONNECT_ERROR = 10,
    H2_ENHANCE_YOUR_CALM = 11,
};

enum h2_side { H2_SERVER, H2_CLIENT };

struct h2_session;

struct h2_stream {
    struct h2_session *session;
    int32_t id;
    void *user;           /* the user's; NULL: no op is called */
    struct headers head;  /* in on_headers and on_trailers: may be taken */
    bool is_closed_local; /* the end of our message was sent or waits to be */
    bool is_closed_peer;  /* the end of the peer's was delivered */
    /* private to h2_session.c, h2_send.c */
    struct list node, waiting_node;
    struct buf in, out;
    struct headers trailers;
    struct loop_timer flush_timer;
    uint32_t headers_n, close_code;
    uint8_t read_disabled;
    bool got_final;                   /* the head that is no 1xx */
    bool end_waits, trailers_wait;    /* behind in */
    bool sends_trailers, is_deferred; /* of out */
    bool has_head, is_cut;            /* a response's was submitted; reset comes behind out */
    bool is_sent, end_sent, is_high, is_delivering;
    bool is_gone; /* for nghttp2; kept for what is undelivered */
    bool is_reset_by_peer, is_reset_local;
};

struct h2_session_ops {
    /* A request's head (server: st->user is NULL, set it; left NULL the stream is refused), or a
     * response's. end: nothing follows. */
    void (*on_headers)(struct h2_session *h, struct h2_stream *st, bool end);
    void (*on_1xx)(struct h2_session *h, struct h2_stream *st, unsigned status); /* client */
    /* data may be taken; what is left of it is dropped. */
    void (*on_body)(struct h2_session *h, struct h2_stream *st, struct buf *data, bool end);
    void (*on_trailers)(struct h2_session *h, struct h2_stream *st); /* and the end */
    /* Last op of the stream. code: H2_NO_ERROR when both sides ended well (or the peer wants no
     * more of our message: is_closed_peer is set then). by_peer: it sent RST_STREAM, or GOAWAY
     * and will not serve it (H2_REFUSED_STREAM). */
    void (*on_close)(struct h2_session *h, struct h2_stream *st, uint32_t code, bool by_peer);
    /* What waits to be sent on this stream is above its mark, or below half of it again. */
    void (*on_water)(struct h2_session *h, struct h2_stream *st, bool is_high);
    /* The peer serves no stream above last_id. NULL allowed. */
    void (*on_goaway)(struct h2_session *h, int32_t last_id, uint32_t code);
    void (*on_settings)(struct h2_session *h); /* the peer's; NULL allowed */
    /* Nothing more can come or go: close the connection after flushing. h->failure: why, or NULL.
     * Once, from the loop. */
    void (*on_end)(struct h2_session *h);
};

struct nghttp2_session;

struct h2_session {
    struct conn *conn;
    enum h2_side side;
    const struct conf_http2 *conf;
    const struct h2_session_ops *ops;
    struct h2_stats *stats;
    uint32_t headers_size_max, headers_count_max; /* of a head or trailers; set after init */
    uint64_t buffer_limit;     /* of what waits to be sent, per stream; set after init */
    uint32_t flush_timeout_ms; /* of what a detached stream has to send; 0: none; set after init */
    const char *failure;       /* why we ended the connection; NULL: we did not */
    uint32_t streams_n;        /* open ones */
    /* private */
    struct nghttp2_session *ng;
    struct list streams, waiting; /* waiting: read-enabled again, with input to deliver */
    struct loop_task flush_task;
    struct loop_timer ping_timer;
    uint64_t last_rx_us;
    uint32_t empty_n;
    uint64_t priority_n, window_update_n, data_sent_n, opened_n;
    bool is_inside, is_blocked, is_ping_out, is_final, is_ended, is_end_told, has_goaway;
};

/* conn may still be connecting (client). conf, ops and stats must outlive the session. */
void h2_session_init(struct h2_session *h, enum h2_side side, struct conn *conn,
                     const struct conf_http2 *conf, const struct h2_session_ops *ops,
                     struct h2_stats *stats);
/* Streams that are left get on_close (H2_CANCEL, by the peer) first. When the connection is
 * closed; not from inside an op. */
void h2_session_fini(struct h2_session *h);
/* Takes conn->in. */
void h2_session_input(struct h2_session *h);
/* Writes what there is now. */
void h2_session_flush(struct h2_session *h);
/* The peer shall begin no further streams. is_final false: a first notice, streams on their way
 * are served still; true: names the last one, the connection ends with the streams. */
void h2_session_goaway(struct h2_session *h, bool is_final);
/* Ends the connection with GOAWAY and code. why: static. */
void h2_session_fail(struct h2_session *h, uint32_t code, const char *why);
/* Streams that the peer lets us have open at a time (client). */
uint32_t h2_session_peer_streams_max(const struct h2_session *h);
/* Whether a client may open a stream: no GOAWAY either way, ids left. */
bool h2_session_may_open(const struct h2_session *h);
/* The peer takes extended CONNECT (RFC 8441). */
bool h2_session_peer_connects(const struct h2_session *h);

/* Client: sends a request's head; NULL when the session may not open streams. */
struct h2_stream *h2_session_request(struct h2_session *h, const struct headers *head, bool end,
                                     void *user);
/* Server: the response's head. Fields of one connection are left out (connection, keep-alive,
 * proxy-connection, transfer-encoding, upgrade), and illegal ones. */
void h2_stream_send_headers(struct h2_stream *st, const struct headers *head, bool end);
void h2_stream_send_1xx(struct h2_stream *st, unsigned status);
/* Takes all of data. */
void h2_stream_send_body(struct h2_stream *st, struct buf *data, bool end);
/* Copied; sent behind the body. Ends the message. */
void h2_stream_send_trailers(struct h2_stream *st, const struct headers *trailers);
/* No further ops; RST_STREAM with code. */
void h2_stream_reset(struct h2_stream *st, uint32_t code);
/* Resets a response with INTERNAL_ERROR once what there is of it went out. The user is forgotten.
 */
void h2_stream_cut(struct h2_stream *st);
/* No further ops. Our message goes out to its end, which must have been sent; a peer that has not
 * ended its own by then is told to stop (RST_STREAM, NO_ERROR). */
void h2_stream_detach(struct h2_stream *st);
/* Counted. While disabled no op brings body, trailers or end, and the window stays closed. */
void h2_stream_read_disable(struct h2_stream *st, bool disable);

#endif
