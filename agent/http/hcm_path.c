/* Path and host before anybody looks at them. Source: Envoy's ConnectionManagerUtility
 * (maybeNormalizePath, maybeNormalizeHost), HeaderUtility. */
#include "http/hcm_private.h"
#include "http/uri.h"

/* ---- path ---- */

static void set_path(struct stream *s, struct sbuf *to)
{
    headers_set_id(&s->req, HDR_PATH, (struct str){to->p ? to->p : "", to->n});
    sbuf_fini(to);
}

/* True: the request is answered. */
static bool handle_slashes(struct stream *s, struct hcm_verdict *v)
{
    enum conf_slashes action = s->hcm->conf->escaped_slashes;
    struct str path = headers_get(&s->req, HDR_PATH);
    struct sbuf to = {0};
    if (action == CONF_SLASHES_KEEP || !uri_has_escaped_slashes(path))
        return false;
    if (action == CONF_SLASHES_REJECT) {
        *v = (struct hcm_verdict){.status = 400, .details = "path_normalization_failed"};
        return true;
    }
    uri_unescape_slashes(path, &to);
    set_path(s, &to);
    if (action == CONF_SLASHES_REDIRECT)
        *v = (struct hcm_verdict){.status = 307, .details = "path_normalization_failed"};
    return false;
}

static struct hcm_verdict normalize_path(struct stream *s)
{
    const struct conf_hcm *conf = s->hcm->conf;
    struct headers *h = &s->req;
    struct hcm_verdict v = {0};
    struct sbuf to = {0};
    if (handle_slashes(s, &v))
        return v;
    if (conf->normalize_path) {
        if (!uri_normalize_path(headers_get(h, HDR_PATH), &to)) {
            sbuf_fini(&to);
            return (struct hcm_verdict){.status = 400, .details = "path_normalization_failed"};
        }
        set_path(s, &to);
        to = (struct sbuf){0};
    }
    if (conf->merge_slashes) {
        uri_merge_slashes(headers_get(h, HDR_PATH), &to);
        set_path(s, &to);
    }
    if (v.status) {
        struct str path = headers_get(h, HDR_PATH);
        v.location = (struct str){arena_strndup(&s->arena, path.p, path.n), path.n};
    }
    return v;
}

/* ---- host ---- */

static void strip_dot(struct stream *s)
{
    struct str host = headers_get(&s->req, HDR_AUTHORITY), bare = uri_cut_port(host);
    if (!bare.n || bare.p[bare.n - 1] != '.')
        return;
    char *to = arena_printf(&s->arena, "%.*s%.*s", (int)bare.n - 1, bare.p, (int)(host.n - bare.n),
                            host.p + bare.n);
    headers_set_id(&s->req, HDR_AUTHORITY, str_of(to));
}

static void strip_port(struct stream *s)
{
    const struct conf_hcm *conf = s->hcm->conf;
    struct str host = headers_get(&s->req, HDR_AUTHORITY);
    uint16_t port = uri_port(host);
    if (port && (conf->strip_any_port || port == addr_port(&s->info.down->local))) {
        struct str bare = uri_cut_port(host);
        headers_set_id(&s->req, HDR_AUTHORITY,
                       (struct str){arena_strndup(&s->arena, bare.p, bare.n), bare.n});
    }
}

struct hcm_verdict hcm_normalize(struct stream *s)
{
    const struct conf_hcm *conf = s->hcm->conf;
    struct str path = headers_get(&s->req, HDR_PATH);
    struct hcm_verdict v = {0};
    /* "*" is for the server as a whole; CONNECT has no path. */
    if (path.n && path.p[0] == '/')
        v = normalize_path(s);
    if (v.status == 307)
        stat_inc(s->hcm->stats.rq_redirected);
    else if (v.status)
        stat_inc(s->hcm->stats.rq_failed_normalization);
    if (conf->strip_host_dot)
        strip_dot(s);
    if (conf->strip_any_port || conf->strip_matching_port)
        strip_port(s);
    return v;
}
