/* What hosts are spoken to with: plain TCP or TLS, chosen by host (transport_socket_matches).
 * [worker] */
#ifndef UPSTREAM_TRANSPORT_H
#define UPSTREAM_TRANSPORT_H

#include "net/conn_tls.h"

struct upstream_cluster;
struct upstream_host;
struct downstream_info;
struct transports; /* a cluster's: one slot per transport socket */

/* What one connection asks for beside the configuration; zero: nothing. */
struct transport_options {
    const struct downstream_info
        *down; /* whose connection it is alone; NULL: of several, or none */
    struct str
        alpn; /* on the wire ("\x02h2"), where the configuration says nothing; p NULL: none */
    struct str alpn_override; /* the same, whatever the configuration says */
    const char *sni;          /* NULL: what the configuration says */
    const char *name;         /* that the host's certificate must have; NULL: none */
};

/* Starts connecting to the host, from the address that o->down or the cluster wants, with TLS where
 * the host is spoken to with it; on_connected then comes after the handshake. What cannot be
 * (secrets that are not there) fails like a refused connection: on_close, CONN_CONNECT_FAILED,
 * conn_failure. */
void upstream_conn_init(struct upstream_host *h, struct conn *c, const struct conn_ops *ops,
                        const struct transport_options *o);
/* Why a connection failed, in Envoy's words: "delayed connect error: ...", "TLS_error:|...";
 * "" when there is nothing to say. text is used where needed. */
enum { TRANSPORT_FAILURE_MAX = 512 };
const char *upstream_conn_failure(const struct conn *c, char text[TRANSPORT_FAILURE_MAX]);
/* Whether host is spoken to with TLS: for schemes and for choosing protocols by ALPN. */
bool upstream_host_is_tls(const struct upstream_host *h);

/* ---- for cluster.c ---- */
/* Of the cluster's configuration as it is now; again after each change of it. */
void transports_update(struct upstream_cluster *c);
void transports_destroy(struct upstream_cluster *c);
struct conf_endpoint;
/* What a host with that endpoint's metadata (NULL: none) is spoken to with; NULL: plaintext. A host
 * whose slot would change is another host: its connections have to end. */
struct tls_slot *transports_choose(struct upstream_cluster *c, const struct conf_endpoint *e);

#endif
