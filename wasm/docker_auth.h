/* Docker registry authentication: credentials out of a docker config JSON (a Kubernetes pull
 * secret), challenges, and token answers. Secrets live in the structs only: they are never
 * logged, never part of an error text, never written. [any] thread. */
#ifndef WASM_DOCKER_AUTH_H
#define WASM_DOCKER_AUTH_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/* What a registry may be told. All NULL: anonymous. mem_free'd by docker_auth_wipe. */
struct docker_auth {
    char *basic;          /* base64(user:password) */
    char *identity_token; /* an OAuth2 refresh token */
    char *registry_token; /* a bearer token as it is */
};

/* Finds the entry for registry (host or host:port) and repository: the longest matching path
 * wins. No entry: 0, anonymous. Errors name the fault, never the content. */
int docker_auth_find(const char *config_json, const char *registry, const char *repository,
                     struct docker_auth *auth_r, struct error *err);
/* Overwrites and frees. */
void docker_auth_wipe(struct docker_auth *auth);
void docker_auth_wipe_text(char **secret);

enum docker_scheme { DOCKER_NONE, DOCKER_BASIC, DOCKER_BEARER };

struct docker_challenge {
    enum docker_scheme scheme;
    char *realm, *service, *scope; /* BEARER; service and scope may be NULL */
};

/* challenges: WWW-Authenticate values, a line each. Bearer is preferred. Source: RFC 9110,
 * section 11.6.1; distribution spec, token authentication. */
void docker_challenge_parse(const char *challenges, struct docker_challenge *r);
void docker_challenge_fini(struct docker_challenge *c);

/* The token out of a token server's answer. */
int docker_token_parse(const void *json, size_t n, char **token_r, struct error *err);

/* Appends v escaped for a query or a form. */
void docker_escape(struct sbuf *out, const char *v);

#endif
