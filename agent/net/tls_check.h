/* Checks of what configuration brings, before it is accepted: certificates that do not parse, keys
 * that do not fit, lists that name nothing we know. Errors start with the field of the message that
 * the struct was made of. [main] */
#ifndef NET_TLS_CHECK_H
#define NET_TLS_CHECK_H

#include "base/err.h"
#include "net/tls.h"

int tls_check_certificate(const struct tls_certificate *c, struct error *err);
/* What a server needs of it beyond that. */
int tls_check_served(const struct tls_certificate *c, enum tls_staple_policy policy,
                     struct error *err);
int tls_check_validation(const struct tls_validation *v, struct error *err);
int tls_check_params(const struct tls_params *p, bool is_server, struct error *err);
/* "1.3.6.1.4" */
bool tls_check_oid(const char *oid);
/* 32 bytes in base64. */
bool tls_check_base64(const char *text, uint8_t dst[TLS_HASH_SIZE]);

#endif
