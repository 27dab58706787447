#include "wasm/docker_auth.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"

enum { CONFIG_MAX = 1 << 20, TOKEN_MAX = 64 << 10 };

void docker_auth_wipe_text(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    mem_free(*secret);
    *secret = NULL;
}

void docker_auth_wipe(struct docker_auth *auth)
{
    docker_auth_wipe_text(&auth->basic);
    docker_auth_wipe_text(&auth->identity_token);
    docker_auth_wipe_text(&auth->registry_token);
}

/* --- the entry for a registry --- */

static struct str cut_prefix(struct str s, struct str prefix)
{
    return str_starts(s, prefix) ? (struct str){s.p + prefix.n, s.n - prefix.n} : s;
}

/* Docker Hub goes by several names. */
static bool is_docker_hub(struct str host)
{
    return str_is(host, "docker.io") || str_is(host, "index.docker.io") ||
           str_is(host, "registry-1.docker.io") || str_is(host, "registry.hub.docker.com");
}

/* Keys come as host, host/path, https://host/v1/. Returns how much of the repository's path the
 * key matches, plus 1; 0: not at all. */
static size_t match_key(const char *key, struct str registry, struct str repository)
{
    struct str host = cut_prefix(cut_prefix(str_of(key), STR("https://")), STR("http://"));
    struct str path = {"", 0};
    ptrdiff_t slash = str_find(host, '/');
    if (slash >= 0) {
        path = (struct str){host.p + slash + 1, host.n - (size_t)slash - 1};
        host.n = (size_t)slash;
    }
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    if (str_is(path, "v1") || str_is(path, "v2"))
        path.n = 0;
    if (!str_eq_nocase(host, registry) && !(is_docker_hub(host) && is_docker_hub(registry)))
        return 0;
    bool is_whole =
        path.n == repository.n || (path.n < repository.n && repository.p[path.n] == '/');
    if (path.n && (!str_starts(repository, path) || !is_whole))
        return 0;
    return path.n + 1;
}

static json_t *find_entry(json_t *auths, const char *registry, const char *repository)
{
    const char *key;
    json_t *value, *best = NULL;
    size_t best_n = 0;
    json_object_foreach(auths, key, value)
    {
        size_t n = match_key(key, str_of(registry), str_of(repository));
        if (n > best_n) {
            best_n = n;
            best = value;
        }
    }
    return best;
}

static char *encode_base64(struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = mem_zalloc((s.n + 2) / 3 * 4 + 1), *at = out;
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t bits = 0;
        for (size_t j = i; j < i + 3; j++)
            bits = bits << 8 | (j < s.n ? (unsigned char)s.p[j] : 0);
        for (int shift = 18; shift >= 0; shift -= 6)
            *at++ = digits[bits >> shift & 63];
    }
    for (size_t pad = (3 - s.n % 3) % 3; pad > 0; pad--)
        at[-(ptrdiff_t)pad] = '=';
    return out;
}

static char *encode_basic(const char *user, const char *password)
{
    struct sbuf b = {0};
    sbuf_printf(&b, "%s:%s", user, password);
    char *out = encode_base64((struct str){b.p, b.n});
    docker_auth_wipe_text(&b.p);
    return out;
}

/* Goes into a header: only what base64 or a token can contain. */
static bool is_header_safe(const char *s)
{
    for (; *s; s++)
        if (*s <= ' ' || *s >= 127)
            return false;
    return true;
}

static int take_secret(json_t *entry, const char *name, char **dst, struct error *err)
{
    const char *s = json_string_value(json_object_get(entry, name));
    if (!s || !s[0])
        return 0;
    if (!is_header_safe(s))
        return error_set(err, ERR_INVALID, "pull secret: %s has unusable characters", name);
    *dst = mem_strdup(s);
    return 0;
}

static int take_entry(json_t *entry, struct docker_auth *r, struct error *err)
{
    const char *user = json_string_value(json_object_get(entry, "username"));
    const char *password = json_string_value(json_object_get(entry, "password"));
    if (take_secret(entry, "identitytoken", &r->identity_token, err) ||
        take_secret(entry, "registrytoken", &r->registry_token, err) ||
        take_secret(entry, "auth", &r->basic, err))
        return -err->code;
    if (!r->basic && user && password)
        r->basic = encode_basic(user, password);
    return 0;
}

int docker_auth_find(const char *config_json, const char *registry, const char *repository,
                     struct docker_auth *r, struct error *err)
{
    size_t n = strlen(config_json);
    *r = (struct docker_auth){0};
    if (!n)
        return error_set(err, ERR_INVALID, "missing image pulling secret");
    if (n > CONFIG_MAX)
        return error_set(err, ERR_LIMIT, "pull secret is larger than 1 MiB");
    json_t *root = json_loadb(config_json, n, JSON_REJECT_DUPLICATES, NULL);
    json_t *auths = json_object_get(root, "auths");
    int rc = 0;
    if (!json_is_object(auths)) {
        rc = error_set(err, ERR_INVALID, "pull secret is not a docker config with auths");
    } else {
        json_t *entry = find_entry(auths, registry, repository);
        if (entry)
            rc = take_entry(entry, r, err);
    }
    json_decref(root);
    if (rc)
        docker_auth_wipe(r);
    return rc;
}

/* --- challenges --- */

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static struct str take_token(struct str *s)
{
    struct str t = {s->p, 0};
    while (t.n < s->n && is_token_char(t.p[t.n]))
        t.n++;
    *s = (struct str){s->p + t.n, s->n - t.n};
    return t;
}

static void skip_blank(struct str *s)
{
    while (s->n && (s->p[0] == ' ' || s->p[0] == '\t' || s->p[0] == ','))
        *s = (struct str){s->p + 1, s->n - 1};
}

/* A token or a quoted string; new memory. */
static char *take_value(struct str *s)
{
    struct sbuf b = {0};
    if (!s->n || s->p[0] != '"') {
        struct str t = take_token(s);
        return mem_strndup(t.p, t.n);
    }
    size_t i = 1;
    for (; i < s->n && s->p[i] != '"'; i++) {
        if (s->p[i] == '\\' && i + 1 < s->n)
            i++;
        sbuf_addc(&b, s->p[i]);
    }
    if (i < s->n)
        i++;
    *s = (struct str){s->p + i, s->n - i};
    return sbuf_take(&b);
}

static void set_once(char **dst, char *value)
{
    if (*dst)
        mem_free(value);
    else
        *dst = value;
}

static void parse_bearer(struct str s, struct docker_challenge *r)
{
    for (;;) {
        skip_blank(&s);
        struct str name = take_token(&s);
        if (!name.n || !s.n || s.p[0] != '=')
            return;
        s = (struct str){s.p + 1, s.n - 1};
        char *value = take_value(&s);
        if (str_eq_nocase(name, STR("realm")))
            set_once(&r->realm, value);
        else if (str_eq_nocase(name, STR("service")))
            set_once(&r->service, value);
        else if (str_eq_nocase(name, STR("scope")))
            set_once(&r->scope, value);
        else
            mem_free(value);
    }
}

void docker_challenge_parse(const char *challenges, struct docker_challenge *r)
{
    struct str rest = str_of(challenges), line;
    *r = (struct docker_challenge){0};
    while (str_next(&rest, '\n', &line)) {
        line = str_trim(line);
        struct str scheme = take_token(&line);
        if (str_eq_nocase(scheme, STR("bearer")) && r->scheme != DOCKER_BEARER) {
            r->scheme = DOCKER_BEARER;
            parse_bearer(line, r);
        } else if (str_eq_nocase(scheme, STR("basic")) && r->scheme == DOCKER_NONE) {
            r->scheme = DOCKER_BASIC;
        }
    }
}

void docker_challenge_fini(struct docker_challenge *c)
{
    mem_free(c->realm);
    mem_free(c->service);
    mem_free(c->scope);
    *c = (struct docker_challenge){0};
}

/* --- tokens --- */

int docker_token_parse(const void *json, size_t n, char **token_r, struct error *err)
{
    if (n > TOKEN_MAX)
        return error_set(err, ERR_LIMIT, "token server: answer is too large");
    json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
    const char *token = json_string_value(json_object_get(root, "token"));
    if (!token || !token[0])
        token = json_string_value(json_object_get(root, "access_token"));
    int rc = 0;
    if (!token || !token[0] || !is_header_safe(token))
        rc = error_set(err, ERR_INVALID, "token server: no usable token in its answer");
    else
        *token_r = mem_strdup(token);
    json_decref(root);
    return rc;
}

void docker_escape(struct sbuf *out, const char *v)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *v; v++) {
        unsigned char c = (unsigned char)*v;
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            strchr("-._~", c)) {
            sbuf_addc(out, (char)c);
        } else {
            sbuf_addc(out, '%');
            sbuf_addc(out, hex[c >> 4]);
            sbuf_addc(out, hex[c & 15]);
        }
    }
}
