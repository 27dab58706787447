/* The x-forwarded-client-cert header of requests: which client certificates the next one in the
 * line may believe in. Source: Envoy's forward_client_cert_details. [worker] */
#ifndef HTTP_XFCC_H
#define HTTP_XFCC_H

#include "http/stream.h"

void xfcc_apply(struct stream *s);

#endif
