/* RouteAction's rewrites, and RedirectAction. */
#include <string.h>

#include "base/regex.h"
#include "xds/decode_route_private.h"

typedef Envoy__Config__Route__V3__RouteAction action_msg;
typedef Envoy__Config__Route__V3__RedirectAction redirect_msg;

#define HOST(x) ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER_##x
#define REDIRECT(x) ENVOY__CONFIG__ROUTE__V3__REDIRECT_ACTION__##x

int decode_header_text(struct decode *d, const char *text, const char *field, struct str *text_r,
                       struct error *err)
{
    *text_r = *text ? decode_str(d, text) : STR_NULL;
    if (strpbrk(text, "\r\n"))
        return error_set(err, ERR_INVALID, "%s: must not contain line ends", field);
    return 0;
}

int decode_substitute(struct decode *d, const Envoy__Type__Matcher__V3__RegexMatchAndSubstitute *m,
                      const char *field, struct conf_substitute *out, struct error *err)
{
    if (!m)
        return 0;
    if (!m->pattern)
        return error_set(err, ERR_INVALID, "%s.pattern: required", field);
    if (strlen(m->substitution) > REGEX_SUBSTITUTION_MAX)
        return error_set(err, ERR_LIMIT, "%s.substitution: over %d bytes", field,
                         REGEX_SUBSTITUTION_MAX);
    if (regex_create(str_of(m->pattern->regex), &out->regex, err))
        return error_prefix(err, "%s.pattern.regex: ", field);
    out->to = decode_str(d, m->substitution);
    if (strpbrk(m->substitution, "\r\n"))
        return error_set(err, ERR_INVALID, "%s.substitution: must not contain line ends", field);
    if (regex_check_substitution(out->regex, out->to, err))
        return error_prefix(err, "%s.substitution: ", field);
    return 0;
}

/* ---- rewrites ---- */

static int set_host_rewrite(struct decode *d, const action_msg *m, struct conf_route *r,
                            struct error *err)
{
    switch (m->host_rewrite_specifier_case) {
    case HOST(HOST_REWRITE_LITERAL):
        r->host_kind = *m->host_rewrite_literal ? CONF_HOST_LITERAL : CONF_HOST_KEEP;
        return decode_header_text(d, m->host_rewrite_literal, "host_rewrite_literal",
                                  &r->host_rewrite, err);
    case HOST(AUTO_HOST_REWRITE):
        r->host_kind = pb_bool(m->auto_host_rewrite, false) ? CONF_HOST_AUTO : CONF_HOST_KEEP;
        return 0;
    case HOST(HOST_REWRITE_HEADER):
        r->host_kind = CONF_HOST_HEADER;
        r->host_rewrite = decode_lower(d, m->host_rewrite_header);
        return 0;
    case HOST(HOST_REWRITE_PATH_REGEX):
        r->host_kind = CONF_HOST_PATH_REGEX;
        return decode_substitute(d, m->host_rewrite_path_regex, "host_rewrite_path_regex",
                                 &r->host_path_regex, err);
    case ENVOY__CONFIG__ROUTE__V3__ROUTE_ACTION__HOST_REWRITE_SPECIFIER__NOT_SET:
        return 0;
    default:
        return error_set(err, ERR_UNSUPPORTED, "host_rewrite: not supported");
    }
}

int decode_upgrade(struct decode *d, const char *type, const Google__Protobuf__BoolValue *enabled,
                   struct conf_upgrade *all, size_t i, struct error *err)
{
    all[i].type = decode_str(d, type);
    all[i].is_enabled = pb_bool(enabled, true);
    for (size_t k = 0; k < i; k++)
        if (str_eq_nocase(all[i].type, all[k].type))
            return error_set(err, ERR_INVALID, "upgrade_configs[%zu]: %s stands twice", i, type);
    return 0;
}

static int set_upgrades(struct decode *d, const action_msg *m, struct conf_route *r,
                        struct error *err)
{
    r->upgrades = DECODE_ARRAY(d, struct conf_upgrade, m->n_upgrade_configs);
    r->upgrades_n = m->n_upgrade_configs;
    for (size_t i = 0; i < r->upgrades_n; i++) {
        const Envoy__Config__Route__V3__RouteAction__UpgradeConfig *u = m->upgrade_configs[i];
        if (decode_upgrade(d, u->upgrade_type, u->enabled, r->upgrades, i, err))
            return error_code(err);
        r->upgrades[i].ends_here = u->connect_config != NULL;
        if (u->connect_config && !str_is(r->upgrades[i].type, "CONNECT"))
            return error_set(err, ERR_INVALID,
                             "upgrade_configs[%zu].connect_config: Non-CONNECT upgrade type %s has "
                             "ConnectConfig",
                             i, u->upgrade_type);
    }
    return 0;
}

int decode_rewrites(struct decode *d, const action_msg *m, struct conf_route *r, struct error *err)
{
    r->append_x_forwarded_host = m->append_x_forwarded_host;
    r->is_high_priority = m->priority == ENVOY__CONFIG__CORE__V3__ROUTING_PRIORITY__HIGH;
    int rc = set_host_rewrite(d, m, r, err);
    if (!rc)
        rc = set_upgrades(d, m, r, err);
    if (!rc)
        rc = decode_header_text(d, m->prefix_rewrite, "prefix_rewrite", &r->prefix_rewrite, err);
    if (!rc)
        rc = decode_substitute(d, m->regex_rewrite, "regex_rewrite", &r->regex_rewrite, err);
    if (!rc && r->prefix_rewrite.p && r->regex_rewrite.regex)
        rc = error_set(err, ERR_INVALID, "Cannot specify both prefix_rewrite and regex_rewrite");
    return rc;
}

/* ---- redirects ---- */

static unsigned redirect_status(const redirect_msg *m)
{
    static const unsigned codes[] = {
        [REDIRECT(REDIRECT_RESPONSE_CODE__MOVED_PERMANENTLY)] = 301,
        [REDIRECT(REDIRECT_RESPONSE_CODE__FOUND)] = 302,
        [REDIRECT(REDIRECT_RESPONSE_CODE__SEE_OTHER)] = 303,
        [REDIRECT(REDIRECT_RESPONSE_CODE__TEMPORARY_REDIRECT)] = 307,
        [REDIRECT(REDIRECT_RESPONSE_CODE__PERMANENT_REDIRECT)] = 308,
    };
    return (unsigned)m->response_code < ARRAY_LEN(codes) ? codes[m->response_code] : 0;
}

static int set_redirect_path(struct decode *d, const redirect_msg *m, struct conf_redirect *out,
                             struct error *err)
{
    switch (m->path_rewrite_specifier_case) {
    case REDIRECT(PATH_REWRITE_SPECIFIER_PATH_REDIRECT):
        return decode_header_text(d, m->path_redirect, "path_redirect", &out->path, err);
    case REDIRECT(PATH_REWRITE_SPECIFIER_PREFIX_REWRITE):
        return decode_header_text(d, m->prefix_rewrite, "prefix_rewrite", &out->prefix_rewrite,
                                  err);
    case REDIRECT(PATH_REWRITE_SPECIFIER_REGEX_REWRITE):
        return decode_substitute(d, m->regex_rewrite, "regex_rewrite", &out->regex_rewrite, err);
    default:
        return 0;
    }
}

int decode_redirect(struct decode *d, const redirect_msg *m, struct conf_route *r,
                    struct error *err)
{
    struct conf_redirect *out = r->redirect = DECODE_NEW(d, struct conf_redirect);
    int rc = 0;
    r->action = CONF_ACTION_REDIRECT;
    out->strip_query = m->strip_query;
    out->status = redirect_status(m);
    if (!out->status)
        return error_set(err, ERR_INVALID, "redirect.response_code: unknown value %d",
                         (int)m->response_code);
    if (m->port_redirect > UINT16_MAX)
        return error_set(err, ERR_INVALID, "redirect.port_redirect: must not be above 65535");
    out->port = (uint16_t)m->port_redirect;
    if (m->scheme_rewrite_specifier_case == REDIRECT(SCHEME_REWRITE_SPECIFIER_HTTPS_REDIRECT))
        out->https = m->https_redirect;
    else if (m->scheme_rewrite_specifier_case == REDIRECT(SCHEME_REWRITE_SPECIFIER_SCHEME_REDIRECT))
        rc = decode_header_text(d, m->scheme_redirect, "scheme_redirect", &out->scheme, err);
    if (!rc)
        rc = decode_header_text(d, m->host_redirect, "host_redirect", &out->host, err);
    if (!rc)
        rc = set_redirect_path(d, m, out, err);
    return rc ? error_prefix(err, "redirect.") : 0;
}
