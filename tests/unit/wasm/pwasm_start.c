/* Plugins that differ in how they start; one of the cases is chosen by -DCASE_x. */
#define HOST(module, name) __attribute__((import_module(module), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

HOST("env", proxy_log) int proxy_log(int, const char *, int);
HOST("env", proxy_get_property) int proxy_get_property(const char *, int, char **, int *);

static char pool[65536];
static unsigned used;

static void *take(unsigned n)
{
    used += (n + 15) & ~15u;
    return pool + used - ((n + 15) & ~15u);
}

#if defined(CASE_old_allocator)
EXPORT(proxy_on_memory_allocate) void *allocate(unsigned n)
{
    return take(n);
}
#elif !defined(CASE_no_allocator)
EXPORT(malloc) void *allocate(unsigned n)
{
    return take(n);
}
#endif

#if defined(CASE_abi_0_1_0)
EXPORT(proxy_abi_version_0_1_0) void version(void) {}
#elif defined(CASE_abi_0_2_0)
EXPORT(proxy_abi_version_0_2_0) void version(void) {}
#elif !defined(CASE_no_abi)
EXPORT(proxy_abi_version_0_2_1) void version(void) {}
#endif

static int property(void)
{
    char *p;
    int n;
    return proxy_get_property("plugin_root_id", 14, &p, &n);
}

static int started;

#if defined(CASE_restricted)
EXPORT(_initialize) void initialize(void)
{
    property();
}
#elif defined(CASE_start_function)
EXPORT(_start) void start(void)
{
    proxy_log(2, "started", 7);
    started = 40;
}
#elif defined(CASE_main)
EXPORT(_initialize) void initialize(void)
{
    started = 2;
}
EXPORT(main) int guest_main(int argc, int argv)
{
    return started += 38;
}
#else
EXPORT(_initialize) void initialize(void)
{
    started = 40;
}
#endif

#if defined(CASE_wrong_signature)
EXPORT(proxy_on_vm_start) long long on_vm_start(int root, int n)
{
    return 1;
}
#else
EXPORT(proxy_on_vm_start) int on_vm_start(int root, int n)
{
    return property() == 0 && started == 40;
}
#endif

#if defined(CASE_abi_0_1_0)
EXPORT(proxy_on_request_headers) int on_request_headers(int id, int n)
{
    return id + n;
}
#else
EXPORT(proxy_on_request_headers) int on_request_headers(int id, int n, int end)
{
    return id + n + end;
}
#endif
