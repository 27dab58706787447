/* A stand-in for the engine, the probe and the plugin host, for tests of the rollout: what a
 * module does is written in its bytes behind the magic ("bad-probe", "bad-compile"), what a
 * plugin does in its configuration ("bad-start", "slow-start"). Counts what exists. */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include <stdbool.h>

#include "conf/plugin.h"

struct fake_counts {
    int probed, compiled; /* how often */
    int modules, vms;     /* alive */
};

extern struct fake_counts fake_counts; /* atomic fields */
extern int fake_probe_error;           /* ERR_x that probe_run fails with, 0 none */

/* A wasm module's bytes with `text` behind the header; p holds at least 128 bytes. */
struct str fake_module(char *p, const char *text);
/* A configuration with inline code; hash of its texts. One reference. */
struct conf_plugin *fake_plugin(const char *slot, const char *name, struct str code,
                                const char *configuration, enum conf_fail_policy policy);
/* Gives conf remote code instead. */
void fake_plugin_set_remote(struct conf_plugin *conf, const char *uri, const char *sha256);
void fake_plugin_rehash(struct conf_plugin *conf, const char *salt);

#endif
