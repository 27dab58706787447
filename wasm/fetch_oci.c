/* Modules from OCI registries: manifest (through an index), then one layer. A 401 is answered
 * once for each pull, with Basic credentials or with a token. The steps are
 *
 *   MANIFEST by tag or digest -> MANIFEST of the index's child -> BLOB
 *   and TOKEN in between, where a challenge asks for it.
 *
 * A registry on the insecure list is spoken to by TLS without verification first, then in plain
 * http. */
#include "wasm/fetch_private.h"

#include "base/crypto.h"
#include "base/mem.h"
#include "wasm/blob.h"
#include "wasm/docker_auth.h"
#include "wasm/oci.h"

enum { TOKEN_ANSWER_MAX = 64 << 10 };

enum oci_step { STEP_MANIFEST, STEP_BLOB, STEP_TOKEN };

struct oci_pull {
    struct fetch *fetch;
    struct oci_ref ref;
    struct fetch_url registry; /* where it is served, with the scheme in use */
    struct docker_auth auth;
    char *authorization;
    struct docker_challenge challenge;
    enum oci_step step, resume; /* resume: what the token is for */
    bool is_plain, was_challenged, is_index_seen;
    char index_sha256[65];
    char wanted[65];           /* digest the next manifest must have, "" any */
    struct oci_manifest found; /* the layer */
    struct xfer *xfer;
};

static void start_step(struct oci_pull *p, enum oci_step step);

/* --- ends --- */

void fetch_oci_cancel(struct fetch *f)
{
    struct oci_pull *p = f->pull;
    f->pull = NULL;
    if (!p)
        return;
    xfer_cancel(&p->xfer);
    docker_auth_wipe(&p->auth);
    docker_auth_wipe_text(&p->authorization);
    docker_challenge_fini(&p->challenge);
    mem_free(p);
}

static const char *step_name(const struct oci_pull *p)
{
    static const char *const names[] = {"manifest", "layer", "token server"};
    return names[p->step];
}

static void fail(struct oci_pull *p, enum stage s, unsigned status, const struct error *err)
{
    struct fetch *f = p->fetch;
    const char *what = step_name(p);
    fetch_oci_cancel(f);
    fetch_attempt_failed(f, s, what, status, err);
}

static void succeed(struct oci_pull *p, struct blob *body)
{
    struct fetch *f = p->fetch;
    struct fetch_result res = {
        .body = body,
        .is_oci = true,
        .layer_size = p->found.child.size,
        .is_tar = p->found.kind == OCI_TAR,
    };
    memcpy(res.layer_sha256, p->found.child.sha256, sizeof(res.layer_sha256));
    fetch_oci_cancel(f);
    fetch_attempt_done(f, &res, NULL, false);
}

/* --- manifests --- */

static bool is_digest(const char *expected, const char *got)
{
    return !expected[0] || str_eq_nocase(str_of(expected), str_of(got));
}

/* sha256 of the configuration: that of the manifest, or of the index that led to it. */
static bool is_expected(const struct oci_pull *p, const char *got)
{
    const char *expected = p->fetch->sha256;
    return is_digest(expected, got) || (p->is_index_seen && is_digest(expected, p->index_sha256));
}

static void on_mismatch(struct oci_pull *p, const char *expected, const char *got)
{
    struct stage_error e = {.stage = STAGE_VERIFY};
    struct fetch *f = p->fetch;
    error_set(&e.err, ERR_INVALID, "sha256 mismatch for %s: expected %s, got %s", f->shown,
              expected, got);
    fetch_oci_cancel(f);
    fetch_attempt_done(f, NULL, &e, false);
}

static void on_manifest(struct oci_pull *p, struct blob *body)
{
    struct error err;
    char got[65];
    sha256_hex(body->p, body->n, got);
    if (!is_digest(p->wanted, got)) {
        on_mismatch(p, p->wanted, got);
        return;
    }
    struct oci_manifest m;
    if (oci_manifest_parse(body->p, body->n, &m, &err)) {
        fail(p, STAGE_FETCH, 0, &err);
        return;
    }
    if (m.kind == OCI_INDEX && p->is_index_seen) {
        error_set(&err, ERR_INVALID, "an index inside an index");
        fail(p, STAGE_FETCH, 0, &err);
        return;
    }
    if (m.kind == OCI_INDEX) {
        p->is_index_seen = true;
        memcpy(p->index_sha256, got, sizeof(got));
        memcpy(p->wanted, m.child.sha256, sizeof(p->wanted));
        start_step(p, STEP_MANIFEST);
        return;
    }
    if (!is_expected(p, got)) {
        on_mismatch(p, p->fetch->sha256, got);
        return;
    }
    p->found = m;
    if (m.child.size > p->fetch->fetcher->module_max) {
        error_set(&err, ERR_LIMIT, "its layer is larger than %llu bytes",
                  (unsigned long long)p->fetch->fetcher->module_max);
        fail(p, STAGE_FETCH, 0, &err);
        return;
    }
    start_step(p, STEP_BLOB);
}

/* --- authentication --- */

static void set_authorization(struct oci_pull *p, const char *scheme, const char *value)
{
    struct sbuf b = {0};
    docker_auth_wipe_text(&p->authorization);
    sbuf_printf(&b, "%s %s", scheme, value);
    p->authorization = sbuf_take(&b);
}

static void on_unauthorized(struct oci_pull *p, const struct xfer_result *res)
{
    struct error err;
    if (p->was_challenged) {
        error_set(&err, ERR_DENIED, "HTTP 401: the credentials were refused");
        fail(p, STAGE_FETCH, 0, &err);
        return;
    }
    p->was_challenged = true;
    docker_challenge_fini(&p->challenge);
    docker_challenge_parse(res->challenges, &p->challenge);
    if (p->challenge.scheme == DOCKER_BASIC && p->auth.basic) {
        set_authorization(p, "Basic", p->auth.basic);
        start_step(p, p->step);
    } else if (p->challenge.scheme == DOCKER_BEARER && p->auth.registry_token) {
        set_authorization(p, "Bearer", p->auth.registry_token);
        start_step(p, p->step);
    } else if (p->challenge.scheme == DOCKER_BEARER && p->challenge.realm) {
        p->resume = p->step;
        start_step(p, STEP_TOKEN);
    } else {
        error_set(&err, ERR_DENIED, "HTTP 401: no credentials for %s in the pull secret",
                  p->ref.registry);
        fail(p, STAGE_FETCH, 0, &err);
    }
}

static void on_token(struct oci_pull *p, const struct xfer_result *res)
{
    struct error err;
    char *token;
    if (docker_token_parse(res->body->p, res->body->n, &token, &err)) {
        fail(p, STAGE_FETCH, 0, &err);
        return;
    }
    set_authorization(p, "Bearer", token);
    docker_auth_wipe_text(&token);
    start_step(p, p->resume);
}

/* Query or form of a token request; the scope is ours, whatever the challenge says. */
static void format_token_request(const struct oci_pull *p, struct sbuf *b)
{
    struct sbuf scope = {0};
    sbuf_printf(&scope, "repository:%s:pull", p->ref.repository);
    if (p->challenge.service) {
        sbuf_addz(b, "service=");
        docker_escape(b, p->challenge.service);
        sbuf_addc(b, '&');
    }
    sbuf_addz(b, "scope=");
    docker_escape(b, scope.p);
    sbuf_fini(&scope);
}

/* By GET with Basic credentials or none, or by POST with a refresh token (OAuth2). */
static int start_token(struct oci_pull *p, xfer_done_fn done, struct error *err)
{
    struct fetcher *fr = p->fetch->fetcher;
    struct fetch_url realm;
    struct sbuf url = {0}, form = {0}, auth = {0};
    if (fetch_policy_parse_url(p->challenge.realm, &realm, err) ||
        fetch_policy_check_realm(&p->registry, &realm, fr->insecure, err))
        return -err->code;
    sbuf_addz(&url, p->challenge.realm);
    if (p->auth.identity_token) {
        sbuf_addz(&form, "grant_type=refresh_token&client_id=remora&refresh_token=");
        docker_escape(&form, p->auth.identity_token);
        sbuf_addc(&form, '&');
        format_token_request(p, &form);
    } else {
        sbuf_addc(&url, strchr(p->challenge.realm, '?') ? '&' : '?');
        format_token_request(p, &url);
        if (p->auth.basic)
            sbuf_printf(&auth, "Basic %s", p->auth.basic);
    }
    struct xfer_request req = {
        .url = url.p,
        .authorization = auth.p,
        .form = form.p,
        .size_max = TOKEN_ANSWER_MAX,
        .timeout_ms = fetch_ms_left(p->fetch),
        .is_last = true,
    };
    int rc = xfer_start(fr->engine, &req, done, p, &p->xfer, err);
    sbuf_fini(&url);
    docker_auth_wipe_text(&form.p);
    docker_auth_wipe_text(&auth.p);
    return rc;
}

/* --- steps --- */

static bool may_try_plain(const struct oci_pull *p)
{
    return !p->is_plain && p->step == STEP_MANIFEST &&
           fetch_policy_is_insecure(p->fetch->fetcher->insecure, &p->registry);
}

static void on_answer(void *arg, const struct xfer_result *res, const struct error *err)
{
    struct oci_pull *p = arg;
    p->xfer = NULL;
    if (err && err->code == ERR_UNSUPPORTED && may_try_plain(p)) {
        p->is_plain = true;
        start_step(p, STEP_MANIFEST);
    } else if (err) {
        fail(p, STAGE_FETCH, 0, err);
    } else if (res->status == 401 && p->step != STEP_TOKEN) {
        on_unauthorized(p, res);
    } else if (res->status != 200) {
        fail(p, STAGE_FETCH, res->status, NULL);
    } else if (p->step == STEP_MANIFEST) {
        on_manifest(p, res->body);
    } else if (p->step == STEP_TOKEN) {
        on_token(p, res);
    } else {
        succeed(p, res->body);
    }
}

static int set_registry(struct oci_pull *p, struct error *err)
{
    struct sbuf b = {0};
    sbuf_printf(&b, "%s://%s/", p->is_plain ? "http" : "https", p->ref.host);
    int rc = fetch_policy_parse_url(b.p, &p->registry, err);
    sbuf_fini(&b);
    return rc;
}

static int start_get(struct oci_pull *p, struct error *err)
{
    const struct fetch *f = p->fetch;
    bool is_blob = p->step == STEP_BLOB;
    const char *digest = is_blob ? p->found.child.sha256 : p->wanted;
    struct sbuf url = {0};
    if (set_registry(p, err))
        return -err->code;
    sbuf_printf(&url, "%s://%s/v2/%s/%s/%s%s", p->is_plain ? "http" : "https", p->ref.host,
                p->ref.repository, is_blob ? "blobs" : "manifests", digest[0] ? "sha256:" : "",
                digest[0] ? digest : p->ref.tag);
    struct xfer_request req = {
        .url = url.p,
        .authorization = p->authorization,
        .accept = is_blob ? NULL : oci_accept,
        .size_max = is_blob ? p->found.child.size : OCI_MANIFEST_MAX,
        .timeout_ms = fetch_ms_left(f),
        .is_last = is_blob,
    };
    int rc = xfer_start(f->fetcher->engine, &req, on_answer, p, &p->xfer, err);
    sbuf_fini(&url);
    return rc;
}

static void start_step(struct oci_pull *p, enum oci_step step)
{
    struct error err;
    p->step = step;
    int rc = step == STEP_TOKEN ? start_token(p, on_answer, &err) : start_get(p, &err);
    if (rc)
        fail(p, STAGE_FETCH, 0, &err);
}

void fetch_oci_start(struct fetch *f)
{
    struct oci_pull *p = MEM_NEW(struct oci_pull);
    struct error err;
    p->fetch = f;
    f->pull = p;
    int rc = oci_ref_parse(&f->url, &p->ref, &err);
    if (!rc && f->pull_secret)
        rc = docker_auth_find(f->pull_secret, p->ref.registry, p->ref.repository, &p->auth, &err);
    if (rc) {
        fetch_oci_cancel(f);
        fetch_attempt_failed(f, STAGE_FETCH, "", 0, &err);
        return;
    }
    /* With a digest in the address the tag is of no matter. */
    memcpy(p->wanted, p->ref.sha256, sizeof(p->wanted));
    start_step(p, STEP_MANIFEST);
}
