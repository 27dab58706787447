#include "filters/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/format.h"
#include "http/log_filter.h"

/* A file is written to by a double buffer: workers append under the file's lock (held for a
 * memcpy), the thread takes the filled buffer away and writes it. */
enum { QUEUE_MAX = 1 << 20, FLUSH_SIZE = 64 * 1024 };

struct log_file {
    struct list node;
    char *path; /* NULL: fd 1 or 2, never reopened */
    int fd;
    pthread_mutex_t lock;
    struct sbuf filled;
};

struct access_log_writer {
    pthread_t thread;
    pthread_mutex_t lock; /* of the list, and of the wake-up */
    pthread_cond_t wake;
    struct list files;
    unsigned flush_ms;
    bool is_stopped, is_due, must_reopen;
    stat_id dropped, buffered, completed, failed, reopen_failed;
};

struct access_logs {
    struct access_log_writer *writer;
    struct {
        struct log_file *file;
        struct format *format;
        const struct conf_log_filter *filter; /* or NULL */
    } * v;
    size_t n;
    struct sbuf line;
};

/* ---- the thread ---- */

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static void write_out(struct access_log_writer *w, struct log_file *f)
{
    struct sbuf out;
    pthread_mutex_lock(&f->lock);
    out = f->filled;
    f->filled = (struct sbuf){0};
    pthread_mutex_unlock(&f->lock);
    for (size_t done = 0; done < out.n;) {
        ssize_t n = write(f->fd, out.p + done, out.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        stat_inc(n < 0 ? w->failed : w->completed);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    sbuf_fini(&out);
}

static void reopen(struct access_log_writer *w, struct log_file *f)
{
    if (!f->path)
        return;
    int fd = open_path(f->path);
    if (fd < 0) {
        stat_inc(w->reopen_failed);
        return;
    }
    dup3(fd, f->fd, O_CLOEXEC);
    close(fd);
}

static void write_all(struct access_log_writer *w, bool must_reopen)
{
    list_for_each (it, &w->files) {
        struct log_file *f = container_of(it, struct log_file, node);
        write_out(w, f);
        if (must_reopen)
            reopen(w, f);
    }
}

static void *run(void *arg)
{
    struct access_log_writer *w = arg;
    pthread_setname_np(pthread_self(), "access_log");
    pthread_mutex_lock(&w->lock);
    while (!w->is_stopped) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += w->flush_ms / 1000;
        until.tv_nsec += (long)(w->flush_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        while (!w->is_stopped && !w->is_due && !w->must_reopen)
            if (pthread_cond_timedwait(&w->wake, &w->lock, &until))
                break;
        bool must_reopen = w->must_reopen;
        w->is_due = w->must_reopen = false;
        write_all(w, must_reopen); /* new files wait for the lock meanwhile, workers do not */
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- [main] ---- */

int access_log_writer_create(unsigned flush_ms, struct access_log_writer **w_r, struct error *err)
{
    struct access_log_writer *w = MEM_NEW(struct access_log_writer);
    w->flush_ms = flush_ms ? flush_ms : 1;
    list_init(&w->files);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    w->dropped = stat_define(STAT_COUNTER, "access_log.dropped");
    w->buffered = stat_define(STAT_COUNTER, "filesystem.write_buffered");
    w->completed = stat_define(STAT_COUNTER, "filesystem.write_completed");
    w->failed = stat_define(STAT_COUNTER, "filesystem.write_failed");
    w->reopen_failed = stat_define(STAT_COUNTER, "filesystem.reopen_failed");
    if (pthread_create(&w->thread, NULL, run, w)) {
        mem_free(w);
        return error_set(err, ERR_IO, "cannot start the access log thread");
    }
    *w_r = w;
    return 0;
}

static void wake(struct access_log_writer *w, bool *flag)
{
    pthread_mutex_lock(&w->lock);
    *flag = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void access_log_writer_destroy(struct access_log_writer **writer)
{
    struct access_log_writer *w = *writer;
    if (!w)
        return;
    wake(w, &w->is_stopped);
    pthread_join(w->thread, NULL);
    write_all(w, false);
    list_for_each_safe (it, tmp, &w->files) {
        struct log_file *f = container_of(it, struct log_file, node);
        if (f->path)
            close(f->fd);
        mem_free(f->path);
        mem_free(f);
    }
    mem_free(w);
    *writer = NULL;
}

void access_log_writer_reopen(struct access_log_writer *w)
{
    wake(w, &w->must_reopen);
}

int access_log_check_format(const struct conf_format *format, struct error *err)
{
    struct format *f = NULL;
    int rc = format_create(format, &f, err);
    format_destroy(&f);
    return rc;
}

/* ---- [worker] ---- */

static struct log_file *find_file(struct access_log_writer *w, const char *path, int fd)
{
    list_for_each (it, &w->files) {
        struct log_file *f = container_of(it, struct log_file, node);
        if (path ? f->path && str_is(str_of(path), f->path) : !f->path && f->fd == fd)
            return f;
    }
    return NULL;
}

/* Files stay open for the life of the process, as Envoy's do. */
static struct log_file *get_file(struct access_log_writer *w, const struct conf_access_log *c)
{
    const char *path = c->sink == CONF_LOG_FILE ? c->path : NULL;
    int fd = c->sink == CONF_LOG_STDOUT ? 1 : 2;
    pthread_mutex_lock(&w->lock);
    struct log_file *f = find_file(w, path, fd);
    if (!f) {
        f = MEM_NEW(struct log_file);
        pthread_mutex_init(&f->lock, NULL);
        f->path = path ? mem_strdup(path) : NULL;
        f->fd = path ? open_path(path) : fd;
        if (f->fd < 0)
            log_error(LOG_CONFIG, "unable to open access log file '%s': %m", path);
        list_add_tail(&w->files, &f->node);
    }
    pthread_mutex_unlock(&w->lock);
    return f;
}

struct access_logs *access_logs_create(struct access_log_writer *w,
                                       const struct conf_access_log *conf, size_t n)
{
    if (!n || !w)
        return NULL;
    struct access_logs *a = MEM_NEW(struct access_logs);
    a->writer = w;
    a->n = n;
    a->v = mem_zalloc(n * sizeof(*a->v));
    for (size_t i = 0; i < n; i++) {
        a->v[i].file = get_file(w, &conf[i]);
        a->v[i].filter = conf[i].filter;
        if (format_create(&conf[i].format, &a->v[i].format, NULL))
            format_parse(NULL, &a->v[i].format, NULL); /* formats are checked when decoded */
    }
    return a;
}

void access_logs_destroy(struct access_logs **logs)
{
    struct access_logs *a = *logs;
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++)
        format_destroy(&a->v[i].format);
    sbuf_fini(&a->line);
    mem_free(a->v);
    mem_free(a);
    *logs = NULL;
}

void access_logs_write(struct access_logs *a, const struct stream_info *info,
                       const struct stream *s)
{
    for (size_t i = 0; a && i < a->n; i++) {
        struct log_file *f = a->v[i].file;
        if (a->v[i].filter && !log_filter_matches(a->v[i].filter, info, s))
            continue;
        a->line.n = 0;
        format_print(a->v[i].format, info, s, &a->line);
        pthread_mutex_lock(&f->lock);
        bool fits = f->filled.n + a->line.n <= QUEUE_MAX;
        bool was_small = f->filled.n < FLUSH_SIZE;
        if (fits)
            sbuf_add(&f->filled, a->line.p, a->line.n);
        bool is_due = was_small && f->filled.n >= FLUSH_SIZE;
        pthread_mutex_unlock(&f->lock);
        stat_inc(fits ? a->writer->buffered : a->writer->dropped);
        if (is_due)
            wake(a->writer, &a->writer->is_due);
    }
}
