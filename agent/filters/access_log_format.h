/* Format strings of the access log, compiled once. Source: Envoy's substitution formatter. */
#ifndef FILTERS_ACCESS_LOG_FORMAT_H
#define FILTERS_ACCESS_LOG_FORMAT_H

#include "base/err.h"
#include "base/str.h"
#include "http/stream.h"

struct log_format;

/* text NULL: Envoy's default format. Errors in Envoy's words. */
int log_format_parse(const char *text, struct log_format **f_r, struct error *err);
void log_format_destroy(struct log_format **f);
/* s is NULL for TCP sessions: what only HTTP has prints "-". */
void log_format_print(const struct log_format *f, const struct stream_info *info,
                      const struct stream *s, struct sbuf *out);

#endif
