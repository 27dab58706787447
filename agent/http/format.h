/* Format strings of the access log, of header values and local replies, compiled once. [any] thread
 * may print. Source: Envoy's substitution formatter. */
#ifndef HTTP_FORMAT_H
#define HTTP_FORMAT_H

#include "base/err.h"
#include "base/str.h"
#include "conf/json_format.h"
#include "http/stream.h"

struct format;

/* Errors in Envoy's words. */
int format_create(const struct conf_format *conf, struct format **f_r, struct error *err);
/* text NULL: Envoy's default format. */
int format_parse(const char *text, struct format **f_r, struct error *err);
void format_destroy(struct format **f);
/* s is NULL for TCP sessions: what only HTTP has prints "-". */
void format_print(const struct format *f, const struct stream_info *info, const struct stream *s,
                  struct sbuf *out);
/* The same, with nothing in the place of "-". */
void format_print_value(const struct format *f, const struct stream_info *info,
                        const struct stream *s, struct sbuf *out);

#endif
