/* Looks at the first bytes of a connection before its filter chain is chosen, for listeners with
 * the listener filters tls_inspector and http_inspector. The bytes stay in the socket (MSG_PEEK):
 * handshake and session read them as if nobody had looked. [worker] Source: Envoy's TlsInspector
 * and HttpInspector. */
#ifndef PROXY_INSPECT_H
#define PROXY_INSPECT_H

#include "net/client_hello.h"
#include "proxy/listener.h"

struct inspected {
    bool is_tls;
    struct client_hello hello; /* where is_tls */
    const char *http;          /* "http/1.0", "http/1.1", "h2c", or NULL */
};

/* Whether a listener filter's filter_disabled (NULL: none) leaves it out for the destination. */
bool inspect_is_disabled(const struct conf_predicate *disabled, const struct addr *local);

enum inspect_result { INSPECT_DONE, INSPECT_MORE, INSPECT_REFUSE };

/* What the n first bytes tell an inspector of TLS and one of HTTP; on INSPECT_DONE *out_r is
 * filled. [any] */
enum inspect_result inspect_bytes(bool for_tls, bool for_http, const uint8_t *p, size_t n,
                                  struct inspected *out_r);

/* Takes over the descriptor. Inspectors that filter_disabled leaves out for the destination port do
 * not look. Calls listener_choose when it knows enough, or when the listener's time for it is over
 * and its configuration says to go on; else the connection is closed. */
void inspect_start(struct listener *l, const struct accepted *a);

#endif
