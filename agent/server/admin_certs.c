/* /certs: certificates of every TLS transport socket in force, with the secrets it has now. Source:
 * Envoy's certs_handler. */
#include <jansson.h>

#include "net/tls_certs.h"
#include "server/admin_private.h"
#include "server/server.h"

struct listing {
    const struct snapshot *snapshot;
    json_t *all;      /* certificates */
    json_t *into;     /* details of the PEM text being read */
    const char *path; /* of it */
    time_t now;
};

static json_t *time_json(time_t t)
{
    char text[32];
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static void add_sans(json_t *list, const struct tls_cert_view *v, enum tls_san_type type,
                     const char *key)
{
    for (size_t i = 0; i < v->sans_n; i++) {
        json_t *text =
            v->sans[i].type == type ? json_stringn(v->sans[i].text.p, v->sans[i].text.n) : NULL;
        if (text)
            json_array_append_new(list, json_pack("{s:o}", key, text));
    }
}

/* By type, in Envoy's order. */
static json_t *sans_json(const struct tls_cert_view *v)
{
    json_t *list = json_array();
    add_sans(list, v, TLS_SAN_DNS, "dns");
    add_sans(list, v, TLS_SAN_URI, "uri");
    add_sans(list, v, TLS_SAN_IP, "ip_address");
    return list;
}

static void add_details(void *arg, const struct tls_cert_view *v)
{
    struct listing *l = arg;
    char days[24];
    snprintf(days, sizeof(days), "%lld",
             v->to > l->now ? (long long)(v->to - l->now) / 86400 : 0LL);
    json_array_append_new(
        l->into, json_pack("{s:s s:s s:o s:s s:o s:o}", "path", l->path, "serial_number", v->serial,
                           "subject_alt_names", sans_json(v), "days_until_expiration", days,
                           "valid_from", time_json(v->from), "expiration_time", time_json(v->to)));
}

static void add_pem(struct listing *l, json_t *into, struct str pem, const char *path)
{
    l->into = into;
    l->path = path ? path : "<inline>";
    tls_certs_each(pem, add_details, l);
}

static void add_ocsp(json_t *cert, struct str der)
{
    time_t from, to;
    if (!tls_ocsp_times(der, &from, &to))
        return;
    json_t *details = json_pack("{s:o}", "valid_from", time_json(from));
    if (to)
        json_object_set_new(details, "expiration", time_json(to));
    json_object_set_new(cert, "ocsp_details", details);
}

/* Of a chain Envoy shows the first certificate. */
static void add_chain(struct listing *l, json_t *into, const struct tls_certificate *c)
{
    json_t *all = json_array();
    add_pem(l, all, c->chain, c->path);
    json_t *first = json_array_get(all, 0);
    if (first) {
        add_ocsp(first, c->ocsp_staple);
        json_array_append(into, first);
    }
    json_decref(all);
}

static void add_tls(const struct conf_tls *tls, void *arg)
{
    struct listing *l = arg;
    json_t *ca = json_array(), *chain = json_array();
    for (size_t i = 0; i < tls->validations_n; i++) {
        const struct conf_secret *s = conf_secret_find(&tls->validations[i], l->snapshot);
        if (s)
            add_pem(l, ca, s->validation.trusted_ca, s->validation.path);
    }
    for (size_t i = 0; i < tls->certificates_n; i++) {
        const struct conf_secret *s = conf_secret_find(&tls->certificates[i], l->snapshot);
        if (s)
            add_chain(l, chain, &s->certificate);
    }
    json_array_append_new(l->all, json_pack("{s:o s:o}", "ca_cert", ca, "cert_chain", chain));
}

static void add_all(const struct snapshot *s, void (*fn)(const struct conf_tls *tls, void *arg),
                    void *arg)
{
    struct hash_entry *e;
    size_t it = 0;
    for (size_t i = 0; i < s->listeners_n; i++)
        conf_listener_each_tls(s->listeners[i], fn, arg);
    while ((e = hash_next(&s->clusters, &it)))
        conf_cluster_each_tls(((struct conf_cluster_entry *)e->value)->cluster, fn, arg);
}

void admin_certs(struct admin_request *r)
{
    struct listing l = {
        .snapshot = publish_current(r->server->publish), .all = json_array(), .now = time(NULL)};
    add_all(l.snapshot, add_tls, &l);
    admin_reply_json(r, json_pack("{s:o}", "certificates", l.all));
}
