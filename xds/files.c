/* Resources of a file: a DiscoveryResponse as YAML, JSON or bytes. It is read when something is
 * wanted of it, and whenever a file is moved to its name (or, with watched_directory, anything in
 * that folder): that is how files are replaced as a whole. Writing into it is not noticed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "xds/sources_private.h"
#include "xds/watch.h"

enum { FILE_MAX = 64 * 1024 * 1024 };

struct file {
    struct ads_ops ops;
    enum xds_type type;
    unsigned source;
    const char *path; /* of the source */
    struct subs subs;
    struct watch *watch;
    struct loop_timer read_timer;
};

/* ---- reading ---- */

static int read_all(const char *path, struct sbuf *text, struct error *err)
{
    char chunk[16384];
    struct stat st;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "unable to read file: %s", path);
    if (!fstat(fd, &st) && S_ISREG(st.st_mode))
        while ((n = read(fd, chunk, sizeof(chunk))) > 0 && text->n <= FILE_MAX)
            sbuf_add(text, chunk, (size_t)n);
    close(fd);
    return n ? error_set(err, ERR_LIMIT, "%s: unreadable or more than %d bytes", path, FILE_MAX)
             : 0;
}

static enum plain_form form_of(const char *path)
{
    if (str_ends(str_of(path), STR(".pb")))
        return PLAIN_BYTES;
    return str_ends(str_of(path), STR(".json")) ? PLAIN_JSON : PLAIN_YAML;
}

static int deliver(struct file *f, struct str text, struct error *err)
{
    struct pb_arena arena;
    struct xds_update u;
    pb_arena_init(&arena, pb_budget(text.n));
    int rc = plain_read(form_of(f->path), text, f->type, &f->subs, &arena, &u, err);
    if (!rc) {
        u.source = f->source;
        f->ops.on_update(f->ops.arg, &u);
    }
    pb_arena_fini(&arena);
    return rc;
}

static void on_read(struct loop_timer *t)
{
    struct file *f = container_of(t, struct file, read_timer);
    struct sbuf text = {0};
    struct error err;
    int rc = read_all(f->path, &text, &err);
    if (!rc)
        rc = deliver(f, (struct str){text.p ? text.p : "", text.n}, &err);
    if (rc) {
        log_warn(LOG_CONFIG, "Filesystem config update failure: in %s, %s", f->path, err.text);
        f->ops.on_failure(f->ops.arg, f->type, err.text);
    }
    sbuf_fini(&text);
}

/* ---- watching ---- */

static void on_moved(void *arg)
{
    file_changed(arg);
}

int file_open(struct loop *loop, const struct source *s, const struct ads_ops *ops,
              struct file **f_r, struct error *err)
{
    struct file *f = MEM_NEW(struct file);
    f->ops = *ops;
    f->type = s->type;
    f->source = s->id;
    f->path = s->boot.path;
    subs_init(&f->subs);
    loop_timer_init(&f->read_timer, loop, on_read);
    if (watch_open(loop, &f->path, 1, s->boot.directory, on_moved, f, &f->watch, err)) {
        mem_free(f);
        return -ERR_IO;
    }
    *f_r = f;
    return 0;
}

void file_close(struct file **file)
{
    struct file *f = *file;
    if (!f)
        return;
    loop_timer_stop(&f->read_timer);
    watch_close(&f->watch);
    subs_fini(&f->subs);
    mem_free(f);
    *file = NULL;
}

struct subs *file_subs(struct file *f)
{
    return &f->subs;
}

void file_changed(struct file *f)
{
    if (!loop_timer_is_on(&f->read_timer))
        loop_timer_start(&f->read_timer, 0);
}
