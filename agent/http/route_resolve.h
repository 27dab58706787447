/* The route of a stream, of its snapshot or its listener's inline configuration. [worker] */
#ifndef HTTP_ROUTE_RESOLVE_H
#define HTTP_ROUTE_RESOLVE_H

#include "http/route_match.h"
#include "http/stream.h"

/* NULL: there is none (yet). */
const struct conf_route_config *route_config_of(struct stream *s);
/* NULL: *choice_r is a route, or a redirect to https. Else why not, as response code details. May
 * be asked again when the headers changed. */
const char *route_resolve(struct stream *s, const struct headers *h,
                          const struct conf_route_config **config_r, struct route_choice *choice_r);
/* Is the filter disabled, for this choice? */
bool route_skips_filter(const struct conf_route_config *rc, const struct route_choice *c,
                        const struct conf_http_filter *f);

#endif
