/* How a host of a REST server is reached: address, name, TLS. [main] */
#ifndef XDS_REST_TARGET_H
#define XDS_REST_TARGET_H

#include <curl/curl.h>

#include "base/err.h"
#include "xds/server.h"

/* Sets the URL of /v3/discovery:PATH at the host. Over TLS the server's certificate must be of the
 * host's authority and for its name (the address when it has none), TLS 1.2 or newer; files are
 * read with each new connection. *connect_to_r: to be freed after the request, may be NULL. */
int rest_set_target(CURL *easy, const struct xds_target *t, const char *path,
                    struct curl_slist **connect_to_r, struct error *err);

#endif
