/* What the proxy's own answers look like (HttpConnectionManager's LocalReplyConfig), and filters on
 * finished requests (envoy.config.accesslog.v3.AccessLogFilter). Immutable; in a listener's arena.
 */
#ifndef CONF_LOCAL_REPLY_H
#define CONF_LOCAL_REPLY_H

#include "conf/json_format.h"
#include "conf/route.h"

enum conf_log_filter_kind {
    CONF_LOG_FILTER_STATUS,
    CONF_LOG_FILTER_DURATION, /* ms */
    CONF_LOG_FILTER_HEADER,   /* of the request */
    CONF_LOG_FILTER_FLAGS,
    CONF_LOG_FILTER_GRPC, /* status of gRPC, also of what the status of HTTP stands for */
    CONF_LOG_FILTER_RUNTIME,
    CONF_LOG_FILTER_TYPE,
    CONF_LOG_FILTER_ALL, /* not_health_check_filter: no filter marks health checks */
    CONF_LOG_FILTER_AND,
    CONF_LOG_FILTER_OR,
};

/* AccessLogType: those that there are, numbered alike. */
enum conf_log_type { CONF_LOG_TCP_END = 3, CONF_LOG_DOWNSTREAM_END = 6 };

enum conf_compare { CONF_COMPARE_EQ, CONF_COMPARE_GE, CONF_COMPARE_LE, CONF_COMPARE_NE };

struct conf_log_filter {
    enum conf_log_filter_kind kind;
    enum conf_compare op;
    uint32_t value;
    struct str runtime_key; /* gives value; "": none */
    struct conf_header_match header;
    struct str *flags; /* "UH"; none: any flag */
    size_t flags_n;
    uint32_t wanted;                 /* GRPC: statuses; TYPE: enum conf_log_type; a bit for each */
    bool excludes;                   /* those */
    struct conf_fraction share;      /* CONF_LOG_FILTER_RUNTIME */
    bool is_random;                  /* not by the request's id */
    struct conf_log_filter *filters; /* of AND, OR */
    size_t filters_n;
};

/* Releases its regular expressions; NULL is fine. */
void conf_log_filter_fini(struct conf_log_filter *f);

struct conf_body_format {
    struct conf_format format; /* none: the body as it is */
    const char *content_type;  /* "": text/plain, or of JSON application/json */
};

struct conf_reply_mapper {
    struct conf_log_filter *filter;
    unsigned status; /* 0: stays */
    bool has_body;
    struct str body;
    struct conf_body_format format;
    struct conf_header_ops headers;
};

struct conf_local_reply {
    struct conf_reply_mapper *mappers; /* the first that matches counts */
    size_t mappers_n;
    struct conf_body_format format;
};

void conf_local_reply_fini(struct conf_local_reply *r); /* NULL is fine */

#endif
