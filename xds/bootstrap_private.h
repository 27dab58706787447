/* What the bootstrap_*.c files share. Inside xds/ only. [main] */
#ifndef XDS_BOOTSTRAP_PRIVATE_H
#define XDS_BOOTSTRAP_PRIVATE_H

#include "envoy/config/bootstrap/v3/bootstrap.pb-c.h"
#include "xds/bootstrap.h"
#include "xds/decode_private.h"

typedef Envoy__Config__Bootstrap__V3__Bootstrap bootstrap_msg;

/* Who hears of unknown fields; NULL when they are errors. */
const struct pb_unknown *bootstrap_unknown(const struct bootstrap_options *o);
/* Reads file and text and merges them as protobuf does. */
int bootstrap_read(const struct bootstrap_options *o, struct pb_arena *a, ProtobufCMessage **msg_r,
                   struct error *err);
/* ---- bootstrap_overload.c ---- */
int bootstrap_set_overload(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                           struct error *err);

/* ---- bootstrap_stats.c ---- */
int bootstrap_set_stats(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                        const struct bootstrap_options *o, struct error *err);
/* ---- bootstrap_agent.c ---- */
/* Sets the user agent and its build in the node. */
void bootstrap_set_agent(struct decode *d, Envoy__Config__Core__V3__Node *node);

/* Memory that reading may take. */
enum { BOOTSTRAP_BUDGET = 512 * 1024 * 1024 };

/* Packs a message into the bootstrap's arena. */
struct str bootstrap_pack(struct bootstrap *b, const ProtobufCMessage *msg);

/* ---- bootstrap_source.c ---- */
/* ads, lds, cds; the static clusters are there already. */
int bootstrap_set_sources(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                          struct error *err);

int bootstrap_read_source(const struct bootstrap *b, struct decode *d,
                          const Envoy__Config__Core__V3__ConfigSource *m,
                          struct bootstrap_source *s, struct error *err);

/* ---- bootstrap_runtime.c ---- */
/* layered_runtime */
int bootstrap_set_layers(struct bootstrap *b, struct decode *d, const bootstrap_msg *m,
                         struct error *err);

/* ---- bootstrap_tls.c ---- */
/* Where PEM text is; files are not read. */
int bootstrap_pem(struct decode *d, const Envoy__Config__Core__V3__DataSource *m,
                  struct xds_pem *pem, struct error *err);
/* TLS of a management server, by its serialized cluster; *tls_r NULL: plaintext. */
int bootstrap_server_tls(struct decode *d, struct str cluster, const struct xds_tls **tls_r,
                         struct error *err);

#endif
