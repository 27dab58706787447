/* Signals as events of main's loop: SIGTERM and SIGINT end at once, SIGUSR1 reopens logs, SIGHUP is
 * ignored. Source: Envoy's server signals. [main] */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include "server/server.h"

/* Blocks the signals; before any thread starts. */
void signals_block(void);
int signals_watch(struct server *s, struct error *err);

#endif
