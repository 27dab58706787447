/* The proxy's own node (envoy.config.core.v3.Node) as plugins see it: property "node". Set once at
 * start, read by any thread. */
#ifndef WASM_NODE_H
#define WASM_NODE_H

#include "base/str.h"
#include "wasm/context.h"

/* [main] before workers start. A serialized Node; copied. */
void pwasm_node_set(struct str node);

/* path[0] is "node"; what follows are field names, keys of the metadata. Appends the value, encoded
 * as the ABI wants it. */
enum pwasm_status pwasm_node_property(const struct pwasm_path *path, unsigned from,
                                      struct sbuf *out);

#endif
