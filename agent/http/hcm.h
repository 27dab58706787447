/* The HTTP connection manager of one filter chain on one worker: what its streams share. Built
 * when the listener arrives on the worker, freed when its last connection is gone. [worker]
 * Source: envoy.extensions.filters.network.http_connection_manager.v3. */
#ifndef HTTP_HCM_H
#define HTTP_HCM_H

#include "base/stat.h"
#include "conf/listener.h"
#include "http/filter.h"

struct h2_stats;
struct stream;

#define HCM_STAT_MAP(X)                                                            \
    X(COUNTER, cx_total, "downstream_cx_total")                                    \
    X(COUNTER, cx_destroy, "downstream_cx_destroy")                                \
    X(COUNTER, cx_destroy_local, "downstream_cx_destroy_local")                    \
    X(COUNTER, cx_destroy_remote, "downstream_cx_destroy_remote")                  \
    X(COUNTER, cx_destroy_active, "downstream_cx_destroy_active_rq")               \
    X(COUNTER, cx_destroy_local_active, "downstream_cx_destroy_local_active_rq")   \
    X(COUNTER, cx_destroy_remote_active, "downstream_cx_destroy_remote_active_rq") \
    X(COUNTER, cx_delayed_close_timeout, "downstream_cx_delayed_close_timeout")    \
    X(COUNTER, cx_http1_total, "downstream_cx_http1_total")                        \
    X(COUNTER, cx_http2_total, "downstream_cx_http2_total")                        \
    X(COUNTER, cx_ssl_total, "downstream_cx_ssl_total")                            \
    X(COUNTER, cx_max_duration, "downstream_cx_max_duration_reached")              \
    X(COUNTER, cx_protocol_error, "downstream_cx_protocol_error")                  \
    X(COUNTER, cx_idle_timeout, "downstream_cx_idle_timeout")                      \
    X(COUNTER, cx_drain_close, "downstream_cx_drain_close")                        \
    X(COUNTER, cx_max_requests, "downstream_cx_max_requests_reached")              \
    X(COUNTER, cx_rx_bytes, "downstream_cx_rx_bytes_total")                        \
    X(COUNTER, cx_tx_bytes, "downstream_cx_tx_bytes_total")                        \
    X(GAUGE, cx_active, "downstream_cx_active")                                    \
    X(GAUGE, cx_http1_active, "downstream_cx_http1_active")                        \
    X(GAUGE, cx_http2_active, "downstream_cx_http2_active")                        \
    X(GAUGE, cx_ssl_active, "downstream_cx_ssl_active")                            \
    X(COUNTER, rq_total, "downstream_rq_total")                                    \
    X(COUNTER, rq_http1_total, "downstream_rq_http1_total")                        \
    X(COUNTER, rq_http2_total, "downstream_rq_http2_total")                        \
    X(COUNTER, rq_too_many_resets, "downstream_rq_too_many_premature_resets")      \
    X(COUNTER, rq_completed, "downstream_rq_completed")                            \
    X(COUNTER, rq_1xx, "downstream_rq_1xx")                                        \
    X(COUNTER, rq_2xx, "downstream_rq_2xx")                                        \
    X(COUNTER, rq_3xx, "downstream_rq_3xx")                                        \
    X(COUNTER, rq_4xx, "downstream_rq_4xx")                                        \
    X(COUNTER, rq_5xx, "downstream_rq_5xx")                                        \
    X(COUNTER, rq_answered_early, "downstream_rq_response_before_rq_complete")     \
    X(COUNTER, rq_too_large, "downstream_rq_too_large")                            \
    X(COUNTER, rq_rx_reset, "downstream_rq_rx_reset")                              \
    X(COUNTER, rq_tx_reset, "downstream_rq_tx_reset")                              \
    X(COUNTER, rq_idle_timeout, "downstream_rq_idle_timeout")                      \
    X(COUNTER, rq_max_duration_reached, "downstream_rq_max_duration_reached")      \
    X(COUNTER, rq_overload_close, "downstream_rq_overload_close")                  \
    X(COUNTER, rq_timeout, "downstream_rq_timeout")                                \
    X(COUNTER, rq_header_timeout, "downstream_rq_header_timeout")                  \
    X(COUNTER, rq_failed_normalization, "downstream_rq_failed_path_normalization") \
    X(COUNTER, rq_redirected, "downstream_rq_redirected_with_normalized_path")     \
    X(COUNTER, rq_rejected_by_ip, "downstream_rq_rejected_via_ip_detection")       \
    X(COUNTER, rq_non_relative_path, "downstream_rq_non_relative_path")            \
    X(COUNTER, rq_ws_on_non_ws_route, "downstream_rq_ws_on_non_ws_route")          \
    X(COUNTER, rs_too_large, "rs_too_large")                                       \
    X(COUNTER, paused_reading, "downstream_flow_control_paused_reading_total")     \
    X(COUNTER, resumed_reading, "downstream_flow_control_resumed_reading_total")   \
    X(COUNTER, cx_upgrades_total, "downstream_cx_upgrades_total")                  \
    X(GAUGE, cx_upgrades_active, "downstream_cx_upgrades_active")                  \
    X(GAUGE, rq_active, "downstream_rq_active")                                    \
    X(HISTOGRAM, rq_time, "downstream_rq_time")                                    \
    X(HISTOGRAM, cx_length_ms, "downstream_cx_length_ms")

struct hcm_stats {
#define X(kind, field, name) stat_id field;
    HCM_STAT_MAP(X)
#undef X
    /* "listener.ADDRESS.http.PREFIX.downstream_rq_1xx" to 5xx, and all that were completed. */
    stat_id by_listener[5], by_listener_completed;
};

struct hcm {
    const struct conf_hcm *conf;
    struct filter_env *env;
    const struct http_filter_ops **ops; /* one per filter */
    void **worker_objs;                 /* one per filter */
    struct hcm_stats stats;
    struct h2_stats *h2_stats; /* hcm_h2_stats */
    /* Writes the access log of a complete stream. */
    void (*log)(struct hcm *hcm, struct stream *s);
    struct access_logs *logs; /* filters/access_log.h */
    struct hash formats;      /* http/header_ops.c: text -> struct format * */
    uint64_t buffer_limit;
    /* Asked at response headers: shall this connection close (drain)? */
    bool (*is_draining)(void *arg);
    void *draining_arg;
};

/* listener: how its statistics name the listener, "0.0.0.0_80".
 * find_ops: the registry's lookup by filter kind; never NULL for a decoded configuration. */
struct hcm *hcm_create(const struct conf_hcm *conf, struct filter_env *env, const char *listener,
                       uint64_t buffer_limit,
                       const struct http_filter_ops *(*find_ops)(enum conf_http_filter_kind kind));
void hcm_destroy(struct hcm **hcm);

/* The stats of one HCM_STAT_MAP set under "http.PREFIX.", and the listener's. */
void hcm_stats_init(struct hcm_stats *st, const char *prefix, const char *listener);
void hcm_stats_fini(struct hcm_stats *st);
/* The end of a connection: who closed it, and whether a request was in flight. */
void hcm_count_closed(const struct hcm_stats *st, bool is_local, bool is_active);

/* Of its HTTP/2 connections; made when first asked for. */
struct h2_stats *hcm_h2_stats(struct hcm *hcm);

/* An answer that the header checks give. */
struct hcm_verdict {
    unsigned status; /* 0: none, the request goes on */
    const char *details;
    struct str location; /* of a redirect */
};

/* gRPC's status for one of HTTP; http/local_reply.c. Source: Grpc::Utility::httpToGrpcStatus. */
int grpc_of_http(unsigned status);

/* Removes fields with underscores, which those who map '-' to '_' take for others, if the
 * configuration says so. False: the message is refused for one. For codecs, also on trailers. */
bool hcm_check_underscores(const struct hcm *hcm, struct headers *h);
/* Envoy's header pipeline (http/hcm_headers.c). */
struct hcm_verdict hcm_request_headers(struct stream *s);
void hcm_response_headers(struct stream *s);

#endif
