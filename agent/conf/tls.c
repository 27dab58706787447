#include "conf/tls.h"

#include "base/mem.h"
#include "conf/snapshot.h"

static void fini_tls(struct conf_object *o)
{
    struct conf_tls *t = container_of(o, struct conf_tls, object);
    for (size_t i = 0; i < t->certificates_n; i++)
        conf_object_unref(t->certificates[i].secret);
    for (size_t i = 0; i < t->validations_n; i++)
        conf_object_unref(t->validations[i].secret);
    conf_object_unref(t->ticket_keys.secret);
    explicit_bzero(t->params.ticket_key, sizeof(t->params.ticket_key));
}

struct conf_tls *conf_tls_create(bool is_server)
{
    struct conf_tls *t = conf_object_create(sizeof(*t), "");
    t->object.fini = fini_tls;
    t->is_server = is_server;
    t->sni = "";
    return t;
}

void conf_tls_each_secret(const struct conf_tls *tls,
                          void (*fn)(const struct conf_secret_ref *ref, void *arg), void *arg)
{
    for (size_t i = 0; tls && i < tls->certificates_n; i++)
        if (tls->certificates[i].source != CONF_SECRET_INLINE)
            fn(&tls->certificates[i], arg);
    for (size_t i = 0; tls && i < tls->validations_n; i++)
        if (tls->validations[i].source != CONF_SECRET_INLINE)
            fn(&tls->validations[i], arg);
    if (tls && tls->has_ticket_keys && tls->ticket_keys.source != CONF_SECRET_INLINE)
        fn(&tls->ticket_keys, arg);
}

struct conf_secret *conf_secret_find(const struct conf_secret_ref *ref, const struct snapshot *s)
{
    struct conf_secret *found = ref->source == CONF_SECRET_INLINE ? ref->secret
                                : s                               ? snapshot_secret(s, ref->key)
                                                                  : NULL;
    return found && found->kind == ref->kind ? found : NULL;
}

bool conf_tls_trusted_ca(const struct conf_tls *tls, const struct snapshot *s, struct str *ca_r)
{
    *ca_r = STR("");
    if (tls->certificates_n || tls->auto_sni_san_validation || tls->proxy_out)
        return false;
    for (size_t i = 0; i < tls->validations_n; i++) {
        const struct conf_secret *secret = conf_secret_find(&tls->validations[i], s);
        const struct tls_validation *v = secret ? &secret->validation : NULL;
        if (!v || v->sans_n || v->hashes_n || v->spkis_n || v->domains_n || v->crl.n)
            return false;
        if (v->trusted_ca.n)
            *ca_r = v->trusted_ca;
    }
    return true;
}
