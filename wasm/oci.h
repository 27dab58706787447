/* OCI references, indexes and manifests, as far as Wasm modules need them. Everything comes from
 * outside: bounded, checked, nothing assumed. [any] thread. Source: OCI image and distribution
 * specs 1.1; Docker image manifest v2, schema 2; Istio's agent for the layouts. */
#ifndef WASM_OCI_H
#define WASM_OCI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wasm/fetch_policy.h"

enum { OCI_MANIFEST_MAX = 4 << 20, OCI_NAME_MAX = 256, OCI_TAG_MAX = 128 };

struct oci_ref {
    char registry[300]; /* host or host:port, as credentials are keyed */
    char host[300];     /* where it is really served: host or host:port */
    char repository[OCI_NAME_MAX];
    char tag[OCI_TAG_MAX + 1]; /* "" when only a digest is given */
    char sha256[65];           /* of @sha256:, "" none */
};

/* url: parsed oci:// address. No tag and no digest: "latest". Docker Hub's names are resolved. */
int oci_ref_parse(const struct fetch_url *url, struct oci_ref *r, struct error *err);

struct oci_descriptor {
    char media_type[128];
    char sha256[65];
    uint64_t size;
};

enum oci_kind {
    OCI_INDEX, /* child is the manifest to take */
    OCI_WASM,  /* layer is a raw module */
    OCI_TAR    /* layer is a gzip tar with plugin.wasm */
};

struct oci_manifest {
    enum oci_kind kind;
    struct oci_descriptor child; /* INDEX: the manifest; else the layer */
};

/* The accept list for manifests. */
extern const char oci_accept[];

/* Decides what to take. Index: a wasm platform first, then linux on amd64, linux on this machine's,
 * then any that is no attestation. Layers: the raw layer (Wasm artifact, application/wasm), else
 * the last layer when it is a tar. */
int oci_manifest_parse(const void *json, size_t n, struct oci_manifest *r, struct error *err);

#endif
