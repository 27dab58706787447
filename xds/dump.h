/* Protobuf resources as people and tools read them: proto3 JSON for the admin interface, with what
 * is secret taken out (pull secrets of plugins, private keys, passwords). [main] */
#ifndef XDS_DUMP_H
#define XDS_DUMP_H

#include <jansson.h>

#include "base/str.h"

/* {"@type": URL, ...} of a serialized message; without "@type" when with_type is false. A new
 * reference; NULL when the bytes are no such message. */
json_t *dump_message(const char *type_url, struct str bytes, bool with_type);

/* Calls fn for every HTTP connection manager in a listener's JSON. */
void dump_each_hcm(const json_t *listener, void (*fn)(json_t *hcm, void *arg), void *arg);

/* ---- parts of a dump (dump_mask.c). Sections and elements say by "@type" which message of
 * envoy.admin.v3 they are. ---- */
enum dump_result { DUMP_OK, DUMP_NOT_FOUND, DUMP_NOT_REPEATED };

/* Replaces an array of sections by the elements of the repeated field of that name, taken from the
 * first section that has it. Left as it is when there is none, or one that is not repeated. */
enum dump_result dump_take_resource(json_t **sections, const char *field);
/* mask: paths of fields, separated by commas. Sections of whose type all of them are, keep what
 * they lead to, others go away. False: none is left. */
bool dump_mask_sections(json_t **sections, const char *mask);
/* Same for elements, whose paths go on inside the resources they hold. False: a path is none. */
bool dump_mask_elements(json_t *elements, const char *mask);

#endif
