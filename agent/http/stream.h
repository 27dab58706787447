/* A stream: one HTTP request and its response on a downstream connection, of any version. The
 * codec below feeds it and sends for it; the filter chain above works on it. [worker].
 *
 * Life: the codec creates it with its headers complete (stream_create, stream_start), feeds body
 * and trailers, and is told to send by codec ops. It ends when both directions are complete or by
 * stream_reset; then filters' on_complete, the access log, and stream_destroy from the loop. */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "conf/listener.h"
#include "conf/snapshot.h"
#include "http/filter.h"
#include "http/header_case.h"
#include "http/headers.h"
#include "net/addr.h"
#include "net/loop.h"

/* Envoy's response flags (access log %RESPONSE_FLAGS%), as bits. */
#define RESPONSE_FLAG_MAP(X)                                                      \
    X(NO_HEALTHY_UPSTREAM, "UH", "NoHealthyUpstream")                             \
    X(UPSTREAM_REQUEST_TIMEOUT, "UT", "UpstreamRequestTimeout")                   \
    X(LOCAL_RESET, "LR", "LocalReset")                                            \
    X(UPSTREAM_REMOTE_RESET, "UR", "UpstreamRemoteReset")                         \
    X(UPSTREAM_CONNECTION_FAILURE, "UF", "UpstreamConnectionFailure")             \
    X(UPSTREAM_CONNECTION_TERMINATION, "UC", "UpstreamConnectionTermination")     \
    X(UPSTREAM_OVERFLOW, "UO", "UpstreamOverflow")                                \
    X(NO_ROUTE_FOUND, "NR", "NoRouteFound")                                       \
    X(DOWNSTREAM_CONNECTION_TERMINATION, "DC", "DownstreamConnectionTermination") \
    X(UPSTREAM_RETRY_LIMIT_EXCEEDED, "URX", "UpstreamRetryLimitExceeded")         \
    X(STREAM_IDLE_TIMEOUT, "SI", "StreamIdleTimeout")                             \
    X(INVALID_ENVOY_REQUEST_HEADERS, "IH", "InvalidEnvoyRequestHeaders")          \
    X(DOWNSTREAM_PROTOCOL_ERROR, "DPE", "DownstreamProtocolError")                \
    X(NO_FILTER_CONFIG_FOUND, "NFCF", "NoFilterConfigFound")                      \
    X(DURATION_TIMEOUT, "DT", "DurationTimeout")                                  \
    X(UPSTREAM_PROTOCOL_ERROR, "UPE", "UpstreamProtocolError")                    \
    X(NO_CLUSTER_FOUND, "NC", "NoClusterFound")                                   \
    X(OVERLOAD_MANAGER, "OM", "OverloadManagerTerminated")                        \
    X(DOWNSTREAM_REMOTE_RESET, "DR", "DownstreamRemoteReset")                     \
    X(UPSTREAM_MAX_STREAM_DURATION, "UMSDR", "UpstreamMaxStreamDurationReached")

enum response_flag_bit {
#define X(name, text, long_text) FLAG_BIT_##name,
    RESPONSE_FLAG_MAP(X)
#undef X
        FLAG_BIT_COUNT
};
enum response_flag {
#define X(name, text, long_text) FLAG_##name = 1u << FLAG_BIT_##name,
    RESPONSE_FLAG_MAP(X)
#undef X
};

/* Connections to upstreams come from the client's address (listener filter original_src). */
struct client_source {
    bool is_on, binds_port;
    uint32_t mark; /* SO_MARK; 0: none */
};

/* What is known of a downstream connection; owned by the connection, outlives its streams. */
struct downstream_info {
    uint64_t connection_id;
    struct addr local, remote; /* as seen by filters (original destination, XFF applied) */
    struct addr direct_local, direct_remote;
    const char *requested_server_name; /* "" when none */
    bool is_tls;
    const struct conn_tls *tls; /* what net/tls_info.h tells of it; NULL: plaintext */
    bool is_restored;           /* local is the destination before the redirect (SO_ORIGINAL_DST) */
    struct client_source source;
    struct str proxy_tlvs; /* of its PROXY protocol header, to be passed on; in wire form */
    enum conf_direction direction;
    const struct conf_listener *listener;
    const struct conf_filter_chain *chain;
};

/* What the access log and properties read of a stream (also used by TCP sessions). */
struct stream_info {
    const struct downstream_info *down;
    const struct addr *remote; /* of the client, by x-forwarded-for; NULL: down->remote */
    uint64_t start_wall_ns;
    uint64_t start_us, req_end_us, upstream_first_us, upstream_last_us, resp_first_us, end_us;
    uint64_t resp_last_us;               /* 0: the response was not whole */
    uint64_t bytes_received, bytes_sent; /* bodies (TCP: all) */
    uint64_t upstream_rx_bytes, upstream_tx_bytes;
    uint64_t upstream_tx_first_us, upstream_tx_last_us; /* of the newest attempt */
    uint64_t upstream_connection_id;
    const struct conn_tls *upstream_tls; /* own reference */
    const char *upstream_host_name;      /* of the endpoint; "" or NULL: none */
    uint32_t flags;                      /* FLAG_x */
    unsigned status;                     /* 0: never sent */
    const char *details;                 /* response code details, or NULL */
    const char *termination_details;
    const char *upstream_failure; /* transport failure reason */
    struct addr upstream_remote, upstream_local;
    const char *upstream_cluster;
    struct str route_name;
    uint32_t attempts;
    uint8_t upstream_minor; /* as http_minor; 0: no upstream */
    uint8_t http_minor;     /* HTTP/1.minor; 20 for HTTP/2; 255: not HTTP */
};

static inline const struct addr *stream_info_remote(const struct stream_info *info)
{
    return info->remote ? info->remote : &info->down->remote;
}

struct stream_codec_ops {
    /* Sends s->resp; end: no body and no trailers follow. */
    void (*send_headers)(struct stream *s, bool end);
    /* Takes all of data. */
    void (*send_body)(struct stream *s, struct buf *data, bool end);
    void (*send_trailers)(struct stream *s); /* s->resp_trailers, and ends the response */
    void (*send_1xx)(struct stream *s, unsigned status);
    void (*reset)(struct stream *s); /* cannot be completed: the peer must see it fail */
    /* Stops or resumes the flow of request body. */
    void (*read_disable)(struct stream *s, bool disable);
    /* Both directions are complete or the stream was reset: forget it. The stream destroys
     * itself afterwards. */
    void (*on_stream_end)(struct stream *s);
};

struct hcm; /* http/hcm.h: what all streams of one filter chain share on a worker */

struct stream {
    struct arena arena;
    struct hcm *hcm;
    struct loop *loop;
    const struct stream_codec_ops *codec;
    void *codec_stream; /* the codec's own */
    struct snapshot_hold *hold;
    struct snapshot *snapshot; /* hold's: the worker's when the stream began */
    struct headers req, resp, req_trailers, resp_trailers;
    struct header_case req_case, resp_case; /* how their names were written */
    struct stream_info info;
    char request_id[40];
    const struct conf_route_config *routes; /* cache of http/route_resolve.c */
    struct str upgrade;                     /* "websocket", "CONNECT"...; n 0: none */
    const struct conf_alpn *alpn;           /* of the filter istio.alpn; NULL: the clusters' */
    struct str local_body;                  /* of a local reply, before it is formatted */
    uint64_t random;                        /* http/route_resolve.c; 0: not drawn yet */
    bool is_head, is_grpc, is_upgraded;     /* is_upgraded: bytes both ways */
    /* progress */
    bool req_complete;                /* codec delivered the end of the request */
    bool resp_started, resp_complete; /* sent to the codec */
    bool is_replied;                  /* a local reply was started */
    bool is_reset, is_ended;
    bool closes_connection; /* HTTP/1: the message was broken, who knows where the next begins */
    uint8_t resp_passes;    /* responses that entered the chain */
    uint32_t epoch;         /* bumped when what the chain was doing is void */
    uint8_t req_disabled, resp_disabled; /* back-pressure counters */
    struct loop_timer idle_timer, request_timer;
    uint32_t idle_timeout_ms;
    struct loop_task destroy_task;
    uint16_t filters_n;
    struct http_filter *filters; /* filters_n, in the arena */
};

/* ---- for codecs ---- */
struct stream *stream_create(struct hcm *hcm, const struct downstream_info *down,
                             const struct stream_codec_ops *codec, void *codec_stream);
/* s->req is complete; runs header checks and the chain. */
void stream_start(struct stream *s, bool end);
/* Takes all of data. */
void stream_on_body(struct stream *s, struct buf *data, bool end);
void stream_on_trailers(struct stream *s); /* s->req_trailers */
/* The downstream connection failed or closed under the stream. */
void stream_on_downstream_reset(struct stream *s, uint32_t flag, const char *details);
/* The codec's output is above or below its mark again. */
void stream_on_codec_water(struct stream *s, bool is_high);

/* ---- for filters ---- */
/* Answers in place of the upstream, through the response side of the chain. body may be empty.
 * details: static or arena string. grpc_status -1: by the status. add: extra headers or NULL. If
 * the response has started already the stream is reset instead. Idempotent: a second call is
 * ignored. */
void stream_local_reply(struct stream *s, unsigned status, struct str body, const char *details,
                        uint32_t flag, int grpc_status, const struct headers *add);
void stream_reset(struct stream *s, uint32_t flag, const char *details);
/* Router: the response as it comes. Headers are in s->resp, trailers in s->resp_trailers. */
void stream_upstream_headers(struct stream *s, bool end);
void stream_upstream_body(struct stream *s, struct buf *data, bool end);
void stream_upstream_trailers(struct stream *s);
/* An interim response, from the upstream or by the codec. */
void stream_send_1xx(struct stream *s, unsigned status);
/* Router: it cannot take more of the request body now, or can again. */
void stream_request_read_disable(struct stream *s, bool disable);

/* Access log fields. */
/* "UF,URX", "-" for none; the long one: "UpstreamConnectionFailure". is_tcp: of a session. */
void response_flags_format(uint32_t flags, bool is_tcp, struct sbuf *out);
void response_flags_format_long(uint32_t flags, bool is_tcp, struct sbuf *out);

#endif
