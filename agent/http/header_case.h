/* Letters of header names in HTTP/1 heads. Maps hold names in lower case; where it is configured a
 * head is written with each word capitalized, or as the peer of the other side wrote its names. A
 * second look at the bytes of a finished head, so that who does not ask for it does not pay.
 * Source: Envoy's HeaderKeyFormat, ProperCaseHeaderKeyFormatter, PreserveCaseHeaderFormatter.
 * [worker] */
#ifndef HTTP_HEADER_CASE_H
#define HTTP_HEADER_CASE_H

#include "base/buf.h"
#include "conf/header_case.h"

/* Names as they were received in one head; zero is none. */
struct header_case {
    struct sbuf names; /* one after the other, each with its NUL */
    bool is_kept;      /* a head was read that keeps them: also when all were lower case */
    bool is_proper;    /* how others are written */
};

/* A head begins whose names are to be kept by conf. */
void header_case_begin(struct header_case *c, enum conf_header_case conf);
void header_case_note(struct header_case *c, struct str name);
void header_case_fini(struct header_case *c);
/* The head that begins at offset `from` of out and ends with it. received: of the message, NULL or
 * nothing kept: as conf says. */
void header_case_apply(struct buf *out, size_t from, enum conf_header_case conf,
                       const struct header_case *received);

#endif
