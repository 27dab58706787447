/* The handshake of a downstream connection: between the choice of its filter chain and the session
 * that serves it. [worker] */
#ifndef PROXY_TLS_ACCEPT_H
#define PROXY_TLS_ACCEPT_H

#include "proxy/listener.h"

/* Takes over the descriptor. When the handshake is over, listener_start_session is called with the
 * TLS session; when it fails or takes longer than the chain allows, the connection is closed and
 * counted. */
void tls_accept_start(struct listener *l, struct listener_chain *chain,
                      const struct accepted *from);

#endif
