#include "wasm/stager.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"

/* V8 compiles recursively and its stack limit is taken from this thread. */
enum { STACK_SIZE = 8 << 20, NICE = 19 };

struct stager {
    int refs; /* atomic: the owner and each kick in the loop's mailbox */
    struct loop *loop;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t has_work;
    /* Under the mutex. */
    struct list work, disposals, finished;
    bool is_stopping, is_kicked;
    bool is_closed; /* [main] */
};

/* Tells main that jobs are finished. It outlives a stager that is destroyed meanwhile. */
struct kick {
    struct loop_msg msg;
    struct stager *stager;
};

static struct stager_job *job_of(struct list *node)
{
    return container_of(node, struct stager_job, node);
}

static void unref(struct stager *s)
{
    if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->has_work);
    mem_free(s);
}

static void move_all(struct list *from, struct list *to)
{
    list_for_each_safe (it, tmp, from) {
        list_del(it);
        list_add_tail(to, it);
    }
}

static void finish_all(struct list *jobs, bool is_dropped)
{
    while (!list_is_empty(jobs)) {
        struct stager_job *job = job_of(jobs->next);
        list_del(&job->node);
        job->done(job, is_dropped);
    }
}

static void on_kick(struct loop_msg *m)
{
    struct kick *k = container_of(m, struct kick, msg);
    struct stager *s = k->stager;
    struct list finished;
    list_init(&finished);
    if (!s->is_closed) {
        pthread_mutex_lock(&s->mutex);
        s->is_kicked = false;
        move_all(&s->finished, &finished);
        pthread_mutex_unlock(&s->mutex);
    }
    finish_all(&finished, false);
    unref(s);
    mem_free(k);
}

static void kick_main(struct stager *s)
{
    struct kick *k = MEM_NEW(struct kick);
    k->msg.run = on_kick;
    k->stager = s;
    __atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
    loop_post(s->loop, &k->msg);
}

/* Under the mutex. NULL: stop. */
static struct stager_job *take_job(struct stager *s)
{
    for (;;) {
        struct list *from = NULL;
        if (!s->is_stopping && !list_is_empty(&s->work))
            from = &s->work;
        else if (!list_is_empty(&s->disposals))
            from = &s->disposals;
        if (from) {
            struct stager_job *job = job_of(from->next);
            list_del(&job->node);
            return job;
        }
        if (s->is_stopping)
            return NULL;
        pthread_cond_wait(&s->has_work, &s->mutex);
    }
}

static void *thread_main(void *arg)
{
    struct stager *s = arg;
    pthread_setname_np(pthread_self(), "stager");
    if (setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE) < 0)
        log_debug(LOG_WASM, "stager: cannot lower its priority");
    pthread_mutex_lock(&s->mutex);
    struct stager_job *job;
    while ((job = take_job(s))) {
        pthread_mutex_unlock(&s->mutex);
        job->run(job);
        pthread_mutex_lock(&s->mutex);
        list_add_tail(&s->finished, &job->node);
        if (!s->is_kicked && !s->is_stopping) {
            s->is_kicked = true;
            kick_main(s);
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static int start_thread(struct stager *s)
{
    sigset_t all, old;
    sigfillset(&all);
    /* A plugin that starts may read outside its memory; a blocked fault would end the process. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int e = pthread_create(&s->thread, &attr, thread_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return e;
}

int stager_create(struct loop *loop, struct stager **s_r, struct error *err)
{
    struct stager *s = MEM_NEW(struct stager);
    s->refs = 1;
    s->loop = loop;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->has_work, NULL);
    list_init(&s->work);
    list_init(&s->disposals);
    list_init(&s->finished);
    int e = start_thread(s);
    if (e) {
        unref(s);
        return error_set_errno(err, e, "stager thread");
    }
    *s_r = s;
    return 0;
}

void stager_stop(struct stager *s)
{
    if (s->is_closed)
        return;
    pthread_mutex_lock(&s->mutex);
    s->is_stopping = true;
    pthread_cond_signal(&s->has_work);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    s->is_closed = true;
    finish_all(&s->work, true);
    finish_all(&s->finished, true);
}

void stager_destroy(struct stager **sp)
{
    struct stager *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    stager_stop(s);
    unref(s);
}

void stager_add(struct stager *s, enum stager_class c, struct stager_job *job)
{
    list_init(&job->node);
    if (s->is_closed) {
        /* A dropped job's `done` gave something to dispose of: the thread is gone, so here. */
        if (c == STAGER_DISPOSAL)
            job->run(job);
        job->done(job, true);
        return;
    }
    pthread_mutex_lock(&s->mutex);
    list_add_tail(c == STAGER_WORK ? &s->work : &s->disposals, &job->node);
    pthread_cond_signal(&s->has_work);
    pthread_mutex_unlock(&s->mutex);
}

struct disposal {
    struct stager_job job;
    void (*fn)(void *arg);
    void *arg;
};

static void run_disposal(struct stager_job *job)
{
    struct disposal *d = container_of(job, struct disposal, job);
    d->fn(d->arg);
}

static void free_disposal(struct stager_job *job, bool is_dropped)
{
    (void)is_dropped;
    mem_free(container_of(job, struct disposal, job));
}

void stager_dispose(struct stager *s, void (*fn)(void *arg), void *arg)
{
    struct disposal *d = MEM_NEW(struct disposal);
    d->job = (struct stager_job){.run = run_disposal, .done = free_disposal};
    d->fn = fn;
    d->arg = arg;
    stager_add(s, STAGER_DISPOSAL, &d->job);
}
