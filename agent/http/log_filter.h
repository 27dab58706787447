/* Does a filter take a request? For access logs and local replies. [worker]
 * Source: envoy.config.accesslog.v3.AccessLogFilter. */
#ifndef HTTP_LOG_FILTER_H
#define HTTP_LOG_FILTER_H

#include "conf/local_reply.h"
#include "http/stream.h"

/* s NULL: a TCP session, which has no headers. */
bool log_filter_matches(const struct conf_log_filter *f, const struct stream_info *info,
                        const struct stream *s);

#endif
