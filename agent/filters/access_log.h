/* Access log: Envoy's format strings, written by a thread of their own so that no worker ever
 * waits for a file. Lines that do not fit its queue are dropped and counted. [worker] unless
 * stated. Source: envoy.config.accesslog.v3, Envoy's substitution formatter. */
#ifndef FILTERS_ACCESS_LOG_H
#define FILTERS_ACCESS_LOG_H

#include "http/hcm.h"
#include "http/stream.h"

struct access_log_writer;

/* [main] flush_ms: --file-flush-interval-msec. One writer serves all workers. */
int access_log_writer_create(unsigned flush_ms, struct access_log_writer **w_r, struct error *err);
void access_log_writer_destroy(struct access_log_writer **w); /* flushes */
/* [any] Reopens the files (SIGUSR1, POST /reopen_logs). */
void access_log_writer_reopen(struct access_log_writer *w);

/* [main] Checks a format string at configuration time (Envoy's error texts). */
int access_log_check_format(const char *format, struct error *err);

/* hcm->log: writes a complete stream to its connection manager's access logs. */
void access_log_stream(struct hcm *hcm, struct stream *s);
/* A complete TCP session to its tcp_proxy's access logs. */
void access_log_tcp(struct filter_env *env, const struct conf_tcp_proxy *conf,
                    const struct stream_info *info);
/* A connection that found no filter chain, to the listener's access logs (flag NR). */
void access_log_listener(struct filter_env *env, const struct conf_listener *conf,
                         const struct stream_info *info);
/* A format for one stream (local replies, headers): Envoy's default when format is NULL. */
void access_log_format(const char *format, const struct stream_info *info, const struct stream *s,
                       struct sbuf *out);

#endif
