/* Header changes that the configuration asks for. [worker]
 * Source: Envoy's HeaderParser (evaluateHeaders). */
#ifndef HTTP_HEADER_OPS_H
#define HTTP_HEADER_OPS_H

#include "http/stream.h"

/* Removes, then adds. Formats speak of the stream. */
void header_ops_apply(const struct conf_header_ops *ops, struct stream *s, struct headers *h);
/* Formats that hcm->formats keeps. */
void header_ops_forget(struct hcm *hcm);
/* The format of a text that was checked when it came, kept by the hcm; NULL: it is none. */
const struct format *header_ops_format(struct hcm *hcm, struct str text);
/* The same of a body's format, text or JSON; NULL too when it says none. */
const struct format *header_ops_body_format(struct hcm *hcm, const struct conf_format *conf);

#endif
