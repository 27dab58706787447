/* What the hcm_*.c share. Inside http/ only. [worker] */
#ifndef HTTP_HCM_PRIVATE_H
#define HTTP_HCM_PRIVATE_H

#include "http/hcm.h"
#include "http/stream.h"

/* ---- hcm_path.c ---- */
/* Path and host in the forms that the configuration asks for. */
struct hcm_verdict hcm_normalize(struct stream *s);

/* ---- hcm_address.c ---- */
/* Whose request it is: sets s->info.remote and the x-forwarded-*, x-envoy-internal and
 * x-envoy-external-address headers; takes away what only insiders may say. *is_edge_r: from
 * outside, and we are the first to see it. */
struct hcm_verdict hcm_set_address(struct stream *s, bool *is_edge_r);

#endif
