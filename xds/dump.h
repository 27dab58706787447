/* Protobuf resources as people and tools read them: proto3 JSON for the admin interface, with what
 * is secret taken out (pull secrets of plugins, private keys, passwords). [main] */
#ifndef XDS_DUMP_H
#define XDS_DUMP_H

#include <jansson.h>

#include "base/str.h"

/* {"@type": URL, ...} of a serialized message; without "@type" when with_type is false. A new
 * reference; NULL when the bytes are no such message. */
json_t *dump_message(const char *type_url, struct str bytes, bool with_type);

/* Calls fn for every inline route configuration (`route_config` of a connection manager) in a
 * listener's JSON. */
void dump_each_inline_routes(const json_t *listener, void (*fn)(json_t *routes, void *arg),
                             void *arg);

#endif
