#include "fake_engine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "wasm/module.h"
#include "wasm/plugin.h"
#include "wasm/probe.h"
#include "wasm/vm.h"

struct fake_counts fake_counts;
int fake_probe_error;

static void count(int *n, int delta)
{
    __atomic_fetch_add(n, delta, __ATOMIC_SEQ_CST);
}

struct vm_module {
    int refs;
};

struct pwasm_vm {
    struct conf_plugin *conf;
    struct vm_module *module;
};

const struct module_limits module_default_limits;

static bool contains(const void *p, size_t n, const char *text)
{
    return memmem(p, n, text, strlen(text)) != NULL;
}

int module_check(const void *bytes, size_t n, const struct module_limits *limits,
                 struct module_info *info_r, struct error *err)
{
    (void)limits;
    (void)info_r;
    if (contains(bytes, n, "no-abi"))
        return error_set(err, ERR_INVALID, "Missing or unknown Proxy-Wasm ABI version");
    return 0;
}

int module_rewrite(const void *bytes, size_t n, const struct module_caps *caps, struct sbuf *out,
                   struct error *err)
{
    (void)caps;
    (void)err;
    sbuf_add(out, bytes, n);
    return 0;
}

int probe_run(const void *bytes, size_t n, struct error *err)
{
    count(&fake_counts.probed, 1);
    if (fake_probe_error)
        return error_set(err, (enum err)fake_probe_error, "probe error");
    if (contains(bytes, n, "bad-probe"))
        return error_set(err, ERR_LIMIT, "over 512 MiB");
    return 0;
}

int vm_module_compile(const void *bytes, size_t n, struct vm_module **module_r, struct error *err)
{
    count(&fake_counts.compiled, 1);
    if (contains(bytes, n, "bad-compile"))
        return error_set(err, ERR_INVALID, "CompileError: bad");
    *module_r = MEM_NEW(struct vm_module);
    (*module_r)->refs = 1;
    count(&fake_counts.modules, 1);
    return 0;
}

struct vm_module *vm_module_ref(struct vm_module *m)
{
    count(&m->refs, 1);
    return m;
}

void vm_module_unref(struct vm_module **mp)
{
    struct vm_module *m = *mp;
    *mp = NULL;
    if (__atomic_sub_fetch(&m->refs, 1, __ATOMIC_SEQ_CST) > 0)
        return;
    count(&fake_counts.modules, -1);
    mem_free(m);
}

static void sleep_ms(long ms)
{
    struct timespec t = {.tv_nsec = ms * 1000000};
    nanosleep(&t, NULL);
}

int pwasm_vm_start(struct conf_plugin *conf, struct vm_module *module, struct pwasm_vm **vm_r,
                   struct error *err)
{
    const struct str c = conf->configuration;
    if (contains(c.p, c.n, "slow-start"))
        sleep_ms(50);
    if (contains(c.p, c.n, "bad-start"))
        return error_set(err, ERR_TRAP, "on_configure returned false");
    *vm_r = MEM_NEW(struct pwasm_vm);
    (*vm_r)->conf = conf_object_ref(conf);
    (*vm_r)->module = vm_module_ref(module);
    count(&fake_counts.vms, 1);
    return 0;
}

void pwasm_vm_destroy(struct pwasm_vm **vm)
{
    conf_object_unref((*vm)->conf);
    vm_module_unref(&(*vm)->module);
    mem_free(*vm);
    *vm = NULL;
    count(&fake_counts.vms, -1);
}

const struct conf_plugin *pwasm_vm_conf(const struct pwasm_vm *vm)
{
    return vm->conf;
}

struct str fake_module(char *p, const char *text)
{
    memcpy(p, "\0asm\1\0\0\0", 8);
    int n = snprintf(p + 8, 120, "%s", text);
    return (struct str){p, 8 + (size_t)n};
}

struct conf_plugin *fake_plugin(const char *slot, const char *name, struct str code,
                                const char *configuration, enum conf_fail_policy policy)
{
    struct conf_plugin *c = conf_object_create(sizeof(*c), slot);
    struct arena *a = &c->object.arena;
    c->slot = c->object.name;
    c->name = arena_strdup(a, name);
    c->root_id = c->vm_id = c->pull_policy = c->resource_version = "";
    c->code.kind = CONF_CODE_INLINE;
    c->code.bytes = (struct str){arena_strndup(a, code.p, code.n), code.n};
    c->configuration = str_of(arena_strdup(a, configuration));
    c->code.uri = c->code.cluster = c->code.sha256 = c->code.filename = "";
    c->fail_policy = policy;
    c->memory_max = 1 << 20;
    fake_plugin_rehash(c, "");
    return c;
}

void fake_plugin_set_remote(struct conf_plugin *conf, const char *uri, const char *sha256)
{
    conf->code.kind = CONF_CODE_REMOTE;
    conf->code.uri = arena_strdup(&conf->object.arena, uri);
    conf->code.sha256 = arena_strdup(&conf->object.arena, sha256);
    conf->code.timeout_ms = 2000;
    fake_plugin_rehash(conf, "");
}

void fake_plugin_rehash(struct conf_plugin *c, const char *salt)
{
    struct sbuf b = {0};
    sbuf_printf(&b, "%s %s %s %s %d", c->name, c->code.uri, c->code.sha256, salt, c->fail_policy);
    sbuf_add(&b, c->code.bytes.p, c->code.bytes.n);
    sbuf_add(&b, c->configuration.p, c->configuration.n);
    c->object.hash = hash_xx64(b.p, b.n, 1);
    sbuf_fini(&b);
}
