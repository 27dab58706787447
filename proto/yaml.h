/* YAML as Envoy reads it, into JSON values: quoted scalars are strings, plain ones may be null,
 * boolean (also yes, no, on, off) or integer, everything else is a string, which proto3 JSON takes
 * for numbers too. Aliases and merge keys are expanded within a bound. [any] thread. */
#ifndef PROTO_YAML_H
#define PROTO_YAML_H

#include <stddef.h>
#include <jansson.h>

#include "base/err.h"

/* One document; the caller releases it with json_decref. Errors name the line. */
int pb_yaml_load(const char *text, size_t n, json_t **json_r, struct error *err);

#endif
