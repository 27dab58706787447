/* A worker with one plugin on pwasm_guest.c and a fake stream, for tests of the Proxy-Wasm host. */
#ifndef PWASM_HARNESS_H
#define PWASM_HARNESS_H

#include "base/str.h"
#include "conf/plugin.h"
#include "net/loop.h"
#include "wasm/context.h"

struct fake_stream {
    struct pwasm_context context;
    struct headers req, resp;
    struct buf body;
    struct sbuf events; /* what the host did to the stream: "go_on(0);" */
    char state[64];
};

struct plugin_want {
    const char *config; /* of the plugin: its script */
    enum conf_fail_policy policy;
    const char **capabilities; /* NULL terminated; NULL: unrestricted */
    unsigned deadline_ms;      /* 0: 200 */
    const char *vm_id;         /* NULL: "vm" */
};

/* Once, before cmocka runs. */
void harness_start_engine(void);
/* Compiles the module that plugins are started from. */
void harness_start(const char *wasm_path);
void harness_stop(void);

/* A worker with its loop; pwasm_worker_ops record what they are told. */
void harness_open(void);
void harness_close(void);
extern struct pwasm_worker *harness_worker;
extern struct loop *harness_loop;
extern unsigned harness_retired, harness_failed, harness_wanted;
extern char harness_failure[1024];
/* http_call of the host ops: what it answers, and the calls it took. */
extern enum pwasm_status harness_call_answer;
extern struct pwasm_callout *harness_callout;
extern unsigned harness_cancelled;
/* grpc_open of the host ops: the last one it took, and what was sent on it ("CLUSTER SERVICE/METHOD
 * NAME=VALUE...: MESSAGE, MESSAGE end"). */
extern struct pwasm_grpc *harness_grpc;
extern char harness_grpc_sent[512];

struct conf_plugin *harness_conf(const struct plugin_want *want);
/* Starts a VM; error text in harness_failure and NULL when it fails. */
struct pwasm_vm *harness_vm(const struct plugin_want *want);
/* Starts a VM and puts it into the slot "s". */
void harness_install(const struct plugin_want *want);

/* Enters the plugin in "s" with a fresh stream. */
enum pwasm_entry fake_enter(struct fake_stream *f);
/* Calls e; maps and buffers are set as the phase has them. Returns the guest's answer, or
 * -1 when the VM failed. */
int fake_call(struct fake_stream *f, enum pwasm_export e);
void fake_close(struct fake_stream *f, bool is_http);
void fake_fini(struct fake_stream *f);

/* What the guest wrote down since the last call of this; "" when nothing. Static. */
const char *harness_out(void);
/* Runs the loop for so long. */
void harness_run(unsigned ms);

#endif
