/* Runs a tool to its end, with a text on its standard input and its outputs collected.
 * [main] thread; blocks up to EXEC_TIMEOUT_MS. */
#ifndef NETFILTER_EXEC_H
#define NETFILTER_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

enum {
    EXEC_TIMEOUT_MS = 60000, /* twice what iptables waits for its lock */
    EXEC_OUTPUT_MAX = 16 * 1024 * 1024,
    EXEC_PATH_MAX = 512
};

struct exec_result {
    int status; /* exit status; 128 + signal if a signal ended it */
    struct sbuf out, err;
};

/* argv[0] is a path. An error means that the tool could not be run or hung; a tool that fails
 * gives 0 and a status. Call exec_result_fini in every case. */
int exec_run(const char *const argv[], struct str input, struct exec_result *res,
             struct error *err);
void exec_result_fini(struct exec_result *res);
/* Looks in $PATH, then where Debian keeps administration tools. */
bool exec_find(const char *name, char path_r[EXEC_PATH_MAX]);

#endif
