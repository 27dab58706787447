/* Operators about the two connections: addresses and TLS.
 * Source: Envoy's stream_info_formatter.cc. */
#include "base/mem.h"
#include "http/format_private.h"
#include "net/tls_info.h"

/* ---- addresses ---- */

static bool add_addr(const struct addr *a, struct sbuf *out, bool with_port)
{
    char text[ADDR_TEXT_MAX];
    if (!a->len)
        return false;
    sbuf_addz(out, with_port ? addr_format(a, text) : addr_format_ip(a, text));
    return true;
}

static bool add_port(const struct addr *a, struct sbuf *out)
{
    return a->len && a->sa.sa_family != AF_UNIX && format_number(out, addr_port(a));
}

/* The endpoint's name, or else its address. */
static bool add_host_name(const struct stream_info *info, struct sbuf *out, bool with_port)
{
    const char *name = info->upstream_host_name;
    if (!name || !*name)
        return add_addr(&info->upstream_remote, out, with_port);
    sbuf_addz(out, name);
    return true;
}

/* Of the connection to the host that was chosen, if there was one. */
static const struct addr *reached(const struct stream_info *info)
{
    static const struct addr none;
    return info->upstream_local.len ? &info->upstream_remote : &none;
}

#define ADDRESS(name, expr)                                            \
    FORMAT_OPERATOR(name, add_addr((expr), out, true))                 \
    FORMAT_OPERATOR(name##_without_port, add_addr((expr), out, false)) \
    FORMAT_OPERATOR(name##_port, add_port((expr), out))

ADDRESS(down_remote, stream_info_remote(info))
ADDRESS(down_direct_remote, &info->down->direct_remote)
ADDRESS(down_local, &info->down->local)
ADDRESS(down_direct_local, &info->down->direct_local)
ADDRESS(up_remote, reached(info))
FORMAT_OPERATOR(up_host, add_addr(&info->upstream_remote, out, true))
ADDRESS(up_local, &info->upstream_local)
FORMAT_OPERATOR(up_host_name, add_host_name(info, out, true))
FORMAT_OPERATOR(up_host_name_without_port, add_host_name(info, out, false))
FORMAT_OPERATOR(connection_id, format_number(out, info->down->connection_id))
FORMAT_OPERATOR(up_connection_id, format_number(out, info->upstream_connection_id))
FORMAT_OPERATOR(server_name, format_text(out, info->down->requested_server_name))

/* ---- TLS ---- */

#define TLS(name, what, is_local)                                                    \
    FORMAT_OPERATOR(down_##name, tls_info_add(info->down->tls, what, is_local, out)) \
    FORMAT_OPERATOR(up_##name, tls_info_add(info->upstream_tls, what, is_local, out))

TLS(version, TLS_INFO_VERSION, false)
TLS(cipher, TLS_INFO_CIPHER, false)
TLS(session_id, TLS_INFO_SESSION_ID, false)
TLS(subject, TLS_INFO_SUBJECT, false)
TLS(issuer, TLS_INFO_ISSUER, false)
TLS(cert, TLS_INFO_CERT, false)
TLS(uri, TLS_INFO_URI_SAN, false)
TLS(dns, TLS_INFO_DNS_SAN, false)
TLS(ip, TLS_INFO_IP_SAN, false)
TLS(local_uri, TLS_INFO_URI_SAN, true)
TLS(local_dns, TLS_INFO_DNS_SAN, true)
TLS(local_ip, TLS_INFO_IP_SAN, true)

#define DOWN(name, what, is_local) \
    FORMAT_OPERATOR(down_##name, tls_info_add(info->down->tls, what, is_local, out))

DOWN(serial, TLS_INFO_SERIAL, false)
DOWN(fingerprint_256, TLS_INFO_FINGERPRINT_256, false)
DOWN(fingerprint_1, TLS_INFO_FINGERPRINT_1, false)
DOWN(email, TLS_INFO_EMAIL_SAN, false)
DOWN(local_email, TLS_INFO_EMAIL_SAN, true)
DOWN(local_subject, TLS_INFO_SUBJECT, true)

static bool add_validity(const struct conn_tls *tls, const struct format_item *it, struct sbuf *out,
                         bool is_start)
{
    enum { NS = 1000000000 };
    time_t from, to;
    const char *pattern = it->text ? it->text : "%Y-%m-%dT%H:%M:%E3SZ";
    if (!tls_info_validity(tls, &from, &to))
        return false;
    return format_time((uint64_t)(is_start ? from : to) * NS, pattern, false, out);
}

FORMAT_OPERATOR(down_v_start, add_validity(info->down->tls, it, out, true))
FORMAT_OPERATOR(down_v_end, add_validity(info->down->tls, it, out, false))
FORMAT_OPERATOR(up_v_start, add_validity(info->upstream_tls, it, out, true))
FORMAT_OPERATOR(up_v_end, add_validity(info->upstream_tls, it, out, false))

#define TEXT FORMAT_ARG_NONE, false, NULL
#define NUMBER FORMAT_ARG_NONE, true, NULL
#define OPTIONAL FORMAT_ARG_OPTIONAL, false, NULL
#define ADDRESS_ROWS(text, name)                                           \
    {text "_ADDRESS", print_##name, TEXT},                                 \
        {text "_ADDRESS_WITHOUT_PORT", print_##name##_without_port, TEXT}, \
    {                                                                      \
        text "_PORT", print_##name##_port, NUMBER                          \
    }

const struct format_operator format_peer_operators[] = {
    ADDRESS_ROWS("DOWNSTREAM_REMOTE", down_remote),
    ADDRESS_ROWS("DOWNSTREAM_DIRECT_REMOTE", down_direct_remote),
    ADDRESS_ROWS("DOWNSTREAM_LOCAL", down_local),
    ADDRESS_ROWS("DOWNSTREAM_DIRECT_LOCAL", down_direct_local),
    ADDRESS_ROWS("UPSTREAM_REMOTE", up_remote),
    ADDRESS_ROWS("UPSTREAM_LOCAL", up_local),
    {"UPSTREAM_HOST", print_up_host, TEXT},
    {"UPSTREAM_HOST_NAME", print_up_host_name, TEXT},
    {"UPSTREAM_HOST_NAME_WITHOUT_PORT", print_up_host_name_without_port, TEXT},
    {"CONNECTION_ID", print_connection_id, NUMBER},
    {"UPSTREAM_CONNECTION_ID", print_up_connection_id, NUMBER},
    {"REQUESTED_SERVER_NAME", print_server_name, TEXT},
    {"DOWNSTREAM_TLS_VERSION", print_down_version, TEXT},
    {"DOWNSTREAM_TLS_CIPHER", print_down_cipher, TEXT},
    {"DOWNSTREAM_TLS_SESSION_ID", print_down_session_id, TEXT},
    {"DOWNSTREAM_PEER_SUBJECT", print_down_subject, TEXT},
    {"DOWNSTREAM_PEER_ISSUER", print_down_issuer, TEXT},
    {"DOWNSTREAM_PEER_SERIAL", print_down_serial, TEXT},
    {"DOWNSTREAM_PEER_CERT", print_down_cert, TEXT},
    {"DOWNSTREAM_PEER_CERT_V_START", print_down_v_start, OPTIONAL},
    {"DOWNSTREAM_PEER_CERT_V_END", print_down_v_end, OPTIONAL},
    {"DOWNSTREAM_PEER_FINGERPRINT_256", print_down_fingerprint_256, TEXT},
    {"DOWNSTREAM_PEER_FINGERPRINT_1", print_down_fingerprint_1, TEXT},
    {"DOWNSTREAM_PEER_URI_SAN", print_down_uri, TEXT},
    {"DOWNSTREAM_PEER_DNS_SAN", print_down_dns, TEXT},
    {"DOWNSTREAM_PEER_IP_SAN", print_down_ip, TEXT},
    {"DOWNSTREAM_PEER_EMAIL_SAN", print_down_email, TEXT},
    {"DOWNSTREAM_LOCAL_SUBJECT", print_down_local_subject, TEXT},
    {"DOWNSTREAM_LOCAL_URI_SAN", print_down_local_uri, TEXT},
    {"DOWNSTREAM_LOCAL_DNS_SAN", print_down_local_dns, TEXT},
    {"DOWNSTREAM_LOCAL_IP_SAN", print_down_local_ip, TEXT},
    {"DOWNSTREAM_LOCAL_EMAIL_SAN", print_down_local_email, TEXT},
    {"UPSTREAM_TLS_VERSION", print_up_version, TEXT},
    {"UPSTREAM_TLS_CIPHER", print_up_cipher, TEXT},
    {"UPSTREAM_TLS_SESSION_ID", print_up_session_id, TEXT},
    {"UPSTREAM_PEER_SUBJECT", print_up_subject, TEXT},
    {"UPSTREAM_PEER_ISSUER", print_up_issuer, TEXT},
    {"UPSTREAM_PEER_CERT", print_up_cert, TEXT},
    {"UPSTREAM_PEER_CERT_V_START", print_up_v_start, OPTIONAL},
    {"UPSTREAM_PEER_CERT_V_END", print_up_v_end, OPTIONAL},
    {"UPSTREAM_PEER_URI_SAN", print_up_uri, TEXT},
    {"UPSTREAM_PEER_DNS_SAN", print_up_dns, TEXT},
    {"UPSTREAM_PEER_IP_SAN", print_up_ip, TEXT},
    {"UPSTREAM_LOCAL_URI_SAN", print_up_local_uri, TEXT},
    {"UPSTREAM_LOCAL_DNS_SAN", print_up_local_dns, TEXT},
    {"UPSTREAM_LOCAL_IP_SAN", print_up_local_ip, TEXT},
};
const size_t format_peer_operators_n = ARRAY_LEN(format_peer_operators);
