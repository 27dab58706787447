/* Where resources are asked for: the aggregated stream (ADS), a stream of its own per type, a REST
 * server that is polled, a file that is watched. What refers to a resource says its source; a
 * source is opened when the first name is wanted of it, and closed when the last is given up. Those
 * that say the same share one (secrets do not: a server that has none of a name may end the
 * stream). [main] Source: envoy.config.core.v3.ConfigSource. */
#ifndef XDS_SOURCES_H
#define XDS_SOURCES_H

#include "conf/source.h"
#include "xds/ads.h"
#include "xds/bootstrap.h"

struct sources;

/* bootstrap, loop and ops stay until sources_destroy. Connects to the ADS server, if there is
 * one. */
int sources_create(struct loop *loop, const struct bootstrap *b, const struct ads_ops *ops,
                   struct sources **s_r, struct error *err);
void sources_destroy(struct sources **s);

/* Whether resources of the type can come from there. parent: the source (xds_update.source) of
 * what refers to it, 0 for the bootstrap. */
int sources_check(struct sources *s, const struct conf_source *from, unsigned parent,
                  enum xds_type t, struct error *err);
/* The source that a name is asked of; 0: none. */
unsigned sources_find(struct sources *s, const struct conf_source *from, enum xds_type t,
                      const char *name);
/* name NULL: all of the type. Counted; unwant undoes one want of the same. */
void sources_want(struct sources *s, const struct conf_source *from, enum xds_type t,
                  const char *name);
void sources_unwant(struct sources *s, const struct conf_source *from, enum xds_type t,
                    const char *name);

/* As the functions of ads.h, of the source that brought something; 0 and those that are gone are
 * ignored. */
void sources_answer(struct sources *s, unsigned source, uint64_t ticket, const char *detail);
void sources_nack_late(struct sources *s, unsigned source, enum xds_type t, const char *detail);
void sources_set_held(struct sources *s, unsigned source, enum xds_type t, const char *name,
                      const char *version);
void sources_drop_held(struct sources *s, unsigned source, enum xds_type t, const char *name);

/* Whether the source is there (0, the bootstrap, is not), and whether sources_set_answered was
 * called for it. */
bool sources_is_open(const struct sources *s, unsigned source);
bool sources_has_answered(const struct sources *s, unsigned source);
void sources_set_answered(struct sources *s, unsigned source);
/* Whether anything was ever asked for. */
bool sources_is_used(const struct sources *s);
/* The aggregated stream. */
enum { SOURCES_ADS = 1 };

#endif
