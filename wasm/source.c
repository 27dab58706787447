#include "wasm/source.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stat.h"
#include "net/loop.h"
#include "wasm/blob.h"
#include "wasm/cache.h"
#include "wasm/docker_auth.h"
#include "wasm/fetch.h"
#include "wasm/fetch_policy.h"
#include "wasm/stager.h"
#include "wasm/verify.h"

static const uint64_t cache_total_max = 1ull << 30;

struct source {
    struct loop *loop;
    struct stager *stager;
    struct fetcher *fetcher;
    struct cache *cache; /* NULL: the data folder cannot be used */
    struct unbox_limits limits;
    struct hash loads; /* key -> struct source_load, remote ones */
    stat_id hits, misses, successes, failures, entries;
};

/* One acquisition of bytes. refs: each waiter, each job, the fetch. */
struct source_load {
    struct source *source;
    unsigned refs;
    char *key;     /* NULL: not shared */
    char *request; /* for the cache */
    char *origin;
    struct conf_plugin *conf;
    struct list waiting;
    struct fetch *fetch;
    enum plugin_state state;
};

struct load_job {
    struct stager_job job;
    struct source_load *load;
    struct conf_plugin *conf; /* own reference: read on the stager */
    const struct cache *cache;
    struct verify_rules rules;
    struct blob *raw, *module;
    char layer_sha256[65];
    char digest[65]; /* of the module; known beforehand when it comes from the disk cache */
    int rc;
    struct stage_error e;
};

static void start_fetch(struct source_load *l);

/* --- loads --- */

static void unref(struct source_load *l)
{
    if (--l->refs)
        return;
    struct source *s = l->source;
    if (l->key && hash_find(&s->loads, str_of(l->key)) == l)
        hash_remove(&s->loads, str_of(l->key));
    docker_auth_wipe_text(&l->key); /* it contains the pull secret */
    mem_free(l->request);
    mem_free(l->origin);
    conf_object_unref(l->conf);
    mem_free(l);
}

static void set_state(struct source_load *l, enum plugin_state s)
{
    l->state = s;
    list_for_each_safe (it, tmp, &l->waiting) {
        struct source_want *w = container_of(it, struct source_want, node);
        w->on_state(w, s);
    }
}

static void answer(struct source_load *l, struct blob *module, const char *digest,
                   const struct stage_error *e)
{
    /* Whoever asks from inside a callback starts anew. */
    if (l->key && hash_find(&l->source->loads, str_of(l->key)) == l)
        hash_remove(&l->source->loads, str_of(l->key));
    l->refs++;
    while (!list_is_empty(&l->waiting)) {
        struct source_want *w = container_of(l->waiting.next, struct source_want, node);
        list_del(&w->node);
        w->load = NULL;
        w->on_done(w, module, digest, e);
        unref(l);
    }
    unref(l);
}

/* --- jobs on the stager --- */

static struct load_job *job_of(struct stager_job *job)
{
    return container_of(job, struct load_job, job);
}

static struct load_job *create_job(struct source_load *l, void (*run)(struct stager_job *job),
                                   void (*done)(struct stager_job *job, bool is_dropped))
{
    struct load_job *j = MEM_NEW(struct load_job);
    j->job.run = run;
    j->job.done = done;
    j->load = l;
    l->refs++;
    j->conf = conf_object_ref(l->conf);
    j->cache = l->source->cache;
    j->rules.origin = l->origin;
    j->rules.sha256 = "";
    j->rules.limits = l->source->limits;
    return j;
}

static void free_job(struct load_job *j)
{
    blob_unref(&j->raw);
    blob_unref(&j->module);
    conf_object_unref(j->conf);
    unref(j->load);
    mem_free(j);
}

static int read_fd(int fd, const char *path, uint64_t size_max, struct blob **b_r,
                   struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_INVALID, "%s: not a regular file", path);
    if ((uint64_t)st.st_size > size_max)
        return error_set(err, ERR_LIMIT, "%s: larger than %llu bytes", path,
                         (unsigned long long)size_max);
    size_t n = (size_t)st.st_size, at = 0;
    uint8_t *p = mem_alloc(n);
    while (at < n) {
        ssize_t got = read(fd, p + at, n - at);
        if (got <= 0) {
            mem_free(p);
            return got < 0 ? error_set_errno(err, errno, "%s", path)
                           : error_set(err, ERR_IO, "%s: truncated while reading", path);
        }
        at += (size_t)got;
    }
    *b_r = blob_take(p, n);
    return 0;
}

static int read_file(const char *path, uint64_t size_max, struct blob **b_r, struct error *err)
{
    /* Non-blocking, so that a FIFO in its place cannot hold the stager. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", path);
    int rc = read_fd(fd, path, size_max, b_r, err);
    close(fd);
    return rc;
}

static void verify(struct load_job *j)
{
    j->e.stage = STAGE_VERIFY;
    j->rc = verify_module(&j->rules, j->raw, &j->module, j->digest, &j->e.err);
    blob_unref(&j->raw);
}

static void run_local(struct stager_job *job)
{
    struct load_job *j = job_of(job);
    const struct conf_code *code = &j->conf->code;
    j->e.stage = STAGE_FETCH;
    if (code->kind == CONF_CODE_INLINE)
        j->raw = blob_copy(code->bytes.p, code->bytes.n);
    else
        j->rc = read_file(code->filename, j->rules.limits.size_max, &j->raw, &j->e.err);
    if (!j->rc)
        verify(j);
}

static void run_cached(struct stager_job *job)
{
    struct load_job *j = job_of(job);
    j->e.stage = STAGE_FETCH;
    j->rc = cache_read(j->cache, j->digest, j->rules.limits.size_max, &j->module, &j->e.err);
}

static void run_verify(struct stager_job *job)
{
    struct load_job *j = job_of(job);
    verify(j);
    struct error err;
    if (!j->rc && j->cache && cache_write(j->cache, j->digest, j->module, &err))
        log_warn(LOG_WASM, "module cache: %s", err.text);
}

/* --- and their ends on main --- */

static void on_local(struct stager_job *job, bool is_dropped)
{
    struct load_job *j = job_of(job);
    if (!is_dropped)
        answer(j->load, j->module, j->digest, j->rc ? &j->e : NULL);
    free_job(j);
}

static void on_cached(struct stager_job *job, bool is_dropped)
{
    struct load_job *j = job_of(job);
    struct source *s = j->load->source;
    if (!is_dropped && !j->rc) {
        stat_inc(s->hits);
        answer(j->load, j->module, j->digest, NULL);
    } else if (!is_dropped) {
        log_warn(LOG_WASM, "module cache: %s: %s", j->digest, j->e.err.text);
        cache_forget(s->cache, j->digest);
        start_fetch(j->load);
    }
    free_job(j);
}

static void on_verified(struct stager_job *job, bool is_dropped)
{
    struct load_job *j = job_of(job);
    struct source *s = j->load->source;
    if (!is_dropped) {
        stat_inc(j->rc ? s->failures : s->successes);
        if (!j->rc && s->cache) {
            cache_add(s->cache, j->load->request, j->digest, j->module->n);
            stat_set(s->entries, cache_count(s->cache));
        }
        answer(j->load, j->module, j->digest, j->rc ? &j->e : NULL);
    }
    free_job(j);
}

static void on_fetched(void *arg, const struct fetch_result *res, const struct stage_error *e)
{
    struct source_load *l = arg;
    struct source *s = l->source;
    l->fetch = NULL;
    if (!res) {
        stat_inc(s->failures);
        answer(l, NULL, "", e);
        unref(l);
        return;
    }
    set_state(l, PLUGIN_VERIFYING);
    struct load_job *j = create_job(l, run_verify, on_verified);
    j->rules.kind = res->is_oci ? VERIFY_OCI : VERIFY_HTTP;
    j->rules.sha256 = j->conf->code.sha256;
    memcpy(j->layer_sha256, res->layer_sha256, sizeof(j->layer_sha256));
    j->rules.layer_sha256 = j->layer_sha256;
    j->rules.layer_size = res->layer_size;
    j->rules.member = res->is_tar ? "plugin.wasm" : NULL;
    j->raw = blob_ref(res->body);
    stager_add(s->stager, STAGER_WORK, &j->job);
    unref(l);
}

static void start_fetch(struct source_load *l)
{
    const struct conf_plugin *conf = l->conf;
    if (list_is_empty(&l->waiting))
        return;
    stat_inc(l->source->misses);
    struct fetch_request req = {
        .uri = conf->code.uri,
        .cluster = conf->code.cluster,
        .sha256 = conf->code.sha256,
        .timeout_ms = conf->code.timeout_ms,
        .num_retries = conf->code.num_retries,
        .pull_secret = conf->pull_secret,
    };
    l->refs++;
    l->fetch = fetch_start(l->source->fetcher, &req, on_fetched, l);
}

/* --- which load a configuration asks for --- */

/* Is a new version of the resource a reason to pull again what has no checksum? Istio's rule: by
 * policy, else for oci:// with the tag latest (or none, which means latest). */
static bool is_pulled_by_version(const struct conf_plugin *conf)
{
    if (conf->code.sha256[0] || strstr(conf->code.uri, "@sha256:"))
        return false;
    if (conf->pull_policy[0])
        return str_is(str_of(conf->pull_policy), "Always");
    struct str uri = str_of(conf->code.uri);
    return str_starts(uri, STR("oci://")) &&
           (str_ends(uri, STR(":latest")) || !fetch_policy_has_tag(uri));
}

static struct source_load *create_load(struct source *s, struct conf_plugin *conf)
{
    struct source_load *l = MEM_NEW(struct source_load);
    struct sbuf b = {0};
    l->source = s;
    l->conf = conf_object_ref(conf);
    l->state = PLUGIN_FETCHING;
    list_init(&l->waiting);
    if (conf->code.kind == CONF_CODE_REMOTE) {
        sbuf_printf(&b, "%s\n%s\n%s", conf->code.uri, conf->code.sha256,
                    is_pulled_by_version(conf) ? conf->resource_version : "");
        l->request = sbuf_take(&b);
        sbuf_printf(&b, "%s\n%s\n%s", l->request, conf->code.cluster,
                    conf->pull_secret ? conf->pull_secret : "");
        l->key = sbuf_take(&b);
        fetch_policy_format_url(conf->code.uri, &b);
        l->origin = sbuf_take(&b);
    } else {
        l->origin =
            mem_strdup(conf->code.kind == CONF_CODE_FILE ? conf->code.filename : "inline code");
    }
    return l;
}

/* A checksum of an http module is the module's own in most cases, whatever its address was. */
static bool find_cached(struct source *s, const struct source_load *l, char digest_r[65])
{
    if (!s->cache)
        return false;
    if (cache_find(s->cache, l->request, digest_r))
        return true;
    const struct conf_code *code = &l->conf->code;
    if (!str_starts(str_of(code->uri), STR("http")) || !cache_has(s->cache, code->sha256))
        return false;
    memcpy(digest_r, code->sha256, 65);
    return true;
}

static void start(struct source_load *l)
{
    struct source *s = l->source;
    struct load_job *j;
    char digest[65];
    if (l->conf->code.kind != CONF_CODE_REMOTE) {
        j = create_job(l, run_local, on_local);
        stager_add(s->stager, STAGER_WORK, &j->job);
    } else if (find_cached(s, l, digest)) {
        j = create_job(l, run_cached, on_cached);
        memcpy(j->digest, digest, sizeof(digest));
        stager_add(s->stager, STAGER_WORK, &j->job);
    } else {
        start_fetch(l);
    }
}

void source_get(struct source *s, struct conf_plugin *conf, struct source_want *w)
{
    struct source_load *l = create_load(s, conf);
    struct source_load *same = l->key ? hash_find(&s->loads, str_of(l->key)) : NULL;
    if (same) {
        l->refs++;
        docker_auth_wipe_text(&l->key);
        unref(l);
        l = same;
    } else if (l->key) {
        hash_set(&s->loads, str_of(l->key), l);
    }
    w->load = l;
    l->refs++;
    list_add_tail(&l->waiting, &w->node);
    if (!same)
        start(l);
    else if (l->state != PLUGIN_FETCHING)
        w->on_state(w, l->state);
}

void source_drop(struct source_want *w)
{
    struct source_load *l = w->load;
    if (!l)
        return;
    w->load = NULL;
    list_del(&w->node);
    if (list_is_empty(&l->waiting) && l->fetch) {
        fetch_cancel(&l->fetch);
        unref(l);
    }
    unref(l);
}

/* --- life --- */

int source_create(struct loop *loop, struct stager *stager, const struct rollout_options *o,
                  const struct rollout_ops *ops, struct source **s_r, struct error *err)
{
    struct source *s = MEM_NEW(struct source);
    s->loop = loop;
    s->stager = stager;
    s->limits = unbox_limits_default;
    if (o->module_max)
        s->limits.size_max = o->module_max;
    int rc = fetcher_create(loop, o, ops, &s->fetcher, err);
    if (rc) {
        mem_free(s);
        return rc;
    }
    struct error why;
    if (o->data_dir && cache_open(o->data_dir, cache_total_max, &s->cache, &why))
        log_warn(LOG_WASM, "modules are not kept on disk: %s", why.text);
    s->hits = stat_define(STAT_COUNTER, "wasm.remote_load_cache_hits");
    s->misses = stat_define(STAT_COUNTER, "wasm.remote_load_cache_misses");
    s->successes = stat_define(STAT_COUNTER, "wasm.remote_load_fetch_successes");
    s->failures = stat_define(STAT_COUNTER, "wasm.remote_load_fetch_failures");
    s->entries = stat_define(STAT_GAUGE, "wasm.remote_load_cache_entries");
    if (s->cache)
        stat_set(s->entries, cache_count(s->cache));
    *s_r = s;
    return 0;
}

void source_destroy(struct source **sp)
{
    struct source *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    fetcher_destroy(&s->fetcher);
    cache_close(&s->cache);
    stat_release(s->hits);
    stat_release(s->misses);
    stat_release(s->successes);
    stat_release(s->failures);
    stat_release(s->entries);
    hash_fini(&s->loads);
    mem_free(s);
}
