#include <string.h>

#include "envoy/extensions/access_loggers/file/v3/file.pb-c.h"
#include "envoy/extensions/access_loggers/stream/v3/stream.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Accesslog__V3__AccessLog log_msg;
typedef Envoy__Config__Core__V3__SubstitutionFormatString format_msg;
typedef Envoy__Extensions__AccessLoggers__File__V3__FileAccessLog file_msg;

#define FILE_FORMAT(x) \
    ENVOY__EXTENSIONS__ACCESS_LOGGERS__FILE__V3__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT_##x

static int decode_file(struct decode *d, const ProtobufCMessage *msg, struct conf_access_log *log,
                       struct error *err)
{
    const file_msg *m = (const file_msg *)msg;
    log->sink = CONF_LOG_FILE;
    log->path = decode_text(d, m->path);
    if (!*m->path)
        return error_set(err, ERR_INVALID, "path: must not be empty");
    switch (m->access_log_format_case) {
    case FILE_FORMAT(_NOT_SET):
        return 0;
    case FILE_FORMAT(FORMAT):
        if (!*m->format)
            return 0; /* the default format */
        return decode_text_format(d, m->format, &log->format, err) ? error_prefix(err, "format: ")
                                                                   : 0;
    case FILE_FORMAT(JSON_FORMAT):
        return decode_json_format(d, m->json_format, &log->format, err)
                   ? error_prefix(err, "json_format: ")
                   : 0;
    case FILE_FORMAT(TYPED_JSON_FORMAT):
        return decode_json_format(d, m->typed_json_format, &log->format, err)
                   ? error_prefix(err, "typed_json_format: ")
                   : 0;
    default:
        return decode_format(d, m->log_format, &log->format, err) ? error_prefix(err, "log_format.")
                                                                  : 0;
    }
}

static int decode_stream(struct decode *d, const format_msg *format, enum conf_log_sink sink,
                         struct conf_access_log *log, struct error *err)
{
    log->sink = sink;
    log->path = "";
    if (format && decode_format(d, format, &log->format, err))
        return error_prefix(err, "log_format.");
    return 0;
}

static int decode_stdout(struct decode *d, const ProtobufCMessage *msg, struct conf_access_log *log,
                         struct error *err)
{
    const Envoy__Extensions__AccessLoggers__Stream__V3__StdoutAccessLog *m = (const void *)msg;
    return decode_stream(d, m->access_log_format_case ? m->log_format : NULL, CONF_LOG_STDOUT, log,
                         err);
}

static int decode_stderr(struct decode *d, const ProtobufCMessage *msg, struct conf_access_log *log,
                         struct error *err)
{
    const Envoy__Extensions__AccessLoggers__Stream__V3__StderrAccessLog *m = (const void *)msg;
    return decode_stream(d, m->access_log_format_case ? m->log_format : NULL, CONF_LOG_STDERR, log,
                         err);
}

/* A sink without a decode function is accepted and writes nothing. */
static const struct sink {
    const char *type;
    int (*decode)(struct decode *d, const ProtobufCMessage *msg, struct conf_access_log *log,
                  struct error *err);
} sinks[] = {
    {"envoy.extensions.access_loggers.file.v3.FileAccessLog", decode_file},
    {"envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", decode_stdout},
    {"envoy.extensions.access_loggers.stream.v3.StderrAccessLog", decode_stderr},
    {"envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig", NULL},
    {"envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig", NULL},
};

static const struct sink *find_sink(const log_msg *m)
{
    struct str type = m->config_type_case ? pb_any_type(m->typed_config) : STR("");
    for (size_t i = 0; i < ARRAY_LEN(sinks); i++)
        if (str_is(type, sinks[i].type))
            return &sinks[i];
    return NULL;
}

/* A listener's log is written for connections without a filter chain only, which is what Istio
 * asks for with this filter. Any other filter would have to be evaluated. */
static bool is_no_route_filter(const Envoy__Config__Accesslog__V3__AccessLogFilter *f)
{
    return f->filter_specifier_case ==
               ENVOY__CONFIG__ACCESSLOG__V3__ACCESS_LOG_FILTER__FILTER_SPECIFIER_RESPONSE_FLAG_FILTER &&
           f->response_flag_filter->n_flags == 1 &&
           strcmp(f->response_flag_filter->flags[0], "NR") == 0;
}

static int decode_log(struct decode *d, const log_msg *m, bool is_listener,
                      struct conf_access_log *logs, size_t *n, struct error *err)
{
    const struct sink *sink = find_sink(m);
    ProtobufCMessage *msg;
    if (!sink)
        return error_set(
            err, ERR_UNSUPPORTED,
            "typed_config: Didn't find a registered implementation for '%s' with type URL: '%.*s'",
            m->name, STR_ARG(m->config_type_case ? pb_any_type(m->typed_config) : STR("")));
    if (m->filter && is_listener && !is_no_route_filter(m->filter))
        return error_set(err, ERR_UNSUPPORTED, "filter: not supported");
    if (!sink->decode) {
        decode_count_noop(m->name, sink->type);
        return 0;
    }
    if (decode_any(d, m->typed_config, &msg, err))
        return error_code(err);
    struct conf_access_log *log = &logs[(*n)++];
    if (m->filter && !is_listener && decode_log_filter(d, m->filter, &log->filter, err))
        return error_prefix(err, "filter.");
    if (sink->decode(d, msg, log, err))
        return error_prefix(err, "typed_config.");
    return 0;
}

int decode_access_logs(struct decode *d, log_msg *const *logs, size_t n, bool is_listener,
                       struct conf_access_log **logs_r, size_t *logs_n_r, struct error *err)
{
    *logs_r = DECODE_ARRAY(d, struct conf_access_log, n);
    *logs_n_r = 0;
    for (size_t i = 0; i < n; i++)
        if (decode_log(d, logs[i], is_listener, *logs_r, logs_n_r, err))
            return error_prefix(err, "access_log[%zu].", i);
    return 0;
}
