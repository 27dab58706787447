#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/regex.h"
#include "base/stat.h"
#include "proto/support.h"
#include "xds/decode_private.h"

int decode_begin(struct decode *d, struct str bytes, const struct pb_unknown *unknown,
                 const ProtobufCMessageDescriptor *desc, ProtobufCMessage **msg_r,
                 struct error *err)
{
    *d = (struct decode){.unknown = unknown};
    pb_arena_init(&d->pb, pb_budget(bytes.n));
    d->pb.unknown = unknown;
    int rc = pb_unpack(desc, bytes.p, bytes.n, &d->pb, msg_r, err);
    return rc ? rc : support_check(*msg_r, unknown, err);
}

void decode_end(struct decode *d)
{
    hash_fini(&d->slots);
    pb_arena_fini(&d->pb);
}

const char *decode_text(struct decode *d, const char *text)
{
    return *text ? arena_strdup(d->out, text) : "";
}

struct str decode_str(struct decode *d, const char *text)
{
    return str_of(decode_text(d, text));
}

struct str decode_lower(struct decode *d, const char *text)
{
    size_t n = strlen(text);
    char *lower = arena_strndup(d->out, text, n);
    for (size_t i = 0; i < n; i++)
        lower[i] = str_lower(lower[i]);
    return (struct str){lower, n};
}

int decode_ms(const Google__Protobuf__Duration *t, uint32_t def_ms, const char *field,
              uint32_t *ms_r, struct error *err)
{
    uint64_t ms;
    if (pb_duration_ms(t, def_ms, &ms, err))
        return error_prefix(err, "%s: ", field);
    *ms_r = ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
    return 0;
}

/* ---- addresses ---- */

int decode_socket_address(const Envoy__Config__Core__V3__SocketAddress *a, struct addr *addr_r,
                          struct error *err)
{
    if (a->protocol != ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PROTOCOL__TCP)
        return error_set(err, ERR_UNSUPPORTED, "protocol: only TCP is supported");
    if (a->port_specifier_case ==
        ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_NAMED_PORT)
        return error_set(err, ERR_UNSUPPORTED, "named_port: not supported");
    uint32_t port = a->port_specifier_case ? a->port_value : 0;
    if (port > UINT16_MAX)
        return error_set(err, ERR_INVALID, "port_value: must not be above 65535");
    if (addr_from_ip(str_of(a->address), (uint16_t)port, addr_r, err))
        return error_prefix(err, "address: ");
    return 0;
}

int decode_address(const Envoy__Config__Core__V3__Address *a, struct addr *addr_r,
                   struct error *err)
{
    if (!a)
        return error_set(err, ERR_INVALID, "address: required");
    switch (a->address_case) {
    case ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS:
        if (decode_socket_address(a->socket_address, addr_r, err))
            return error_prefix(err, "address.socket_address.");
        return 0;
    case ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_PIPE:
        if (addr_from_path(str_of(a->pipe->path), addr_r, err))
            return error_prefix(err, "address.pipe.path: ");
        return 0;
    case ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_ENVOY_INTERNAL_ADDRESS:
        return error_set(err, ERR_UNSUPPORTED, "address.envoy_internal_address: not supported");
    default:
        return error_set(err, ERR_INVALID, "address: one of socket_address and pipe is required");
    }
}

static int decode_prefix(const Envoy__Config__Core__V3__CidrRange *c, struct conf_prefix *p,
                         struct error *err)
{
    if (addr_from_ip(str_of(c->address_prefix), 0, &p->base, err))
        return error_prefix(err, "address_prefix: ");
    unsigned max = p->base.sa.sa_family == AF_INET ? 32 : 128;
    p->len = pb_u32(c->prefix_len, 0);
    if (p->len > max)
        return error_set(err, ERR_INVALID, "prefix_len: must not be above %u", max);
    return 0;
}

int decode_prefixes(struct decode *d, Envoy__Config__Core__V3__CidrRange *const *ranges, size_t n,
                    const char *field, struct conf_prefix **prefixes_r, struct error *err)
{
    *prefixes_r = DECODE_ARRAY(d, struct conf_prefix, n);
    for (size_t i = 0; i < n; i++)
        if (decode_prefix(ranges[i], &(*prefixes_r)[i], err))
            return error_prefix(err, "%s[%zu].", field, i);
    return 0;
}

/* ---- strings ---- */

int decode_string_match(struct decode *d, const Envoy__Type__Matcher__V3__StringMatcher *m,
                        struct conf_string_match *match_r, struct error *err)
{
    *match_r = (struct conf_string_match){.ignore_case = m->ignore_case};
    switch (m->match_pattern_case) {
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_EXACT:
        match_r->kind = CONF_STRING_EXACT;
        match_r->text = decode_str(d, m->exact);
        return 0;
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_PREFIX:
        match_r->kind = CONF_STRING_PREFIX;
        match_r->text = decode_str(d, m->prefix);
        break;
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_SUFFIX:
        match_r->kind = CONF_STRING_SUFFIX;
        match_r->text = decode_str(d, m->suffix);
        break;
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_CONTAINS:
        match_r->kind = CONF_STRING_CONTAINS;
        match_r->text = decode_str(d, m->contains);
        break;
    case ENVOY__TYPE__MATCHER__V3__STRING_MATCHER__MATCH_PATTERN_SAFE_REGEX:
        if (m->ignore_case)
            return error_set(err, ERR_INVALID,
                             "ignore_case: has no effect for safe_regex; use (?i)");
        match_r->kind = CONF_STRING_REGEX;
        if (regex_create(str_of(m->safe_regex->regex), &match_r->regex, err))
            return error_prefix(err, "safe_regex.regex: ");
        return 0;
    default:
        return error_set(err, ERR_UNSUPPORTED, "match_pattern: not supported");
    }
    if (!match_r->text.n)
        return error_set(err, ERR_INVALID, "match_pattern: must not be empty");
    return 0;
}

/* ---- data sources ---- */

static int read_file(struct decode *d, const char *path, size_t max, struct str *bytes_r,
                     struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
    if (fd < 0)
        return error_set_errno(err, errno, "filename: %s", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = error_set(err, ERR_INVALID, "filename: %s: not a regular file", path);
    else if ((uint64_t)st.st_size > max)
        rc = error_set(err, ERR_LIMIT, "filename: %s: %llu bytes, at most %zu are allowed", path,
                       (unsigned long long)st.st_size, max);
    if (!rc) {
        size_t n = (size_t)st.st_size;
        char *p = arena_alloc(d->out, n + 1);
        ssize_t got = read(fd, p, n);
        if (got < 0)
            rc = error_set_errno(err, errno, "filename: %s", path);
        *bytes_r = (struct str){p, got > 0 ? (size_t)got : 0};
    }
    close(fd);
    return rc;
}

int decode_data_source(struct decode *d, const Envoy__Config__Core__V3__DataSource *s, size_t max,
                       struct str *bytes_r, struct error *err)
{
    const char *value;
    switch (s->specifier_case) {
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_FILENAME:
        return read_file(d, s->filename, max, bytes_r, err);
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_INLINE_BYTES:
        *bytes_r = (struct str){
            arena_strndup(d->out, (const char *)s->inline_bytes.data, s->inline_bytes.len),
            s->inline_bytes.len};
        break;
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_INLINE_STRING:
        *bytes_r = decode_str(d, s->inline_string);
        break;
    case ENVOY__CONFIG__CORE__V3__DATA_SOURCE__SPECIFIER_ENVIRONMENT_VARIABLE:
        value = getenv(s->environment_variable);
        if (!value)
            return error_set(err, ERR_INVALID, "environment_variable: %s is not set",
                             s->environment_variable);
        *bytes_r = decode_str(d, value);
        break;
    default:
        return error_set(err, ERR_INVALID, "specifier: required");
    }
    if (bytes_r->n > max)
        return error_set(err, ERR_LIMIT, "specifier: %zu bytes, at most %zu are allowed",
                         bytes_r->n, max);
    return 0;
}

/* ---- sources of other resources ---- */

/* The source says in another way that it is the aggregated stream. */
static bool is_aggregated(const Envoy__Config__Core__V3__ConfigSource *s)
{
    if (s->config_source_specifier_case !=
        ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_API_CONFIG_SOURCE)
        return false;
    Envoy__Config__Core__V3__ApiConfigSource__ApiType type = s->api_config_source->api_type;
    return type == ENVOY__CONFIG__CORE__V3__API_CONFIG_SOURCE__API_TYPE__AGGREGATED_GRPC ||
           type == ENVOY__CONFIG__CORE__V3__API_CONFIG_SOURCE__API_TYPE__AGGREGATED_DELTA_GRPC;
}

int decode_config_source(struct decode *d, const Envoy__Config__Core__V3__ConfigSource *s,
                         struct conf_source *source_r, struct error *err)
{
    if (!s)
        return error_set(err, ERR_INVALID, "required");
    int rc = decode_ms(s->initial_fetch_timeout, 15000, "initial_fetch_timeout",
                       &source_r->initial_fetch_timeout_ms, err);
    if (rc)
        return rc;
    switch (s->config_source_specifier_case) {
    case ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_ADS:
        source_r->kind = CONF_FROM_ADS;
        return 0;
    case ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_SELF:
        source_r->kind = CONF_FROM_SELF;
        return 0;
    case ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_API_CONFIG_SOURCE:
    case ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_PATH:
    case ENVOY__CONFIG__CORE__V3__CONFIG_SOURCE__CONFIG_SOURCE_SPECIFIER_PATH_CONFIG_SOURCE:
        break;
    default:
        return error_set(err, ERR_INVALID, "config_source_specifier: required");
    }
    source_r->kind = is_aggregated(s) ? CONF_FROM_ADS : CONF_FROM_OWN;
    size_t n = protobuf_c_message_get_packed_size(&s->base);
    char *p = arena_alloc(d->out, n + 1);
    protobuf_c_message_pack(&s->base, (uint8_t *)p);
    source_r->bytes = (struct str){p, n};
    return 0;
}

/* ---- messages ---- */

int decode_any(struct decode *d, const Google__Protobuf__Any *any, ProtobufCMessage **msg_r,
               struct error *err)
{
    if (pb_any_unpack(any, &d->pb, msg_r, err))
        return error_prefix(err, "typed_config: ");
    return 0;
}

void decode_count_noop(const char *name, const char *type)
{
    /* Never released: there are as many names as types in our tables. */
    stat_inc(stat_define(STAT_COUNTER, "remora.noop_filter.%s", type));
    log_debug(LOG_CONFIG, "'%s' (%s) is accepted and does nothing", name, type);
}
