/* The PROXY protocol, versions 1 and 2: a header in front of a connection's bytes that tells whom
 * the connection was made for. Reads and writes it, does no input or output. [any]
 * Source: haproxy's proxy-protocol.txt; Envoy's proxy_protocol listener filter for what is
 * refused. */
#ifndef NET_PROXY_PROTOCOL_H
#define NET_PROXY_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"

enum {
    PROXY_PROTOCOL_V1_MAX = 108,          /* a line with its CRLF */
    PROXY_PROTOCOL_MAX = 16 + UINT16_MAX, /* version 2 with all it can carry */
};

enum proxy_protocol_result {
    PROXY_PROTOCOL_FOUND,
    PROXY_PROTOCOL_MORE, /* a beginning of one; len is its whole length when that is known, else 0
                          */
    PROXY_PROTOCOL_NONE, /* something else */
    PROXY_PROTOCOL_BAD,  /* begins like one; version says which */
};

struct proxy_protocol {
    unsigned version;                /* 1 or 2; 0: it cannot be told yet */
    bool is_local;                   /* LOCAL or UNKNOWN: the connection speaks for itself */
    struct addr source, destination; /* unless is_local */
    size_t len;                      /* of the header */
    size_t tlvs_at;                  /* where they begin in it; they end at len */
};

/* p: the connection's first n bytes. Version 2's TLVs are checked to add up. */
enum proxy_protocol_result proxy_protocol_parse(const uint8_t *p, size_t n,
                                                struct proxy_protocol *out_r);

/* One TLV of those between p and p + n (checked before), from *at on, which goes behind it; false:
 * there are no more. */
bool proxy_protocol_next_tlv(const uint8_t *p, size_t n, size_t *at, uint8_t *type_r,
                             struct str *value_r);

/* Writes a header. NULL addresses, or others than two of one IP family: LOCAL in version 2, UNKNOWN
 * in version 1. tlvs (wire form, at most what fits): version 2 only. */
void proxy_protocol_write(unsigned version, const struct addr *source,
                          const struct addr *destination, struct str tlvs, struct sbuf *out);
/* Appends one TLV to tlvs; false when they would become too long. */
bool proxy_protocol_add_tlv(struct sbuf *tlvs, uint8_t type, struct str value);

#endif
