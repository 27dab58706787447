/* envoy.config.core.v3.Http2ProtocolOptions, of connection managers and clusters. Limits of values
 * are those of Envoy's own checks. */
#include "conf/http2.h"
#include "xds/decode_private.h"

enum { WINDOW_MIN = 65535, WINDOW_MAX = INT32_MAX };

struct row {
    const Google__Protobuf__UInt32Value *from;
    const char *field;
    uint32_t min, max;
    uint32_t *to;
};

static int read_rows(const struct row *rows, size_t n, struct error *err)
{
    for (const struct row *r = rows; r < rows + n; r++) {
        uint32_t v = pb_u32(r->from, *r->to);
        if (r->from && (v < r->min || v > r->max))
            return error_set(err, ERR_INVALID, "%s: must be within %u and %u", r->field, r->min,
                             r->max);
        *r->to = v;
    }
    return 0;
}

static int read_keepalive(const Envoy__Config__Core__V3__KeepaliveSettings *k, struct conf_http2 *o,
                          struct error *err)
{
    if (!k)
        return 0;
    if (!k->timeout)
        return error_set(err, ERR_INVALID, "timeout: required");
    int rc = decode_ms(k->interval, 0, "interval", &o->ping_interval_ms, err);
    if (!rc)
        rc = decode_ms(k->timeout, 0, "timeout", &o->ping_timeout_ms, err);
    if (!rc)
        rc = decode_ms(k->connection_idle_interval, 0, "connection_idle_interval", &o->ping_idle_ms,
                       err);
    if (!rc && (!o->ping_timeout_ms || (k->interval && !o->ping_interval_ms)))
        rc = error_set(err, ERR_INVALID, "interval and timeout: must be at least 1 ms");
    double jitter = k->interval_jitter ? k->interval_jitter->value : 15;
    if (!rc && !(jitter >= 0 && jitter <= 100))
        rc = error_set(err, ERR_INVALID, "interval_jitter: must be within 0 and 100");
    o->ping_jitter_percent = rc ? 0 : (uint32_t)jitter;
    return rc;
}

int decode_http2(const Envoy__Config__Core__V3__Http2ProtocolOptions *m, struct conf_http2 *o,
                 struct error *err)
{
    conf_http2_defaults(o);
    if (!m)
        return 0;
    const struct row rows[] = {
        {m->hpack_table_size, "hpack_table_size", 0, 1 << 20, &o->hpack_table_size},
        {m->max_concurrent_streams, "max_concurrent_streams", 1, INT32_MAX,
         &o->max_concurrent_streams},
        {m->initial_stream_window_size, "initial_stream_window_size", WINDOW_MIN, WINDOW_MAX,
         &o->stream_window},
        {m->initial_connection_window_size, "initial_connection_window_size", WINDOW_MIN,
         WINDOW_MAX, &o->connection_window},
        {m->max_outbound_frames, "max_outbound_frames", 1, UINT32_MAX, &o->max_outbound_frames},
        {m->max_outbound_control_frames, "max_outbound_control_frames", 1, UINT32_MAX,
         &o->max_outbound_control_frames},
        {m->max_consecutive_inbound_frames_with_empty_payload,
         "max_consecutive_inbound_frames_with_empty_payload", 0, UINT32_MAX, &o->max_empty_frames},
        {m->max_inbound_priority_frames_per_stream, "max_inbound_priority_frames_per_stream", 0,
         UINT32_MAX, &o->max_priority_frames},
        {m->max_inbound_window_update_frames_per_data_frame_sent,
         "max_inbound_window_update_frames_per_data_frame_sent", 1, UINT32_MAX,
         &o->max_window_updates},
    };
    if (read_rows(rows, ARRAY_LEN(rows), err))
        return error_code(err);
    o->allow_connect = m->allow_connect;
    o->keeps_broken = m->override_stream_error_on_invalid_http_message
                          ? m->override_stream_error_on_invalid_http_message->value
                          : m->stream_error_on_invalid_http_messaging;
    if (read_keepalive(m->connection_keepalive, o, err))
        return error_prefix(err, "connection_keepalive.");
    return 0;
}
