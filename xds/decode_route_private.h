/* What the parts of a route configuration's decoding share. Inside xds/ only. [main] */
#ifndef XDS_DECODE_ROUTE_PRIVATE_H
#define XDS_DECODE_ROUTE_PRIVATE_H

#include "xds/decode_private.h"

/* Every message with header operations spells them alike. */
#define OPS(m, side)                                                                        \
    (&(struct decode_header_ops){(m)->side##_headers_to_add, (m)->side##_headers_to_remove, \
                                 (m)->n_##side##_headers_to_add,                            \
                                 (m)->n_##side##_headers_to_remove})

/* typed_per_filter_config, whose entries are alike too. */
#define OVERRIDES(m) \
    (ProtobufCMessage *const *)(m)->typed_per_filter_config, (m)->n_typed_per_filter_config

/* ---- decode_route_match.c ---- */
int decode_match(struct decode *d, const Envoy__Config__Route__V3__RouteMatch *m,
                 struct conf_route *r, struct error *err);

/* ---- decode_route_cluster.c ---- */
/* cluster_specifier and hash_policy */
int decode_cluster_choice(struct decode *d, const Envoy__Config__Route__V3__RouteAction *m,
                          struct conf_route *r, struct error *err);

/* ---- decode_route_override.c ---- */
/* Which filters run or do not run here. Settings that no filter of ours takes are refused unless
 * they are optional. */
int decode_overrides(struct decode *d, ProtobufCMessage *const *entries, size_t n,
                     struct conf_filter_overrides *out, struct error *err);

/* ---- decode_route_action.c ---- */
int decode_rewrites(struct decode *d, const Envoy__Config__Route__V3__RouteAction *m,
                    struct conf_route *r, struct error *err);
/* Errors start with "redirect." */
int decode_redirect(struct decode *d, const Envoy__Config__Route__V3__RedirectAction *m,
                    struct conf_route *r, struct error *err);
/* Text that will stand in a header: no line ends, no NUL. Empty text is p NULL. */
int decode_header_text(struct decode *d, const char *text, const char *field, struct str *text_r,
                       struct error *err);
int decode_substitute(struct decode *d, const Envoy__Type__Matcher__V3__RegexMatchAndSubstitute *m,
                      const char *field, struct conf_substitute *out, struct error *err);

#endif
