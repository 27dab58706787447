/* What registries, token servers and addresses say: the first byte chooses the parser. Held to:
 * nothing that could end a header line or leave a path comes through. */
#include <stdlib.h>

#include "base/mem.h"
#include "wasm/docker_auth.h"
#include "wasm/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_safe(const char *s)
{
    for (; s && *s; s++)
        if (*s <= ' ' || *s >= 127)
            abort();
}

static void try_address(const char *text)
{
    struct fetch_url url;
    struct oci_ref ref;
    struct error err;
    struct sbuf shown = {0};
    fetch_policy_format_url(text, &shown);
    check_safe(shown.p);
    sbuf_fini(&shown);
    if (fetch_policy_parse_url(text, &url, &err))
        return;
    check_safe(url.host);
    check_safe(url.path);
    if (oci_ref_parse(&url, &ref, &err))
        return;
    check_safe(ref.repository);
    check_safe(ref.tag);
    if (strstr(ref.repository, "..") || ref.repository[0] == '/')
        abort();
}

static void try_manifest(const char *text, size_t n)
{
    struct oci_manifest m;
    struct error err;
    if (oci_manifest_parse(text, n, &m, &err) == 0 && strlen(m.child.sha256) != 64)
        abort();
}

static void try_secret(const char *text)
{
    struct docker_auth auth;
    struct error err;
    if (docker_auth_find(text, "r", "team/x", &auth, &err) == 0) {
        check_safe(auth.basic);
        check_safe(auth.identity_token);
        check_safe(auth.registry_token);
    }
    docker_auth_wipe(&auth);
}

static void try_answers(const char *text, size_t n)
{
    struct docker_challenge c;
    struct error err;
    char *token = NULL;
    docker_challenge_parse(text, &c);
    docker_challenge_fini(&c);
    if (docker_token_parse(text, n, &token, &err) == 0)
        check_safe(token);
    docker_auth_wipe_text(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    char *text = mem_strndup((const char *)data + 1, size - 1);
    switch (data[0]) {
    case 'a':
        try_address(text);
        break;
    case 'm':
        try_manifest(text, size - 1);
        break;
    case 's':
        try_secret(text);
        break;
    default:
        try_answers(text, size - 1);
    }
    mem_free(text);
    return 0;
}
