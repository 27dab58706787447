/* What the files of a session share: h2_session.c, h2_stream.c, h2_recv.c, h2_send.c, h2_guard.c.
 * Inside http/ only. */
#ifndef HTTP_H2_PRIVATE_H
#define HTTP_H2_PRIVATE_H

#include <nghttp2/nghttp2.h>

#include "http/h2_session.h"

/* ---- h2_session.c ---- */
void h2_schedule(struct h2_session *h);
/* Client, before a request: connection_idle_interval. */
void h2_session_ping_if_idle(struct h2_session *h);

/* ---- h2_stream.c ---- */
struct h2_stream *h2_stream_new(struct h2_session *h, int32_t id, void *user);
/* Nobody knows it any more: frees it. */
void h2_stream_free(struct h2_stream *st);
/* Body, trailers and end, as far as they are here and wanted. */
void h2_stream_deliver(struct h2_stream *st);
void h2_stream_tell_close(struct h2_stream *st, uint32_t code, bool by_peer);

/* ---- h2_recv.c ---- */
void h2_recv_callbacks(nghttp2_session_callbacks *cb);

/* ---- h2_send.c ---- */
void h2_send_callbacks(nghttp2_session_callbacks *cb);

/* ---- h2_guard.c ---- */
/* A frame's header has arrived. False: it is one too many, the session has failed. */
bool h2_guard_frame(struct h2_session *h, const nghttp2_frame_hd *hd);
/* After input: false when too much waits to be sent. */
bool h2_guard_outbound(struct h2_session *h);

#endif
