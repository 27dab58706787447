/* Verification of a module's bytes against the checksums it was asked for with, and its way out
 * of archives. Rules: http(s): sha256 is that of the raw body, or else of the module inside;
 * oci: the manifest was checked when it was fetched, the layer must match its descriptor.
 * Nothing is parsed as Wasm before that. [any] thread; slow for large modules: the stager's. */
#ifndef WASM_VERIFY_H
#define WASM_VERIFY_H

#include "wasm/blob.h"
#include "wasm/unbox.h"

enum verify_kind { VERIFY_LOCAL, VERIFY_HTTP, VERIFY_OCI };

struct verify_rules {
    enum verify_kind kind;
    const char *origin;       /* for texts: the URL without secrets, the file name, "inline code" */
    const char *sha256;       /* HTTP: expected, "" none */
    const char *layer_sha256; /* OCI: of the layer's descriptor */
    uint64_t layer_size;      /* OCI */
    const char *member;       /* OCI tar layers: "plugin.wasm"; else NULL */
    struct unbox_limits limits;
};

/* *module_r: one reference (that of raw when it is no archive). digest_r: sha256 of the module. */
int verify_module(const struct verify_rules *rules, struct blob *raw, struct blob **module_r,
                  char digest_r[65], struct error *err);

#endif
