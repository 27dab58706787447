/* Wasm plugins as HTTP and as network filters: what binds wasm/ (contexts, ABI) to streams and
 * sessions. [worker] Source: envoy.extensions.filters.{http,network}.wasm.v3. */
#ifndef FILTERS_WASM_H
#define FILTERS_WASM_H

#include "filters/net_filter.h"
#include "http/filter.h"

extern const struct http_filter_ops wasm_filter_ops;
extern const struct net_filter_ops wasm_net_filter_ops;

#endif
