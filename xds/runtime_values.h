/* Runtime values as they are written: a Struct (static and discovered layers), a folder with a file
 * for each (layers on disk), or a text of the administrator. Each call fills the last layer of the
 * runtime it is given. [main] Source: Envoy's runtime_impl.cc. */
#ifndef XDS_RUNTIME_VALUES_H
#define XDS_RUNTIME_VALUES_H

#include "base/err.h"
#include "conf/runtime.h"
#include "google/protobuf/struct.pb-c.h"

enum { RUNTIME_KEYS_MAX = 10000, RUNTIME_KEY_MAX = 1024, RUNTIME_FILE_MAX = 64 * 1024 };

/* Nested maps are names with dots; one with a numerator is a share. */
void runtime_read_struct(struct runtime *r, const Google__Protobuf__Struct *s);
/* A text may be a FractionalPercent as YAML. False: there are too many keys, or it is too long. */
bool runtime_read_text(struct runtime *r, const char *key, const char *text);
/* Nested folders are names with dots. Lines that begin with '#' and space at the end are left out,
 * and names that begin with "..": Kubernetes' own. At most RUNTIME_KEYS_MAX files, of at most
 * RUNTIME_FILE_MAX bytes, 16 folders deep. */
int runtime_read_folder(struct runtime *r, const char *path, struct error *err);

#endif
