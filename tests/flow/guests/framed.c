/* A network plugin that logs what passes: the addresses, and the bytes between two frame lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

enum { LOG_INFO = 2, DOWNSTREAM_DATA = 2, UPSTREAM_DATA = 3 };

IMPORT(proxy_log) uint32_t log_text(uint32_t level, const char *p, uint32_t n);
IMPORT(proxy_get_property)
uint32_t get_property(const char *path, uint32_t path_n, char **p, uint32_t *n);
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
EXPORT(proxy_on_configure) uint32_t on_configure(uint32_t root, uint32_t n)
{
    return 1;
}
EXPORT(proxy_on_context_create) void on_create(uint32_t id, uint32_t parent) {}
EXPORT(proxy_on_new_connection) uint32_t on_new(uint32_t id)
{
    return 0;
}

struct text {
    char *p;
    uint32_t n, cap;
};

static void add(struct text *t, const char *p, uint32_t n)
{
    if (t->n + n > t->cap) {
        t->cap = 2 * (t->n + n);
        t->p = realloc(t->p, t->cap);
    }
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void add_line(struct text *t, const char *line)
{
    add(t, line, strlen(line));
}

static void add_property(struct text *t, const char *label, const char *path, uint32_t path_n)
{
    char *p = 0;
    uint32_t n = 0;
    add_line(t, label);
    if (get_property(path, path_n, &p, &n) == 0)
        add(t, p, n);
    else
        add_line(t, "none");
    free(p);
}

static void report(const char *frame, uint32_t type, uint32_t size)
{
    struct text t = {0};
    char *p = 0;
    uint32_t n = 0;
    add_property(&t, "source=", "source\0address", sizeof("source\0address") - 1);
    add_property(&t, " destination=", "destination\0address", sizeof("destination\0address") - 1);
    add_property(&t, " upstream=", "upstream\0address", sizeof("upstream\0address") - 1);
    log_text(LOG_INFO, t.p, t.n);
    t.n = 0;
    add_line(&t, frame);
    if (get_buffer(type, 0, size, &p, &n) == 0)
        add(&t, p, n);
    add_line(&t, frame);
    log_text(LOG_INFO, t.p, t.n);
    free(p);
    free(t.p);
}

EXPORT(proxy_on_downstream_data) uint32_t on_down(uint32_t id, uint32_t n, uint32_t end)
{
    if (n)
        report("\n>>>>>> downstream data received >>>>>>\n", DOWNSTREAM_DATA, n);
    return 0;
}

EXPORT(proxy_on_upstream_data) uint32_t on_up(uint32_t id, uint32_t n, uint32_t end)
{
    if (n)
        report("\n<<<<<< upstream data received <<<<<<\n", UPSTREAM_DATA, n);
    return 0;
}
EXPORT(proxy_on_downstream_connection_close) void on_down_close(uint32_t id, uint32_t how) {}
EXPORT(proxy_on_upstream_connection_close) void on_up_close(uint32_t id, uint32_t how) {}
EXPORT(proxy_on_done) uint32_t on_done(uint32_t id)
{
    return 1;
}
EXPORT(proxy_on_log) void on_log(uint32_t id) {}
EXPORT(proxy_on_delete) void on_delete(uint32_t id) {}
