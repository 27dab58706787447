/* HTTP/2 on a connection of a pool. [worker] */
#ifndef UPSTREAM_H2_CLIENT_PRIVATE_H
#define UPSTREAM_H2_CLIENT_PRIVATE_H

#include "http/h2_session.h"
#include "upstream/client_private.h"

struct h2_client {
    struct client *c;
    struct conf_cluster *conf; /* own reference: the session goes by it */
    struct h2_session session;
    struct list upgrades; /* requests that need to know the peer's settings first */
    bool got_settings, got_goaway;
    bool is_broken; /* the peer did not keep to the protocol */
};

/* ---- h2_client_request.c ---- */
void h2_client_headers(struct upstream_request *r, const struct headers *head, bool end);
void h2_client_body(struct upstream_request *r, struct buf *data, bool end);
void h2_client_trailers(struct upstream_request *r, const struct headers *trailers);
/* The peer's settings are known. */
void h2_client_begin_upgrades(struct h2_client *h);

#endif
