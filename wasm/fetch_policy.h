/* What a download may reach: which addresses, which redirects, which token servers. A module's
 * address comes from whoever may write a WasmPlugin; it must not make the sidecar a way into the
 * node's metadata service or into the pod's own loopback ports. [any] thread. */
#ifndef WASM_FETCH_POLICY_H
#define WASM_FETCH_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "net/addr.h"

struct fetch_url {
    char scheme[8]; /* "http", "https", "oci" */
    char host[256]; /* lower case, IPv6 without brackets */
    uint16_t port;  /* the scheme's own when none is given */
    bool has_port;
    char path[2048]; /* with the query; starts with '/' */
};

/* Parses as libcurl will. Refuses other schemes, user names and passwords, and what is too long
 * or has control characters. Errors quote only what fetch_policy_format_url would show. */
int fetch_policy_parse_url(const char *url, struct fetch_url *r, struct error *err);
/* Appends the URL as it may be shown: without user, password, query and fragment. */
void fetch_policy_format_url(const char *url, struct sbuf *out);
/* Does an oci:// address name a tag or a digest? */
bool fetch_policy_has_tag(struct str uri);

/* May a connection go to a? Link-local, metadata, unspecified and multicast addresses never;
 * loopback only where allowed. IPv4 inside IPv6 is looked at as what it reaches. */
int fetch_policy_check_addr(const struct addr *a, bool allow_loopback, struct error *err);

/* Is host (or host:port, or "*") on the comma list? list may be NULL. */
bool fetch_policy_is_insecure(const char *list, const struct fetch_url *url);

enum { FETCH_REDIRECTS_MAX = 10 };
/* A redirect number `hop` (from 1): bounded, http(s) only, never from https down to http unless
 * the target is on the insecure list. */
int fetch_policy_check_redirect(const struct fetch_url *from, const struct fetch_url *to,
                                unsigned hop, const char *insecure, struct error *err);

/* A token server named by a registry. https, or http where the registry itself is spoken to in
 * plain http or the realm is on the insecure list; no literal private or loopback address and no
 * well-known internal name, unless it is the registry's own host. */
int fetch_policy_check_realm(const struct fetch_url *registry, const struct fetch_url *realm,
                             const char *insecure, struct error *err);

/* Same scheme, host and port: credentials may be sent again. */
bool fetch_policy_is_same_origin(const struct fetch_url *a, const struct fetch_url *b);

#endif
