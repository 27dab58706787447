/* Defines one metric of each kind, named with the tags that Istio's plugins write into names, and
 * counts a request in each; six times, from 3 ms to 50 s. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

IMPORT(proxy_define_metric)
uint32_t define_metric(uint32_t type, const char *name, uint32_t n, uint32_t *id);
IMPORT(proxy_increment_metric) uint32_t increment(uint32_t id, int64_t by);
IMPORT(proxy_record_metric) uint32_t record(uint32_t id, uint64_t value);

static const char *const names[] = {"guest_requests.reporter=.=source;.;cache.hit.x", "guest_level",
                                    "guest_time_ms", "1st_is_no_name"};
static uint32_t ids[4];

EXPORT(proxy_abi_version_0_2_1) void abi(void) {}
EXPORT(malloc) void *guest_malloc(uint32_t n)
{
    return malloc(n);
}
EXPORT(proxy_on_vm_start) uint32_t on_vm_start(uint32_t root, uint32_t n)
{
    return 1;
}
EXPORT(proxy_on_configure) uint32_t on_configure(uint32_t root, uint32_t n)
{
    for (uint32_t i = 0; i < 4; i++)
        define_metric(i % 3, names[i], strlen(names[i]), &ids[i]);
    return 1;
}
EXPORT(proxy_on_context_create) void on_create(uint32_t id, uint32_t parent) {}
EXPORT(proxy_on_request_headers) uint32_t on_request(uint32_t id, uint32_t n, uint32_t end)
{
    increment(ids[0], 1);
    record(ids[1], 7);
    for (uint64_t time_ms = 3; time_ms < 100000; time_ms *= 7)
        record(ids[2], time_ms);
    increment(ids[3], 1);
    return 0;
}
