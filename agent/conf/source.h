/* Where a resource comes from (envoy.config.core.v3.ConfigSource), as what refers to it says. The
 * server it names is looked up where resources are asked for, in xds/sources.c. Immutable, in the
 * arena of the object that refers to the resource. */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include <stdint.h>

#include "base/str.h"

enum conf_source_kind {
    CONF_FROM_NONE,
    CONF_FROM_ADS,
    CONF_FROM_SELF, /* the source of what refers to it */
    CONF_FROM_OWN,  /* a server or a file of its own */
};

struct conf_source {
    enum conf_source_kind kind;
    struct str bytes;                  /* CONF_FROM_OWN: the ConfigSource, serialized */
    uint32_t initial_fetch_timeout_ms; /* 0 waits for ever */
};

#endif
