/* What decode_secret.c, decode_spiffe.c, decode_tls.c and decode_validation.c share. Inside xds/
 * only. [main] */
#ifndef XDS_DECODE_TLS_H
#define XDS_DECODE_TLS_H

#include "conf/tls.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb-c.h"
#include "xds/decode_private.h"

typedef Envoy__Extensions__TransportSockets__Tls__V3__Secret secret_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__SdsSecretConfig sds_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__TlsCertificate certificate_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__TlsSessionTicketKeys ticket_keys_msg;
typedef Envoy__Extensions__TransportSockets__Tls__V3__CertificateValidationContext validation_msg;

enum { SECRET_MAX = 1 << 20 };

/* Inline secrets: objects of their own; errors start below the message. */
int decode_certificate(const certificate_msg *m, struct conf_secret **secret_r, struct error *err);
int decode_validation(struct decode *d, const validation_msg *m, struct conf_secret **secret_r,
                      struct error *err);
int decode_ticket_keys(const ticket_keys_msg *m, struct conf_secret **secret_r, struct error *err);
/* custom_validator_config, NULL: none. decode_spiffe.c */
int decode_spiffe_validator(struct decode *d, struct conf_secret *s,
                            const Envoy__Config__Core__V3__TypedExtensionConfig *m,
                            struct error *err);
/* A reference by name; its texts go to d->out. */
int decode_secret_ref(struct decode *d, const sds_msg *m, enum conf_secret_kind kind,
                      struct conf_secret_ref *ref_r, struct error *err);
/* Of a certificate, key, ...: into the secret; a file is remembered. */
int decode_secret_bytes(struct conf_secret *s, const Envoy__Config__Core__V3__DataSource *m,
                        const char *field, struct str *bytes_r, struct error *err);

#endif
