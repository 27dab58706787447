/* Frames that cost us and not the peer: what is too many of them ends the connection.
 * Source: Envoy's Http2 ProtocolConstraints; limits are those of Http2ProtocolOptions. */
#include "http/h2_private.h"

/* What a peer may send before a stream is open. */
enum { WINDOW_UPDATES_FREE = 5, WINDOW_UPDATES_STREAM = 2 };

static bool flood(struct h2_session *h, stat_id stat, const char *why)
{
    stat_inc(stat);
    h2_session_fail(h, H2_ENHANCE_YOUR_CALM, why);
    return false;
}

static bool check_empty(struct h2_session *h, const nghttp2_frame_hd *hd)
{
    bool is_empty = !hd->length && !(hd->flags & NGHTTP2_FLAG_END_STREAM) &&
                    !(hd->type == NGHTTP2_CONTINUATION && (hd->flags & NGHTTP2_FLAG_END_HEADERS));
    h->empty_n = is_empty ? h->empty_n + 1 : 0;
    if (h->empty_n > h->conf->max_empty_frames)
        return flood(h, h->stats->inbound_empty_frames_flood, "http2.inbound_empty_frames_flood");
    return true;
}

bool h2_guard_frame(struct h2_session *h, const nghttp2_frame_hd *hd)
{
    switch (hd->type) {
    case NGHTTP2_HEADERS:
        if (hd->flags & NGHTTP2_FLAG_PRIORITY)
            h->priority_n++;
        return check_empty(h, hd);
    case NGHTTP2_CONTINUATION:
    case NGHTTP2_DATA:
        return check_empty(h, hd);
    case NGHTTP2_PRIORITY:
        if (++h->priority_n > h->conf->max_priority_frames * (1 + h->opened_n))
            return flood(h, h->stats->inbound_priority_frames_flood,
                         "http2.inbound_priority_frames_flood");
        return true;
    case NGHTTP2_WINDOW_UPDATE:
        if (++h->window_update_n >
            WINDOW_UPDATES_FREE +
                WINDOW_UPDATES_STREAM *
                    (h->opened_n + (uint64_t)h->conf->max_window_updates * h->data_sent_n))
            return flood(h, h->stats->inbound_window_update_frames_flood,
                         "http2.inbound_window_update_frames_flood");
        return true;
    default:
        return true;
    }
}

/* Heads wait in the queue as well, one for each stream; bodies do not. */
bool h2_guard_outbound(struct h2_session *h)
{
    size_t n = nghttp2_session_get_outbound_queue_size(h->ng);
    if (n > h->conf->max_outbound_frames)
        return flood(h, h->stats->outbound_flood, "http2.outbound_frames_flood");
    if (n > h->streams_n + (uint64_t)h->conf->max_outbound_control_frames)
        return flood(h, h->stats->outbound_control_flood, "http2.outbound_control_frames_flood");
    return true;
}
