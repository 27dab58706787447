/* Properties of streams and sessions as Proxy-Wasm plugins read them. [worker]
 * Source: Envoy's attributes (request, response, connection, source, destination, upstream, xds),
 * with the top-level names of before Envoy 1.33 kept as aliases. */
#ifndef FILTERS_WASM_PROPERTIES_H
#define FILTERS_WASM_PROPERTIES_H

#include "http/stream.h"
#include "wasm/context.h"

/* s NULL: a TCP session. Appends the encoded value. */
enum pwasm_status wasm_property(const struct stream_info *info, const struct stream *s,
                                const struct pwasm_path *path, struct sbuf *out);

#endif
