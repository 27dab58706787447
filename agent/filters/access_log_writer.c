/* The thread that writes access logs. Every worker has a queue of its own for each file; files and
 * queues are added to lists that are read without a lock, and stay. The thread sleeps until the
 * flush interval is over or a queue is long enough, and takes the queues one after the other. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "filters/access_log_private.h"
#include "filters/log_queue.h"

enum { QUEUE_MAX = 1 << 20 };

struct log_lane {
    struct log_lane *next;
    pthread_t worker;
    struct log_queue *queue;
};

struct log_file {
    struct log_file *next;
    char *path; /* NULL: fd 1 or 2, never reopened */
    int fd;     /* -1: it could not be opened */
    struct log_lane *lanes;
};

struct access_log_writer {
    pthread_t thread;
    pthread_mutex_t lock; /* of those who add to the lists */
    struct log_file *files;
    int wake_fd;
    unsigned flush_ms;
    size_t flush_size;
    bool is_stopped, is_due, must_reopen; /* atomic */
    stat_id dropped, buffered, completed, failed, reopen_failed, by_timer, total_buffered;
};

/* ---- the thread ---- */

/* Where our own output is another user's, or a socket, it cannot be opened anew by its name. */
static int open_path(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0)
        return fd;
    if (!strcmp(path, "/dev/stdout"))
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    if (!strcmp(path, "/dev/stderr"))
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    return fd;
}

static void write_text(struct access_log_writer *w, int fd, struct str text)
{
    for (size_t done = 0; done < text.n;) {
        ssize_t n = write(fd, text.p + done, text.n - done);
        if (n < 0 && errno == EINTR)
            continue;
        stat_inc(n < 0 ? w->failed : w->completed);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    stat_add(w->total_buffered, -(int64_t)text.n);
}

static void write_lane(struct access_log_writer *w, const struct log_file *f, struct log_lane *lane)
{
    struct str text;
    while ((text = log_queue_peek(lane->queue)).n) {
        write_text(w, f->fd, text);
        log_queue_skip(lane->queue);
    }
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
    if (f->fd >= 0)
        close(f->fd);
    f->fd = fd;
}

static void write_all(struct access_log_writer *w, bool by_timer, bool must_reopen)
{
    struct log_file *f = __atomic_load_n(&w->files, __ATOMIC_ACQUIRE);
    for (; f; f = f->next) {
        struct log_lane *lane = __atomic_load_n(&f->lanes, __ATOMIC_ACQUIRE);
        for (; lane; lane = lane->next)
            write_lane(w, f, lane);
        if (by_timer)
            stat_inc(w->by_timer);
        if (must_reopen)
            reopen(w, f);
    }
}

/* True when the time is over. */
static bool wait_until(struct access_log_writer *w, uint64_t until_ms)
{
    uint64_t now = clock_mono_ns() / 1000000, count;
    struct pollfd p = {w->wake_fd, POLLIN, 0};
    if (now >= until_ms || poll(&p, 1, (int)(until_ms - now)) == 0)
        return true;
    if (read(w->wake_fd, &count, sizeof(count)) < 0)
        return false; /* somebody's signal; the time goes on */
    return false;
}

static void *run(void *arg)
{
    struct access_log_writer *w = arg;
    pthread_setname_np(pthread_self(), "access_log");
    uint64_t until_ms = clock_mono_ns() / 1000000 + w->flush_ms;
    while (!__atomic_load_n(&w->is_stopped, __ATOMIC_ACQUIRE)) {
        bool by_timer = wait_until(w, until_ms);
        if (by_timer)
            until_ms = clock_mono_ns() / 1000000 + w->flush_ms;
        __atomic_store_n(&w->is_due, false, __ATOMIC_SEQ_CST);
        write_all(w, by_timer, __atomic_exchange_n(&w->must_reopen, false, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

/* ---- [main] ---- */

static void define_stats(struct access_log_writer *w)
{
    w->dropped = stat_define(STAT_COUNTER, "access_log.dropped");
    w->buffered = stat_define(STAT_COUNTER, "filesystem.write_buffered");
    w->completed = stat_define(STAT_COUNTER, "filesystem.write_completed");
    w->failed = stat_define(STAT_COUNTER, "filesystem.write_failed");
    w->reopen_failed = stat_define(STAT_COUNTER, "filesystem.reopen_failed");
    w->by_timer = stat_define(STAT_COUNTER, "filesystem.flushed_by_timer");
    w->total_buffered = stat_define(STAT_GAUGE, "filesystem.write_total_buffered");
}

int access_log_writer_create(const struct access_log_options *o, struct access_log_writer **w_r,
                             struct error *err)
{
    struct access_log_writer *w = MEM_NEW(struct access_log_writer);
    w->flush_ms = o->flush_ms < 1 ? 1 : o->flush_ms > INT32_MAX ? INT32_MAX : o->flush_ms;
    w->flush_size = o->flush_size < QUEUE_MAX / 2 ? o->flush_size : QUEUE_MAX / 2;
    pthread_mutex_init(&w->lock, NULL);
    define_stats(w);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake_fd < 0 || pthread_create(&w->thread, NULL, run, w)) {
        if (w->wake_fd >= 0)
            close(w->wake_fd);
        mem_free(w);
        return error_set(err, ERR_IO, "cannot start the access log thread");
    }
    *w_r = w;
    return 0;
}

static void wake(struct access_log_writer *w)
{
    uint64_t one = 1;
    while (write(w->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static void free_file(struct log_file *f)
{
    for (struct log_lane *lane = f->lanes, *next; lane; lane = next) {
        next = lane->next;
        log_queue_destroy(&lane->queue);
        mem_free(lane);
    }
    if (f->path && f->fd >= 0)
        close(f->fd);
    mem_free(f->path);
    mem_free(f);
}

void access_log_writer_destroy(struct access_log_writer **writer)
{
    struct access_log_writer *w = *writer;
    if (!w)
        return;
    __atomic_store_n(&w->is_stopped, true, __ATOMIC_RELEASE);
    wake(w);
    pthread_join(w->thread, NULL);
    write_all(w, false, false);
    for (struct log_file *f = w->files, *next; f; f = next) {
        next = f->next;
        free_file(f);
    }
    close(w->wake_fd);
    mem_free(w);
    *writer = NULL;
}

void access_log_writer_reopen(struct access_log_writer *w)
{
    __atomic_store_n(&w->must_reopen, true, __ATOMIC_RELEASE);
    wake(w);
}

/* ---- [worker] ---- */

static struct log_file *find_file(const struct access_log_writer *w, const char *path, int fd)
{
    for (struct log_file *f = w->files; f; f = f->next)
        if (path ? f->path && str_is(str_of(path), f->path) : !f->path && f->fd == fd)
            return f;
    return NULL;
}

/* Files stay open for the life of the process, as Envoy's do. */
static struct log_file *get_file(struct access_log_writer *w, const struct conf_access_log *c)
{
    const char *path = c->sink == CONF_LOG_FILE ? c->path : NULL;
    int fd = c->sink == CONF_LOG_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
    struct log_file *f = find_file(w, path, fd);
    if (f)
        return f;
    f = MEM_NEW(struct log_file);
    f->path = path ? mem_strdup(path) : NULL;
    f->fd = path ? open_path(path) : fd;
    if (f->fd < 0)
        log_error(LOG_CONFIG, "unable to open access log file '%s': %m", path);
    f->next = w->files;
    __atomic_store_n(&w->files, f, __ATOMIC_RELEASE);
    return f;
}

static struct log_lane *get_lane(struct log_file *f)
{
    for (struct log_lane *lane = f->lanes; lane; lane = lane->next)
        if (pthread_equal(lane->worker, pthread_self()))
            return lane;
    struct log_lane *lane = MEM_NEW(struct log_lane);
    *lane = (struct log_lane){f->lanes, pthread_self(), log_queue_create(QUEUE_MAX)};
    __atomic_store_n(&f->lanes, lane, __ATOMIC_RELEASE);
    return lane;
}

struct log_lane *access_log_lane(struct access_log_writer *w, const struct conf_access_log *c)
{
    pthread_mutex_lock(&w->lock); /* the writer does not take it: no file is waited for */
    struct log_lane *lane = get_lane(get_file(w, c));
    pthread_mutex_unlock(&w->lock);
    return lane;
}

void access_log_lane_add(struct access_log_writer *w, struct log_lane *lane, struct str line)
{
    if (!log_queue_add(lane->queue, line)) {
        stat_inc(w->dropped);
        return;
    }
    stat_inc(w->buffered);
    stat_add(w->total_buffered, (int64_t)line.n);
    if (log_queue_size(lane->queue) >= w->flush_size &&
        !__atomic_exchange_n(&w->is_due, true, __ATOMIC_SEQ_CST))
        wake(w);
}
