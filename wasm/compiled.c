#include "wasm/compiled.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stat.h"
#include "net/loop.h"
#include "wasm/admit.h"
#include "wasm/blob.h"
#include "wasm/stager.h"
#include "wasm/vm.h"

enum { KEY_MAX = 96, FAILURES_MAX = 1000 };

struct compiled_store {
    struct stager *stager;
    struct hash codes;    /* key -> struct compiled */
    struct hash failures; /* key -> struct stage_error */
    stat_id negative_hits;
    struct list answers;     /* struct compiled that have something to tell, one reference each */
    struct loop_timer timer; /* tells it; a timer, because it can be stopped */
};

/* refs: one for each entry of `waiting` and `holding`, one for the job in flight. */
struct compiled {
    struct compiled_store *store;
    char key[KEY_MAX];
    uint64_t memory_max;
    unsigned refs;
    struct list waiting, holding;
    struct blob *bytes; /* as verified, then as admitted; NULL once compiled */
    struct vm_module *module;
    struct stage_error failure;
    bool is_failed;
    struct list answer;
};

struct build_job {
    struct stager_job job;
    struct compiled *code;
    struct blob *bytes;
    uint64_t memory_max;
    struct vm_module *module;
    struct stage_error e;
    int rc;
};

static void start_job(struct compiled *c, void (*run)(struct stager_job *job),
                      void (*done)(struct stager_job *job, bool is_dropped));
static void on_compiled(struct stager_job *job, bool is_dropped);

static void forget_failures(struct compiled_store *s)
{
    struct hash_entry *e;
    for (size_t it = 0; (e = hash_next(&s->failures, &it));)
        mem_free(e->value);
    hash_fini(&s->failures);
    s->failures = (struct hash){0};
}

static void free_module(void *arg)
{
    struct vm_module *m = arg;
    vm_module_unref(&m);
}

static void unref(struct compiled *c)
{
    if (--c->refs)
        return;
    struct compiled_store *s = c->store;
    if (hash_find(&s->codes, str_of(c->key)) == c)
        hash_remove(&s->codes, str_of(c->key));
    blob_unref(&c->bytes);
    if (c->module)
        stager_dispose(s->stager, free_module, c->module);
    mem_free(c);
}

static void remember_failure(struct compiled *c)
{
    struct compiled_store *s = c->store;
    /* The same bytes may come again under the same key; it must not meet this entry. */
    if (hash_find(&s->codes, str_of(c->key)) == c)
        hash_remove(&s->codes, str_of(c->key));
    if (stage_error_is_passing(&c->failure))
        return;
    if (hash_count(&s->failures) >= FAILURES_MAX)
        forget_failures(s);
    mem_free(hash_set(&s->failures, str_of(c->key), mem_dup(&c->failure, sizeof(c->failure))));
}

/* Tells everybody who waits. Callbacks may drop or add waiters of this very object. */
static void answer(struct compiled *c)
{
    while (!list_is_empty(&c->waiting)) {
        struct compiled_want *w = container_of(c->waiting.next, struct compiled_want, node);
        list_del(&w->node);
        if (c->is_failed) {
            struct stage_error e = c->failure;
            w->code = NULL;
            w->on_done(w, &e);
            unref(c);
        } else {
            list_add_tail(&c->holding, &w->node);
            w->on_done(w, NULL);
        }
    }
}

static struct compiled *take_answer(struct compiled_store *s)
{
    if (list_is_empty(&s->answers))
        return NULL;
    struct compiled *c = container_of(s->answers.next, struct compiled, answer);
    list_del(&c->answer);
    return c;
}

static void on_answers(struct loop_timer *t)
{
    struct compiled_store *s = container_of(t, struct compiled_store, timer);
    struct compiled *c;
    while ((c = take_answer(s))) {
        answer(c);
        unref(c);
    }
}

static void answer_later(struct compiled *c)
{
    if (!list_is_empty(&c->answer))
        return;
    c->refs++;
    list_add_tail(&c->store->answers, &c->answer);
    loop_timer_start(&c->store->timer, 0);
}

static void tell_state(struct compiled *c, enum plugin_state s)
{
    list_for_each_safe (it, tmp, &c->waiting) {
        struct compiled_want *w = container_of(it, struct compiled_want, node);
        w->on_state(w, s);
    }
}

static void fail(struct compiled *c, const struct stage_error *e)
{
    c->failure = *e;
    c->is_failed = true;
    remember_failure(c);
    answer_later(c);
}

/* --- the two jobs --- */

static struct build_job *build_of(struct stager_job *job)
{
    return container_of(job, struct build_job, job);
}

static void free_job(struct build_job *b)
{
    if (b->module)
        vm_module_unref(&b->module);
    blob_unref(&b->bytes);
    unref(b->code);
    mem_free(b);
}

static void run_probe(struct stager_job *job)
{
    struct build_job *b = build_of(job);
    struct blob *admitted = NULL;
    b->e.stage = STAGE_PROBE;
    b->rc = admit_module(b->bytes, b->memory_max, &admitted, &b->e.err);
    if (!b->rc) {
        blob_unref(&b->bytes);
        b->bytes = admitted;
    }
}

static void run_compile(struct stager_job *job)
{
    struct build_job *b = build_of(job);
    b->e.stage = STAGE_COMPILE;
    b->rc = vm_module_compile(b->bytes->p, b->bytes->n, &b->module, &b->e.err);
}

static void on_probed(struct stager_job *job, bool is_dropped)
{
    struct build_job *b = build_of(job);
    struct compiled *c = b->code;
    if (is_dropped) {
        free_job(b);
        return;
    }
    if (b->rc) {
        fail(c, &b->e);
    } else if (!list_is_empty(&c->waiting)) {
        blob_unref(&c->bytes);
        c->bytes = blob_ref(b->bytes);
        tell_state(c, PLUGIN_COMPILING);
        start_job(c, run_compile, on_compiled);
    }
    free_job(b);
}

static void on_compiled(struct stager_job *job, bool is_dropped)
{
    struct build_job *b = build_of(job);
    struct compiled *c = b->code;
    if (!is_dropped && b->rc) {
        fail(c, &b->e);
    } else if (!is_dropped) {
        c->module = b->module;
        b->module = NULL;
        blob_unref(&c->bytes);
        answer_later(c);
    }
    free_job(b);
}

static void start_job(struct compiled *c, void (*run)(struct stager_job *job),
                      void (*done)(struct stager_job *job, bool is_dropped))
{
    struct build_job *b = MEM_NEW(struct build_job);
    b->job.run = run;
    b->job.done = done;
    b->code = c;
    b->bytes = blob_ref(c->bytes);
    b->memory_max = c->memory_max;
    c->refs++;
    stager_add(c->store->stager, STAGER_WORK, &b->job);
}

struct compiled_store *compiled_store_create(struct loop *loop, struct stager *stager)
{
    struct compiled_store *s = MEM_NEW(struct compiled_store);
    s->stager = stager;
    list_init(&s->answers);
    loop_timer_init(&s->timer, loop, on_answers);
    s->negative_hits = stat_define(STAT_COUNTER, "wasm.remote_load_cache_negative_hits");
    return s;
}

void compiled_store_destroy(struct compiled_store **sp)
{
    struct compiled_store *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    struct compiled *c;
    while ((c = take_answer(s)))
        unref(c);
    loop_timer_stop(&s->timer);
    forget_failures(s);
    stat_release(s->negative_hits);
    hash_fini(&s->codes);
    mem_free(s);
}

/* --- face --- */

static struct compiled *create(struct compiled_store *s, const char *key, uint64_t memory_max,
                               struct blob *bytes)
{
    struct compiled *c = MEM_NEW(struct compiled);
    c->store = s;
    memcpy(c->key, key, KEY_MAX);
    c->memory_max = memory_max;
    c->bytes = blob_ref(bytes);
    list_init(&c->answer);
    list_init(&c->waiting);
    list_init(&c->holding);
    return c;
}

static void make_key(char key[KEY_MAX], const char *digest, uint64_t memory_max)
{
    memset(key, 0, KEY_MAX);
    struct sbuf b = {0};
    sbuf_printf(&b, "%.64s %llu", digest, (unsigned long long)memory_max);
    memcpy(key, b.p, b.n < KEY_MAX ? b.n : KEY_MAX - 1);
    sbuf_fini(&b);
}

void compiled_get(struct compiled_store *s, const char *digest, uint64_t memory_max,
                  struct blob *bytes, struct compiled_want *w)
{
    char key[KEY_MAX];
    make_key(key, digest, memory_max);
    struct compiled *c = hash_find(&s->codes, str_of(key));
    bool is_new = !c;
    if (is_new) {
        c = create(s, key, memory_max, bytes);
        hash_set(&s->codes, str_of(key), c);
    }
    c->refs++;
    w->code = c;
    list_add_tail(&c->waiting, &w->node);
    struct stage_error *known = is_new ? hash_find(&s->failures, str_of(key)) : NULL;
    if (known) {
        stat_inc(s->negative_hits);
        fail(c, known);
    } else if (is_new) {
        w->on_state(w, PLUGIN_PROBING);
        start_job(c, run_probe, on_probed);
    } else if (c->module) {
        answer_later(c);
    }
}

void compiled_drop(struct compiled_want *w)
{
    struct compiled *c = w->code;
    if (!c)
        return;
    w->code = NULL;
    list_del(&w->node);
    unref(c);
}

void compiled_share(struct compiled *c, struct compiled_want *w)
{
    c->refs++;
    w->code = c;
    list_add_tail(&c->holding, &w->node);
}

struct vm_module *compiled_module(const struct compiled *c)
{
    return c->module;
}
