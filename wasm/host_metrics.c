/* Host functions on metrics. An id tells the kind by its low two bits. */
#include "base/mem.h"
#include "conf/plugin.h"
#include "wasm/metrics.h"
#include "wasm/plugin_private.h"

enum { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM, KIND_BITS = 2, KIND_MASK = 3 };

static struct pwasm_metric *find(const struct pwasm_vm *vm, uint32_t id)
{
    uint32_t at = id >> KIND_BITS;
    if (at == 0 || at > vm->metrics_n)
        return NULL;
    struct pwasm_metric *m = vm->metrics[at - 1];
    return (id & KIND_MASK) == (uint32_t)metric_kind(m) ? m : NULL;
}

static int32_t proxy_define_metric(void *unused, int32_t kind, int32_t name, int32_t name_n,
                                   int32_t out_id)
{
    (void)unused;
    HOST_ENTER(vm, kind, name, name_n, out_id);
    struct str s;
    _Static_assert((int)STAT_COUNTER == KIND_COUNTER && (int)STAT_GAUGE == KIND_GAUGE &&
                       (int)STAT_HISTOGRAM == KIND_HISTOGRAM,
                   "kinds are the ABI's");
    if ((uint32_t)kind > KIND_HISTOGRAM)
        return PWASM_BAD_ARGUMENT;
    if (!guest_str(name, name_n, &s) || !guest_put_u32(out_id, 0))
        return PWASM_INVALID_MEMORY;
    if (vm->metrics_n >= PWASM_METRICS_MAX) {
        log_error(LOG_WASM, "Plugin %s: more than %d metrics", vm->conf->name, PWASM_METRICS_MAX);
        return PWASM_INTERNAL_FAILURE;
    }
    struct pwasm_metric *m = metric_ref((enum stat_kind)kind, s);
    if (!m)
        return PWASM_BAD_ARGUMENT;
    mem_grow((void **)&vm->metrics, &vm->metrics_cap, vm->metrics_n + 1, sizeof(*vm->metrics));
    vm->metrics[vm->metrics_n++] = m;
    guest_put_u32(out_id, (uint32_t)(vm->metrics_n << KIND_BITS) | (uint32_t)kind);
    return PWASM_OK;
}

static int32_t proxy_increment_metric(void *unused, int32_t id, int64_t offset)
{
    (void)unused;
    HOST_ENTER(vm, id, offset);
    struct pwasm_metric *m = find(vm, (uint32_t)id);
    if (!m)
        return PWASM_NOT_FOUND;
    if (metric_kind(m) == STAT_HISTOGRAM || (metric_kind(m) == STAT_COUNTER && offset <= 0))
        return PWASM_BAD_ARGUMENT;
    metric_add(m, offset);
    return PWASM_OK;
}

static int32_t proxy_record_metric(void *unused, int32_t id, int64_t value)
{
    (void)unused;
    HOST_ENTER(vm, id, value);
    struct pwasm_metric *m = find(vm, (uint32_t)id);
    if (!m)
        return PWASM_NOT_FOUND;
    if (metric_kind(m) == STAT_COUNTER)
        metric_add(m, value);
    else if (metric_kind(m) == STAT_GAUGE)
        metric_set(m, (uint64_t)value);
    else
        metric_record(m, (uint64_t)value);
    return PWASM_OK;
}

static int32_t proxy_get_metric(void *unused, int32_t id, int32_t out_value)
{
    (void)unused;
    HOST_ENTER(vm, id, out_value);
    struct pwasm_metric *m = find(vm, (uint32_t)id);
    if (!m)
        return PWASM_NOT_FOUND;
    if (metric_kind(m) == STAT_HISTOGRAM)
        return PWASM_BAD_ARGUMENT;
    return guest_put_u64(out_value, metric_get(m)) ? PWASM_OK : PWASM_INVALID_MEMORY;
}

static const struct pwasm_func funcs[] = {
    {"proxy_define_metric", "iiii:i", (void *)proxy_define_metric, PWASM_PLAIN},
    {"proxy_increment_metric", "il:i", (void *)proxy_increment_metric, PWASM_PLAIN},
    {"proxy_record_metric", "il:i", (void *)proxy_record_metric, PWASM_PLAIN},
    {"proxy_get_metric", "ii:i", (void *)proxy_get_metric, PWASM_PLAIN},
};
const struct pwasm_funcs pwasm_funcs_metrics = {funcs, ARRAY_LEN(funcs)};
