/* Notices that files were replaced: something was moved to one of their names, or, with a
 * directory, anything was moved into that. (ConfigMaps and secrets of Kubernetes swap a link in
 * their folder.) Writing in place is not noticed, as with Envoy. [main] */
#ifndef XDS_WATCH_H
#define XDS_WATCH_H

#include <stddef.h>

#include "net/loop.h"

struct watch;

/* directory NULL: the folders of the files. on_change comes from the loop, once per turn; the
 * watch may be closed in it. */
int watch_open(struct loop *loop, const char *const *files, size_t files_n, const char *directory,
               void (*on_change)(void *arg), void *arg, struct watch **w_r, struct error *err);
void watch_close(struct watch **w); /* NULL inside is fine */

#endif
