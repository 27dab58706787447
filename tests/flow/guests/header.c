/* A plugin in plain C: adds a response header and does what the request's x-do header says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))
#ifndef VERSION
#define VERSION "1"
#endif

IMPORT(proxy_add_header_map_value)
uint32_t add_header(uint32_t map, const char *k, uint32_t kn, const char *v, uint32_t vn);
IMPORT(proxy_get_header_map_value)
uint32_t get_header(uint32_t map, const char *k, uint32_t kn, char **v, uint32_t *vn);
IMPORT(proxy_send_local_response)
uint32_t reply(uint32_t code, const char *d, uint32_t dn, const char *b, uint32_t bn, const char *h,
               uint32_t hn, int32_t grpc);
IMPORT(proxy_log) uint32_t log_text(uint32_t level, const char *p, uint32_t n);
IMPORT(proxy_get_buffer_bytes)
uint32_t get_buffer(uint32_t type, uint32_t start, uint32_t n, char **p, uint32_t *len);

EXPORT(proxy_abi_version_0_2_1) void abi(void) {}
EXPORT(malloc) void *guest_malloc(uint32_t n)
{
    return malloc(n);
}
EXPORT(proxy_on_vm_start) uint32_t on_vm_start(uint32_t root, uint32_t n)
{
    return 1;
}

static char greeting[64] = VERSION;
static uint32_t greeting_n = sizeof(VERSION) - 1;
static volatile uint32_t sink;

/* The address is not constant, for the engine would see it beforehand. */
static void write_outside(void)
{
    *(volatile char *)(0xfffff000u + sink) = 1;
}

EXPORT(proxy_on_configure) uint32_t on_configure(uint32_t root, uint32_t n)
{
    char *p = 0;
    uint32_t len = 0;
    if (n && get_buffer(7, 0, n, &p, &len) == 0 && len < sizeof(greeting)) {
        memcpy(greeting, p, len);
        greeting_n = len;
    }
    if (n == 3 && !memcmp(greeting, "oob", 3))
        write_outside();
    return !(n == 4 && !memcmp(greeting, "fail", 4));
}
EXPORT(proxy_on_context_create) void on_create(uint32_t id, uint32_t parent) {}

static int does(const char *what)
{
    char *v = 0;
    uint32_t n = 0;
    return get_header(0, "x-do", 4, &v, &n) == 0 && n == strlen(what) && !memcmp(v, what, n);
}

EXPORT(proxy_on_request_headers) uint32_t on_request(uint32_t id, uint32_t n, uint32_t end)
{
    if (does("trap"))
        __builtin_trap();
    if (does("loop"))
        for (;;)
            sink++;
    if (does("oob"))
        write_outside();
    if (does("reply"))
        reply(418, "teapot", 6, "short", 5, 0, 0, -1);
    add_header(0, "x-from-plugin", 13, "yes", 3);
    return does("reply") ? 1 : 0;
}

EXPORT(proxy_on_response_headers) uint32_t on_response(uint32_t id, uint32_t n, uint32_t end)
{
    add_header(2, "x-plugin", 8, greeting, greeting_n);
    return 0;
}
EXPORT(proxy_on_done) uint32_t on_done(uint32_t id)
{
    return 1;
}
EXPORT(proxy_on_log) void on_log(uint32_t id) {}
EXPORT(proxy_on_delete) void on_delete(uint32_t id) {}
