/* When certificates in use expire, as gauges under Envoy's names:
 * {listener.ADDRESS,cluster.NAME}.ssl.certificate.SECRET.expiration_unix_time_seconds, and the
 * first of all. [main] */
#ifndef SERVER_CERT_STATS_H
#define SERVER_CERT_STATS_H

#include "conf/snapshot.h"

struct cert_stats;

struct cert_stats *cert_stats_create(void);
void cert_stats_destroy(struct cert_stats **c);
/* Brings the gauges to those of the snapshot; cheap while it is the same one. */
void cert_stats_update(struct cert_stats *c, const struct snapshot *s);
/* Seconds since 1970; 0: no certificate is in use. */
int64_t cert_stats_first_expiry(const struct cert_stats *c);
/* The same of OCSP responses. */
int64_t cert_stats_first_staple(const struct cert_stats *c);

#endif
