#include "http/xfcc.h"

#include "http/hcm.h"
#include "net/tls_info.h"

#define NAME STR("x-forwarded-client-cert")

static void add_separator(struct sbuf *b)
{
    if (b->n)
        sbuf_addc(b, ';');
}

/* What separates elements and fields stands in quotes; bytes that no header may hold are masked.
 * Certificates are written by strangers, too. */
static void add_value(struct sbuf *b, struct str value, bool always_quoted)
{
    bool quoted = always_quoted;
    for (size_t i = 0; i < value.n; i++)
        quoted |= strchr(",;=\"", value.p[i]) != NULL;
    if (quoted)
        sbuf_addc(b, '"');
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c == '"' && (!i || value.p[i - 1] != '\\'))
            sbuf_addc(b, '\\');
        sbuf_addc(b, (unsigned char)c < ' ' || c == 0x7f ? '?' : c);
    }
    if (quoted)
        sbuf_addc(b, '"');
}

struct field {
    struct sbuf *to;
    const char *name;
    unsigned n;
};

static void add_name(void *arg, struct str name)
{
    struct field *f = arg;
    add_separator(f->to);
    sbuf_addz(f->to, f->name);
    add_value(f->to, name, false);
    f->n++;
}

static void add_info(struct sbuf *b, const struct conn_tls *tls, enum tls_info what,
                     const char *name, bool quoted)
{
    struct sbuf value = {0};
    if (tls_info_add(tls, what, false, &value)) {
        add_separator(b);
        sbuf_addz(b, name);
        add_value(b, (struct str){value.p, value.n}, quoted);
    }
    sbuf_fini(&value);
}

static char *make_element(const struct conn_tls *tls, const struct conf_hcm *conf)
{
    struct sbuf b = {0};
    struct field by = {.to = &b, .name = "By="}, uri = {.to = &b, .name = "URI="},
                 dns = {.to = &b, .name = "DNS="};
    tls_info_each_san(tls, TLS_SAN_URI, true, add_name, &by);
    add_info(&b, tls, TLS_INFO_FINGERPRINT_256, "Hash=", false);
    if (conf->xfcc_cert)
        add_info(&b, tls, TLS_INFO_CERT, "Cert=", true);
    if (conf->xfcc_chain)
        add_info(&b, tls, TLS_INFO_CHAIN, "Chain=", true);
    if (conf->xfcc_subject)
        add_info(&b, tls, TLS_INFO_SUBJECT, "Subject=", true);
    if (conf->xfcc_uri) {
        tls_info_each_san(tls, TLS_SAN_URI, false, add_name, &uri);
        if (!uri.n)
            add_name(&uri, STR(""));
    }
    if (conf->xfcc_dns)
        tls_info_each_san(tls, TLS_SAN_DNS, false, add_name, &dns);
    return sbuf_take(&b);
}

/* Behind what the client forwarded, in one line or several. */
static const char *append(struct stream *s, const char *element)
{
    const struct headers *h = &s->req;
    const char *all = NULL;
    for (size_t i = 0; i < h->n; i++) {
        struct str value = header_value(h, &h->v[i]);
        if (!str_eq(header_name(h, &h->v[i]), NAME) || !value.n)
            continue;
        all = all ? arena_printf(&s->arena, "%s,%.*s", all, STR_ARG(value))
                  : arena_strndup(&s->arena, value.p, value.n);
    }
    return all ? arena_printf(&s->arena, "%s,%s", all, element) : element;
}

void xfcc_apply(struct stream *s)
{
    const struct conf_hcm *conf = s->hcm->conf;
    const struct conn_tls *tls = s->info.down->tls;
    if (conf->xfcc == CONF_XFCC_ALWAYS_FORWARD)
        return;
    if (conf->xfcc == CONF_XFCC_SANITIZE || !tls_info_has_peer(tls)) {
        headers_remove(&s->req, NAME);
        return;
    }
    if (conf->xfcc == CONF_XFCC_FORWARD)
        return;
    const char *element = tls_info_cached(tls);
    if (!element)
        element = tls_info_cache(tls, make_element(tls, conf));
    if (conf->xfcc == CONF_XFCC_APPEND)
        element = append(s, element);
    headers_set(&s->req, NAME, str_of(element));
}
