/* Test help: messages written as YAML. */
#ifndef TESTS_XDS_YAML_H
#define TESTS_XDS_YAML_H

#include "base/arena.h"
#include "base/str.h"

/* Serialized message of the type; fails the test when the YAML is no such message. */
struct str yaml_pack(struct arena *a, const char *type, const char *yaml);

#endif
