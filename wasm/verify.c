#include "wasm/verify.h"

#include "base/crypto.h"
#include "base/str.h"

static bool is_same_digest(const char *a, const char *b)
{
    return str_eq_nocase(str_of(a), str_of(b));
}

static int check_layer(const struct verify_rules *rules, const struct blob *raw, struct error *err)
{
    char got[65];
    if (raw->n != rules->layer_size)
        return error_set(err, ERR_INVALID,
                         "size mismatch for the layer of %s: expected %llu, got %zu", rules->origin,
                         (unsigned long long)rules->layer_size, raw->n);
    sha256_hex(raw->p, raw->n, got);
    if (!is_same_digest(got, rules->layer_sha256))
        return error_set(err, ERR_INVALID,
                         "sha256 mismatch for the layer of %s: expected %s, got %s", rules->origin,
                         rules->layer_sha256, got);
    return 0;
}

static int unbox(const struct verify_rules *rules, struct blob *raw, struct blob **module_r,
                 struct error *err)
{
    uint8_t *p;
    size_t n;
    int rc = unbox_module(raw->p, raw->n, rules->member, &rules->limits, &p, &n, err);
    if (rc)
        return error_prefix(err, "%s: ", rules->origin);
    *module_r = p ? blob_take(p, n) : blob_ref(raw);
    return 0;
}

static bool wants_sha256(const struct verify_rules *rules)
{
    return rules->kind == VERIFY_HTTP && rules->sha256 && rules->sha256[0];
}

int verify_module(const struct verify_rules *rules, struct blob *raw, struct blob **module_r,
                  char digest_r[65], struct error *err)
{
    char raw_digest[65];
    bool is_proven = !wants_sha256(rules);
    if (rules->kind == VERIFY_OCI && check_layer(rules, raw, err))
        return -err->code;
    sha256_hex(raw->p, raw->n, raw_digest);
    if (!is_proven)
        is_proven = is_same_digest(raw_digest, rules->sha256);
    struct error why = {0};
    struct blob *module = NULL;
    int rc = unbox(rules, raw, &module, &why);
    if (!rc) {
        sha256_hex(module->p, module->n, digest_r);
        is_proven = is_proven || is_same_digest(digest_r, rules->sha256);
    }
    /* Of bytes that nobody vouches for, the checksum is the better thing to complain about. */
    if (!is_proven) {
        blob_unref(&module);
        return error_set(err, ERR_INVALID, "sha256 mismatch for %s: expected %s, got %s",
                         rules->origin, rules->sha256, raw_digest);
    }
    if (rc) {
        if (err)
            *err = why;
        return rc;
    }
    *module_r = module;
    return 0;
}
