/* Access log: Envoy's format strings, written by a thread of their own so that no worker ever
 * waits for a file, or for another worker. A worker's lines stay in order; those that do not fit
 * its queue (1 MiB for each file) are dropped and counted (access_log.dropped; filesystem.* are
 * Envoy's). Source: envoy.config.accesslog.v3. */
#ifndef FILTERS_ACCESS_LOG_H
#define FILTERS_ACCESS_LOG_H

#include "http/hcm.h"
#include "http/stream.h"

struct access_log_writer;
struct access_logs;

struct access_log_options {
    unsigned flush_ms; /* --file-flush-interval-msec */
    size_t flush_size; /* bytes that are not waited with, of one worker and file */
};

/* [main] One writer serves all workers. */
int access_log_writer_create(const struct access_log_options *o, struct access_log_writer **w_r,
                             struct error *err);
void access_log_writer_destroy(struct access_log_writer **w); /* flushes */
/* [any] Reopens the files (SIGUSR1, POST /reopen_logs). */
void access_log_writer_reopen(struct access_log_writer *w);

/* [main] Checks a format string at configuration time (Envoy's error texts). */
int access_log_check_format(const struct conf_format *format, struct error *err);

/* [worker] The access logs of one connection manager or tcp_proxy, with formats compiled and
 * files known to the writer; NULL when n is 0. */
struct access_logs *access_logs_create(struct access_log_writer *w,
                                       const struct conf_access_log *conf, size_t n);
void access_logs_destroy(struct access_logs **logs);
/* s is NULL for TCP. logs may be NULL. */
void access_logs_write(struct access_logs *logs, const struct stream_info *info,
                       const struct stream *s);

#endif
