#include "xds/watch.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"

enum { FILES_MAX = 8 };

struct watch {
    struct loop *loop;
    struct loop_io io;
    struct loop_timer timer; /* on_change at the end of the turn */
    char *names[FILES_MAX];  /* last parts; none: any move counts */
    size_t names_n;
    void (*on_change)(void *arg);
    void *arg;
};

static bool is_ours(const struct watch *w, const struct inotify_event *e)
{
    for (size_t i = 0; i < w->names_n; i++)
        if (e->len && !strcmp(e->name, w->names[i]))
            return true;
    return !w->names_n;
}

static void on_event(struct loop_io *io, uint32_t events)
{
    struct watch *w = container_of(io, struct watch, io);
    char bytes[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool is_touched = false;
    ssize_t n;
    (void)events;
    while ((n = read(io->fd, bytes, sizeof(bytes))) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(bytes + at);
            is_touched = is_touched || is_ours(w, e);
            at += (ssize_t)(sizeof(*e) + e->len);
        }
    if (is_touched && !loop_timer_is_on(&w->timer))
        loop_timer_start(&w->timer, 0);
}

static void on_timer(struct loop_timer *t)
{
    struct watch *w = container_of(t, struct watch, timer);
    w->on_change(w->arg);
}

static int add_folder(struct watch *w, const char *folder, struct error *err)
{
    if (inotify_add_watch(w->io.fd, folder, IN_MOVED_TO) >= 0)
        return 0;
    return error_set_errno(err, errno, "cannot watch %s", folder);
}

static int add_file(struct watch *w, const char *path, struct error *err)
{
    char *copy = mem_strdup(path);
    const char *slash = strrchr(path, '/');
    int rc = add_folder(w, dirname(copy), err);
    mem_free(copy);
    w->names[w->names_n++] = mem_strdup(slash ? slash + 1 : path);
    return rc;
}

int watch_open(struct loop *loop, const char *const *files, size_t files_n, const char *directory,
               void (*on_change)(void *arg), void *arg, struct watch **w_r, struct error *err)
{
    struct watch *w = MEM_NEW(struct watch);
    int rc = 0;
    w->loop = loop;
    w->on_change = on_change;
    w->arg = arg;
    w->io.on_event = on_event;
    loop_timer_init(&w->timer, loop, on_timer);
    w->io.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->io.fd < 0) {
        mem_free(w);
        return error_set_errno(err, errno, "inotify");
    }
    if (directory)
        rc = add_folder(w, directory, err);
    for (size_t i = 0; i < files_n && i < FILES_MAX && !rc && !directory; i++)
        rc = add_file(w, files[i], err);
    if (!rc && loop_add_listen(loop, &w->io))
        rc = error_set(err, ERR_IO, "inotify: cannot be watched");
    *w_r = w;
    if (rc)
        watch_close(w_r);
    return rc;
}

void watch_close(struct watch **watch)
{
    struct watch *w = *watch;
    if (!w)
        return;
    loop_timer_stop(&w->timer);
    loop_del(w->loop, &w->io);
    close(w->io.fd);
    for (size_t i = 0; i < w->names_n; i++)
        mem_free(w->names[i]);
    mem_free(w);
    *watch = NULL;
}
