/* A name server on UDP that answers from a list. */
#ifndef TEST_FAKE_DNS_H
#define TEST_FAKE_DNS_H

#include "net/addr.h"
#include "net/loop.h"

struct fake_record {
    const char *name;
    const char *ip; /* NULL: no address of that family */
    int rcode;      /* 0, 2 SERVFAIL, 3 NXDOMAIN */
};

struct fake_dns {
    struct loop_io io;
    struct addr addr;
    char address[ADDR_TEXT_MAX]; /* "127.0.0.1:PORT" */
    const struct fake_record *records;
    size_t records_n;
    unsigned queries;
};

void fake_dns_open(struct fake_dns *d, struct loop *loop, const struct fake_record *records,
                   size_t n);
void fake_dns_close(struct fake_dns *d, struct loop *loop);

#endif
