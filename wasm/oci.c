#include "wasm/oci.h"

#include <jansson.h>
#include <stdio.h>

#include "base/mem.h"

enum { LAYERS_MAX = 1000 };

const char oci_accept[] = "application/vnd.oci.image.manifest.v1+json, "
                          "application/vnd.docker.distribution.manifest.v2+json, "
                          "application/vnd.oci.image.index.v1+json, "
                          "application/vnd.docker.distribution.manifest.list.v2+json";

/* --- references --- */

static bool is_hex64(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.n == 64;
}

static bool is_made_of(struct str s, const char *others, bool may_be_upper)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                        (may_be_upper && c >= 'A' && c <= 'Z');
        if (!is_plain && (!c || !strchr(others, c)))
            return false;
    }
    return s.n > 0;
}

static bool copy(struct str s, char *dst, size_t size)
{
    if (s.n >= size)
        return false;
    memcpy(dst, s.p, s.n);
    dst[s.n] = 0;
    return true;
}

/* Cuts "@sha256:..." and ":tag" off the name. */
static int take_suffixes(struct str *name, struct oci_ref *r, struct error *err)
{
    ptrdiff_t at = str_find(*name, '@');
    if (at >= 0) {
        struct str digest = {name->p + at + 1, name->n - (size_t)at - 1};
        struct str hex = {digest.p + 7, digest.n > 7 ? digest.n - 7 : 0};
        if (!str_starts(digest, STR("sha256:")) || !is_hex64(hex))
            return error_set(err, ERR_UNSUPPORTED, "only sha256 digests are supported");
        copy(hex, r->sha256, sizeof(r->sha256));
        name->n = (size_t)at;
    }
    ptrdiff_t colon = str_find(*name, ':');
    if (colon >= 0) {
        struct str tag = {name->p + colon + 1, name->n - (size_t)colon - 1};
        if (!is_made_of(tag, "_.-", true) || !copy(tag, r->tag, sizeof(r->tag)))
            return error_set(err, ERR_INVALID, "not a tag: %.*s", STR_ARG(tag));
        name->n = (size_t)colon;
    }
    if (!r->tag[0] && !r->sha256[0])
        copy(STR("latest"), r->tag, sizeof(r->tag));
    return 0;
}

static void set_host(const struct fetch_url *url, bool is_hub, struct oci_ref *r)
{
    bool is_literal6 = strchr(url->host, ':') != NULL;
    snprintf(r->registry, sizeof(r->registry), is_literal6 ? "[%s]" : "%s", url->host);
    if (url->has_port) {
        size_t n = strlen(r->registry);
        snprintf(r->registry + n, sizeof(r->registry) - n, ":%u", url->port);
    }
    snprintf(r->host, sizeof(r->host), "%s", is_hub ? "registry-1.docker.io" : r->registry);
}

int oci_ref_parse(const struct fetch_url *url, struct oci_ref *r, struct error *err)
{
    *r = (struct oci_ref){0};
    struct str name = str_of(url->path);
    bool is_hub =
        str_is(str_of(url->host), "docker.io") || str_is(str_of(url->host), "index.docker.io");
    set_host(url, is_hub, r);
    while (name.n && name.p[0] == '/')
        name = (struct str){name.p + 1, name.n - 1};
    int rc = take_suffixes(&name, r, err);
    if (rc)
        return rc;
    if (!is_made_of(name, "._-/", false) || name.p[name.n - 1] == '/' ||
        memmem(name.p, name.n, "..", 2) || memmem(name.p, name.n, "//", 2))
        return error_set(err, ERR_INVALID, "not a repository: %.*s", STR_ARG(name));
    const char *library = is_hub && str_find(name, '/') < 0 ? "library/" : "";
    int n = snprintf(r->repository, sizeof(r->repository), "%s%.*s", library, STR_ARG(name));
    if (n < 0 || (size_t)n >= sizeof(r->repository))
        return error_set(err, ERR_LIMIT, "repository name is too long");
    return 0;
}

/* --- documents --- */

static int take_descriptor(json_t *o, struct oci_descriptor *d, struct error *err)
{
    const char *type = json_string_value(json_object_get(o, "mediaType"));
    const char *digest = json_string_value(json_object_get(o, "digest"));
    json_t *size = json_object_get(o, "size");
    struct str hex = str_of(digest ? digest : "");
    *d = (struct oci_descriptor){0};
    if (!str_starts(hex, STR("sha256:")))
        return error_set(err, ERR_UNSUPPORTED, "descriptor without a sha256 digest");
    hex = (struct str){hex.p + 7, hex.n - 7};
    if (!is_hex64(hex) || !json_is_integer(size) || json_integer_value(size) < 0)
        return error_set(err, ERR_INVALID, "malformed descriptor");
    copy(hex, d->sha256, sizeof(d->sha256));
    d->size = (uint64_t)json_integer_value(size);
    if (!copy(str_of(type ? type : ""), d->media_type, sizeof(d->media_type)))
        return error_set(err, ERR_INVALID, "media type is too long");
    return 0;
}

static const char *this_arch(void)
{
#if defined(__aarch64__)
    return "arm64";
#else
    return "amd64";
#endif
}

/* Higher is better; 0: an attestation or the like. */
static unsigned rate_child(json_t *child)
{
    json_t *platform = json_object_get(child, "platform");
    const char *os = json_string_value(json_object_get(platform, "os"));
    const char *arch = json_string_value(json_object_get(platform, "architecture"));
    json_t *notes = json_object_get(child, "annotations");
    if (json_object_get(notes, "vnd.docker.reference.type"))
        return 0;
    if (!os || !arch)
        return 2;
    if (str_is(str_of(os), "unknown"))
        return 0;
    if (str_starts(str_of(arch), STR("wasm")) || str_starts(str_of(os), STR("wasi")))
        return 5;
    if (str_is(str_of(os), "linux") && str_is(str_of(arch), "amd64"))
        return 4;
    return str_is(str_of(os), "linux") && str_is(str_of(arch), this_arch()) ? 3 : 1;
}

static int take_index(json_t *children, struct oci_manifest *r, struct error *err)
{
    json_t *best = NULL, *child;
    unsigned best_rate = 0;
    size_t i;
    json_array_foreach(children, i, child)
    {
        unsigned rate = rate_child(child);
        if (rate > best_rate) {
            best_rate = rate;
            best = child;
        }
    }
    if (!best)
        return error_set(err, ERR_NOT_FOUND, "the index lists no usable manifest");
    r->kind = OCI_INDEX;
    return take_descriptor(best, &r->child, err);
}

static bool is_type(json_t *layer, const char *const *types, size_t n)
{
    struct str type = str_of(json_string_value(json_object_get(layer, "mediaType")));
    for (size_t i = 0; type.p && i < n; i++)
        if (str_is(type, types[i]))
            return true;
    return false;
}

static bool is_raw(json_t *layer)
{
    static const char *const types[] = {"application/vnd.module.wasm.content.layer.v1+wasm",
                                        "application/wasm",
                                        "application/vnd.wasm.content.layer.v1+wasm"};
    return is_type(layer, types, ARRAY_LEN(types));
}

static bool is_tar(json_t *layer)
{
    static const char *const types[] = {"application/vnd.docker.image.rootfs.diff.tar.gzip",
                                        "application/vnd.oci.image.layer.v1.tar+gzip",
                                        "application/vnd.oci.image.layer.v1.tar"};
    return is_type(layer, types, ARRAY_LEN(types));
}

static int take_layer(json_t *layers, struct oci_manifest *r, struct error *err)
{
    json_t *layer, *raw = NULL;
    size_t i, raws = 0, n = json_array_size(layers);
    if (!n || n > LAYERS_MAX)
        return error_set(err, ERR_INVALID, "manifest with %zu layers", n);
    json_array_foreach(layers, i, layer)
    {
        if (is_raw(layer)) {
            raw = layer;
            raws++;
        }
    }
    if (raws > 1)
        return error_set(err, ERR_INVALID, "manifest with %zu Wasm layers: which one?", raws);
    json_t *last = json_array_get(layers, n - 1);
    if (raw || is_tar(last)) {
        r->kind = raw ? OCI_WASM : OCI_TAR;
        return take_descriptor(raw ? raw : last, &r->child, err);
    }
    const char *type = json_string_value(json_object_get(last, "mediaType"));
    return error_set(err, ERR_UNSUPPORTED,
                     "no Wasm layer: the last of %zu layers has media type %.100s", n,
                     type ? type : "(none)");
}

int oci_manifest_parse(const void *json, size_t n, struct oci_manifest *r, struct error *err)
{
    json_error_t why;
    *r = (struct oci_manifest){0};
    if (n > OCI_MANIFEST_MAX)
        return error_set(err, ERR_LIMIT, "larger than %d bytes", OCI_MANIFEST_MAX);
    json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &why);
    if (!root)
        return error_set(err, ERR_INVALID, "not JSON: %s", why.text);
    json_t *children = json_object_get(root, "manifests");
    json_t *layers = json_object_get(root, "layers");
    int rc;
    if (json_integer_value(json_object_get(root, "schemaVersion")) != 2)
        rc = error_set(err, ERR_UNSUPPORTED, "schemaVersion is not 2");
    else if (json_is_array(children) && !layers)
        rc = take_index(children, r, err);
    else if (json_is_array(layers) && !children)
        rc = take_layer(layers, r, err);
    else
        rc = error_set(err, ERR_UNSUPPORTED, "neither an image manifest nor an index");
    json_decref(root);
    return rc;
}
