/* Options of an HTTP/2 connection, of either side. Immutable, part of what embeds it.
 * Source: envoy.config.core.v3.Http2ProtocolOptions; defaults: Envoy's. */
#ifndef CONF_HTTP2_H
#define CONF_HTTP2_H

#include <stdbool.h>
#include <stdint.h>

struct conf_http2 {
    uint32_t hpack_table_size; /* bytes, of what the peer may make us keep */
    uint32_t max_concurrent_streams;
    uint32_t stream_window, connection_window; /* bytes */
    /* What makes a connection end as a flood. */
    uint32_t max_outbound_frames, max_outbound_control_frames; /* waiting to be sent */
    uint32_t max_empty_frames;                                 /* in a row; 0: none */
    uint32_t max_priority_frames;                              /* per stream */
    uint32_t max_window_updates;                               /* per DATA frame sent */
    /* connection_keepalive */
    uint32_t ping_interval_ms;    /* 0: no regular pings */
    uint32_t ping_timeout_ms;     /* without an answer the connection ends */
    uint32_t ping_idle_ms;        /* first ping after so long without traffic; 0: none */
    uint32_t ping_jitter_percent; /* of the interval, added */
    bool allow_connect;           /* extended CONNECT (RFC 8441) */
    bool keeps_broken;            /* a broken message ends its stream, not the connection */
};

void conf_http2_defaults(struct conf_http2 *o);

#endif
