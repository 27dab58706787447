/* Host functions on the plugin itself: log, clock, timer, status, contexts. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "conf/plugin.h"
#include "wasm/plugin_private.h"

/* ---- log ---- */

void pwasm_guest_log(struct pwasm_vm *vm, enum log_level level, struct str text)
{
    if (!log_is_on(LOG_WASM, level))
        return;
    uint64_t second = clock_mono_ns() / 1000000000u;
    if (second != vm->log_second) {
        if (vm->log_dropped)
            log_warn(LOG_WASM, "Plugin %s: %u log lines dropped", vm->conf->name, vm->log_dropped);
        vm->log_second = second;
        vm->log_lines = vm->log_dropped = 0;
    }
    if (vm->log_lines++ >= PWASM_LOG_LINES_MAX) {
        vm->log_dropped++;
        return;
    }
    const char *prefix = pwasm_acting(vm)->ops ? vm->log_prefix : vm->root_log_prefix;
    log_write(LOG_WASM, level, __FILE__, __LINE__, "wasm log%s: %.*s", prefix, STR_ARG(text));
}

static int32_t proxy_log(void *unused, int32_t level, int32_t ptr, int32_t n)
{
    (void)unused;
    HOST_ENTER(vm, level, ptr, n);
    struct str text;
    if ((uint32_t)level > LEVEL_CRITICAL)
        return PWASM_BAD_ARGUMENT;
    if (!guest_str(ptr, n, &text))
        return PWASM_INVALID_MEMORY;
    pwasm_guest_log(vm, (enum log_level)level, text);
    return PWASM_OK;
}

static int32_t proxy_get_log_level(void *unused, int32_t out_level)
{
    (void)unused;
    HOST_ENTER(vm, out_level);
    return guest_put_u32(out_level, log_levels[LOG_WASM]) ? PWASM_OK : PWASM_INVALID_MEMORY;
}

/* AssemblyScript's abort: strings stand in UTF-16 behind their length in bytes. */
static void read_utf16(int32_t ptr, char *dst, size_t room)
{
    struct str head, text;
    uint32_t bytes;
    dst[0] = 0;
    if (ptr < 4 || !guest_str(ptr - 4, sizeof(bytes), &head))
        return;
    memcpy(&bytes, head.p, sizeof(bytes));
    size_t n = bytes / 2 < room ? bytes / 2 : room - 1;
    if (!guest_str(ptr, (int32_t)(2 * n), &text))
        return;
    for (size_t i = 0; i < n; i++)
        dst[i] = text.p[2 * i + 1] == 0 && text.p[2 * i] >= ' ' ? text.p[2 * i] : '?';
    dst[n] = 0;
}

static int32_t as_abort(void *unused, int32_t message, int32_t file, int32_t line, int32_t column)
{
    (void)unused;
    struct pwasm_vm *vm = vm_current_arg();
    char message_text[256], file_text[128], text[512];
    read_utf16(message, message_text, sizeof(message_text));
    read_utf16(file, file_text, sizeof(file_text));
    int n = snprintf(text, sizeof(text), "abort: %s at %s:%u:%u", message_text, file_text,
                     (unsigned)line, (unsigned)column);
    pwasm_guest_log(vm, LEVEL_ERROR, (struct str){text, (size_t)n});
    vm_set_trap(text);
    return VM_HOST_TRAP;
}

/* ---- clock, timer, status ---- */

static int32_t proxy_get_current_time_nanoseconds(void *unused, int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, out);
    return guest_put_u64(out, clock_wall_ns()) ? PWASM_OK : PWASM_INVALID_MEMORY;
}

static int32_t proxy_set_tick_period_milliseconds(void *unused, int32_t ms)
{
    (void)unused;
    HOST_ENTER(vm, ms);
    pwasm_vm_set_tick(vm, (uint32_t)ms);
    return PWASM_OK;
}

static int32_t proxy_get_status(void *unused, int32_t out_code, int32_t out_ptr, int32_t out_len)
{
    (void)unused;
    HOST_ENTER_BYTES(vm, out_code, out_ptr, out_len);
    if (!guest_put_u32(out_code, (uint32_t)vm->last_status))
        return -1 - PWASM_INVALID_MEMORY;
    return pwasm_out_str(vm, str_of(vm->last_status_text));
}

/* ---- contexts ---- */

static int32_t proxy_set_effective_context(void *unused, int32_t id)
{
    (void)unused;
    HOST_ENTER(vm, id);
    struct pwasm_context *c = pwasm_context_find(vm, (uint32_t)id);
    if (!c)
        return PWASM_BAD_ARGUMENT;
    vm->effective = c;
    return PWASM_OK;
}

static int32_t proxy_done(void *unused)
{
    (void)unused;
    HOST_ENTER(vm);
    return pwasm_vm_done(vm) ? PWASM_OK : PWASM_NOT_FOUND;
}

static int32_t pthread_equal(void *unused, int32_t a, int32_t b)
{
    (void)unused;
    return a == b;
}

static int32_t emscripten_notify_memory_growth(void *unused, int32_t index)
{
    (void)unused;
    (void)index;
    return 0;
}

static const struct pwasm_func funcs[] = {
    {"proxy_log", "iii:i", (void *)proxy_log, PWASM_PLAIN},
    {"proxy_get_log_level", "i:i", (void *)proxy_get_log_level, PWASM_PLAIN},
    {"abort", "iiii:v", (void *)as_abort, PWASM_PLAIN},
    {"proxy_get_current_time_nanoseconds", "i:i", (void *)proxy_get_current_time_nanoseconds,
     PWASM_PLAIN},
    {"proxy_set_tick_period_milliseconds", "i:i", (void *)proxy_set_tick_period_milliseconds,
     PWASM_PLAIN},
    {"proxy_get_status", "iii:i", (void *)proxy_get_status, 1},
    {"proxy_set_effective_context", "i:i", (void *)proxy_set_effective_context, PWASM_PLAIN},
    {"proxy_done", ":i", (void *)proxy_done, PWASM_PLAIN},
    {"pthread_equal", "ii:i", (void *)pthread_equal, PWASM_PLAIN},
    {"emscripten_notify_memory_growth", "i:v", (void *)emscripten_notify_memory_growth,
     PWASM_PLAIN},
};
const struct pwasm_funcs pwasm_funcs_root = {funcs, ARRAY_LEN(funcs)};
