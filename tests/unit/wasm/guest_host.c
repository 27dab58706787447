#include "guest_host.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

__thread struct guest_host_seen guest_host_seen;
static __thread char value[70000];
static __thread int32_t value_len;

static int32_t host_sum(void *unused, int32_t a, int64_t b, float c, double d)
{
    (void)unused;
    guest_host_seen.last_arg = vm_current_arg();
    return a + (int32_t)(b / 1000000000) + (int32_t)(c * 4) + (int32_t)(d * 4);
}

int32_t guest_host_sum(int32_t a)
{
    return a - 3 + 2 + 9;
}

/* Value k is k bytes of 'a' + k % 26; negative k means status -k, INT32_MIN a trap. */
static int32_t host_fetch(void *unused, int32_t k, int32_t out_ptr, int32_t out_len)
{
    (void)unused;
    (void)out_ptr;
    (void)out_len;
    if (k == VM_HOST_TRAP) {
        vm_set_trap("no such value");
        return VM_HOST_TRAP;
    }
    if (k < 0)
        return -1 + k;
    value_len = k > (int32_t)sizeof(value) ? (int32_t)sizeof(value) : k;
    memset(value, 'a' + k % 26, (size_t)value_len);
    return value_len;
}

static void store_u32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
}

static int32_t host_commit(void *unused, int32_t guest_ptr, int32_t out_ptr, int32_t out_len)
{
    (void)unused;
    guest_host_seen.commits++;
    struct vm_inst *inst = vm_current();
    uint8_t *dst = vm_mem(inst, (uint32_t)guest_ptr, (uint32_t)value_len);
    uint8_t *ptr_at = vm_mem(inst, (uint32_t)out_ptr, 4);
    uint8_t *len_at = vm_mem(inst, (uint32_t)out_len, 4);
    if (!dst || !ptr_at || !len_at || (value_len && !guest_ptr))
        return 6;
    memcpy(dst, value, (size_t)value_len);
    store_u32(ptr_at, (uint32_t)guest_ptr);
    store_u32(len_at, (uint32_t)value_len);
    return 0;
}

static int32_t host_note(void *unused)
{
    (void)unused;
    guest_host_seen.notes++;
    guest_host_seen.notes_in_allocator += vm_current_in_allocator();
    return 0;
}

static int32_t host_refuse(void *unused, int32_t how)
{
    (void)unused;
    if (how)
        vm_set_trap("restricted_callback");
    return VM_HOST_TRAP;
}

static const struct vm_host_func funcs[] = {
    {"env", "unused", "ii:i", VM_HOST_PLAIN, 0, (void *)host_sum},
    {"env", "sum", "ilfd:i", VM_HOST_PLAIN, 0, (void *)host_sum},
    {"env", "fetch", "iii:i", VM_HOST_BYTES, 1, (void *)host_fetch},
    {"env", "note", ":v", VM_HOST_PLAIN, 0, (void *)host_note},
    {"env", "refuse", "i:i", VM_HOST_PLAIN, 0, (void *)host_refuse},
};

const struct vm_host guest_host = {funcs, ARRAY_LEN(funcs), host_commit};

void *guest_host_read(const char *path, size_t *n_r)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        abort();
    }
    char *bytes = mem_alloc(1 << 20);
    *n_r = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static struct sigaction engine_sigsegv;

void guest_host_start_engine(bool no_trap_handler, const char *extra_flags)
{
    struct error err = {0};
    struct vm_engine_options o = {.table_max = 10000,
                                  .memory_pages = 1024,
                                  .no_trap_handler = no_trap_handler,
                                  .extra_flags = extra_flags};
    vm_engine_configure(&o);
    if (vm_engine_start(&err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    sigaction(SIGSEGV, NULL, &engine_sigsegv);
}

void guest_host_take_signals(void)
{
    sigaction(SIGSEGV, &engine_sigsegv, NULL);
}
