/* The generated table behind support.c. */
#ifndef PROTO_SUPPORT_PRIVATE_H
#define PROTO_SUPPORT_PRIVATE_H

#include "registry.h"

/* enum support_status of each field, in the order of registry[] and of the descriptor's fields. */
extern const unsigned char *const support_table[REGISTRY_COUNT];

#endif
