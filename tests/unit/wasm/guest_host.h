/* The host side of guest.wat. */
#ifndef GUEST_HOST_H
#define GUEST_HOST_H

#include "wasm/vm.h"

/* What host functions did since guest_host_reset, per thread. */
struct guest_host_seen {
    unsigned notes, notes_in_allocator, commits;
    void *last_arg;
};
extern __thread struct guest_host_seen guest_host_seen;

extern const struct vm_host guest_host;

/* sum(a, b, c, d) of the guest's constants as the host computes it. */
int32_t guest_host_sum(int32_t a);

/* Starts the engine, once, before cmocka runs: cmocka takes SIGSEGV for itself in every test, and
 * V8's handler, which turns guests' out-of-bounds accesses into traps, has to be put back. */
void guest_host_start_engine(bool no_trap_handler, const char *extra_flags);
/* Puts V8's handler back; at the head of each test that calls guests. */
void guest_host_take_signals(void);

/* Reads a file of the test's build folder; the caller frees. Aborts when it is missing. */
void *guest_host_read(const char *path, size_t *n_r);

#endif
