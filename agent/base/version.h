/* This program's version, from meson.build. [any] */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#include <stdint.h>

enum { VERSION_PARTS = 3 };

/* "revision/version/status/build type/TLS library", as Envoy has it. */
extern const char version_text[];
/* Its parts, each a text of static storage. */
extern const char version_revision[], version_status[], version_build_type[], version_tls[];
/* Major number, minor number, patch. */
void version_numbers(uint32_t numbers_r[VERSION_PARTS]);

#endif
