#include "wasm/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    NAME_MAX_BYTES = 80,  /* 64 digits and ".wasm" */
    REQUESTS_MAX = 10000, /* remembered */
    INDEX_MAX = 8 << 20,  /* bytes of the index file */
    UUID_SIZE = 37
};

static const char index_name[] = "index";
static const char temp_prefix[] = ".new-";

struct module_file {
    char digest[65];
    uint64_t size;
    uint64_t used_s; /* wall clock, seconds */
};

struct cache {
    int dir_fd;
    uint64_t total, total_max;
    struct hash modules;  /* digest -> struct module_file */
    struct hash requests; /* sha256 of the request -> digest (own copy) */
    bool is_dirty;
};

static bool is_digest(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.n == 64;
}

static void file_name(const char *digest, char name[NAME_MAX_BYTES])
{
    snprintf(name, NAME_MAX_BYTES, "%.64s.wasm", digest);
}

/* --- files, any thread --- */

static int write_all(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        at += done;
        n -= (size_t)done;
    }
    return 0;
}

/* A reader sees the old file or the whole new one. */
static int replace_file(int dir_fd, const char *name, const void *p, size_t n, struct error *err)
{
    char temp[sizeof(temp_prefix) + UUID_SIZE], uuid[UUID_SIZE];
    crypto_uuid4(uuid);
    snprintf(temp, sizeof(temp), "%s%s", temp_prefix, uuid);
    int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", temp);
    int rc = write_all(fd, p, n);
    int e = errno;
    if (close(fd) < 0 && !rc) {
        rc = -1;
        e = errno;
    }
    if (!rc && renameat(dir_fd, temp, dir_fd, name) < 0) {
        rc = -1;
        e = errno;
    }
    if (!rc)
        return 0;
    unlinkat(dir_fd, temp, 0);
    return error_set_errno(err, e, "%s", name);
}

static int read_fd(int fd, const char *name, uint64_t size_max, struct blob **b_r,
                   struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "%s", name);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
        return error_set(err, ERR_DENIED, "%s: not a regular file of ours", name);
    if ((uint64_t)st.st_size > size_max)
        return error_set(err, ERR_LIMIT, "%s: larger than %llu bytes", name,
                         (unsigned long long)size_max);
    size_t n = (size_t)st.st_size, at = 0;
    uint8_t *p = mem_alloc(n);
    while (at < n) {
        ssize_t got = read(fd, p + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            mem_free(p);
            return error_set(err, ERR_IO, "%s: truncated", name);
        }
        at += (size_t)got;
    }
    *b_r = blob_take(p, n);
    return 0;
}

static int read_file(int dir_fd, const char *name, uint64_t size_max, struct blob **b_r,
                     struct error *err)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", name);
    int rc = read_fd(fd, name, size_max, b_r, err);
    close(fd);
    return rc;
}

int cache_read(const struct cache *c, const char *digest, uint64_t size_max, struct blob **b_r,
               struct error *err)
{
    char name[NAME_MAX_BYTES], got[65];
    file_name(digest, name);
    int rc = read_file(c->dir_fd, name, size_max, b_r, err);
    if (rc)
        return rc;
    sha256_hex((*b_r)->p, (*b_r)->n, got);
    if (str_is(str_of(got), digest))
        return 0;
    blob_unref(b_r);
    return error_set(err, ERR_INVALID, "%s: damaged: its sha256 is %s", name, got);
}

int cache_write(const struct cache *c, const char *digest, const struct blob *b, struct error *err)
{
    char name[NAME_MAX_BYTES];
    if (b->n > c->total_max)
        return error_set(err, ERR_LIMIT, "%s: larger than the cache", digest);
    file_name(digest, name);
    return replace_file(c->dir_fd, name, b->p, b->n, err);
}

/* --- the index --- */

static void request_key(const char *request, char key[65])
{
    sha256_hex(request, strlen(request), key);
}

static void remove_module(struct cache *c, struct module_file *m)
{
    char name[NAME_MAX_BYTES];
    struct hash_entry *e;
    file_name(m->digest, name);
    unlinkat(c->dir_fd, name, 0);
    hash_remove(&c->modules, str_of(m->digest));
    for (size_t it = 0; (e = hash_next(&c->requests, &it));) {
        char *digest = e->value;
        if (!str_is(str_of(digest), m->digest))
            continue;
        hash_remove(&c->requests, (struct str){e->key, e->key_len});
        mem_free(digest);
    }
    c->total -= m->size;
    c->is_dirty = true;
    mem_free(m);
}

static struct module_file *find_oldest(struct cache *c, const char *kept)
{
    struct module_file *oldest = NULL;
    struct hash_entry *e;
    for (size_t it = 0; (e = hash_next(&c->modules, &it));) {
        struct module_file *m = e->value;
        if (!str_is(str_of(m->digest), kept) && (!oldest || m->used_s < oldest->used_s))
            oldest = m;
    }
    return oldest;
}

static void evict(struct cache *c, const char *kept)
{
    struct module_file *m;
    while (c->total > c->total_max && (m = find_oldest(c, kept)))
        remove_module(c, m);
}

static void set_module(struct cache *c, const char *digest, uint64_t size, uint64_t used_s)
{
    struct module_file *m = hash_find(&c->modules, str_of(digest));
    if (!m) {
        m = MEM_NEW(struct module_file);
        memcpy(m->digest, digest, 65);
        hash_set(&c->modules, str_of(digest), m);
    }
    c->total += size - m->size;
    m->size = size;
    m->used_s = used_s;
}

static void set_request(struct cache *c, struct str key, const char *digest)
{
    if (hash_count(&c->requests) < REQUESTS_MAX || hash_find(&c->requests, key))
        mem_free(hash_set(&c->requests, key, mem_strdup(digest)));
}

static void save_index(struct cache *c)
{
    struct sbuf b = {0};
    struct hash_entry *e;
    for (size_t it = 0; (e = hash_next(&c->modules, &it));) {
        const struct module_file *m = e->value;
        sbuf_printf(&b, "module %s %llu %llu\n", m->digest, (unsigned long long)m->size,
                    (unsigned long long)m->used_s);
    }
    for (size_t it = 0; (e = hash_next(&c->requests, &it));)
        sbuf_printf(&b, "request %s %s\n", e->key, (const char *)e->value);
    struct error err;
    if (replace_file(c->dir_fd, index_name, b.p ? b.p : "", b.n, &err))
        log_warn(LOG_WASM, "module cache: %s", err.text);
    else
        c->is_dirty = false;
    sbuf_fini(&b);
}

/* A module counts only when its file is there, ours and of the size the index says. */
static bool has_file(const struct cache *c, const char *digest, uint64_t size)
{
    char name[NAME_MAX_BYTES];
    struct stat st;
    file_name(digest, name);
    return fstatat(c->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           st.st_uid == geteuid() && (uint64_t)st.st_size == size;
}

static void parse_line(struct cache *c, struct str line)
{
    struct str kind, a, b, used;
    uint64_t size, used_s;
    char digest[65] = "";
    if (!str_next(&line, ' ', &kind) || !str_next(&line, ' ', &a) || !is_digest(a) ||
        !str_next(&line, ' ', &b))
        return;
    if (str_is(kind, "module")) {
        memcpy(digest, a.p, 64);
        if (str_next(&line, ' ', &used) && str_to_u64(b, c->total_max, &size) &&
            str_to_u64(used, INT64_MAX, &used_s) && has_file(c, digest, size))
            set_module(c, digest, size, used_s);
    } else if (str_is(kind, "request") && is_digest(b) && hash_find(&c->modules, b)) {
        memcpy(digest, b.p, 64);
        set_request(c, a, digest);
    }
}

static void load_index(struct cache *c)
{
    struct blob *file = NULL;
    struct error err;
    if (read_file(c->dir_fd, index_name, INDEX_MAX, &file, &err)) {
        log_debug(LOG_WASM, "module cache: no index: %s", err.text);
        return;
    }
    struct str rest = {(const char *)file->p, file->n}, line;
    while (str_next(&rest, '\n', &line))
        parse_line(c, line);
    blob_unref(&file);
}

enum { TEMP_AGE_S = 3600 }; /* older temporary files are a crash's, not another process's */

static void adopt_file(struct cache *c, struct str name, const struct stat *st)
{
    char digest[65] = "";
    struct str digits = {name.p, 64};
    if (str_starts(name, str_of(temp_prefix)) &&
        (uint64_t)st->st_mtime + TEMP_AGE_S < clock_wall_ns() / 1000000000)
        unlinkat(c->dir_fd, name.p, 0);
    if (name.n != 69 || !str_ends(name, STR(".wasm")) || !is_digest(digits) ||
        hash_find(&c->modules, digits))
        return;
    memcpy(digest, name.p, 64);
    if (has_file(c, digest, (uint64_t)st->st_size))
        set_module(c, digest, (uint64_t)st->st_size, (uint64_t)st->st_mtime);
}

/* What a crash left half-written goes; modules that no index knows count, too. */
static void sweep_dir(struct cache *c)
{
    int fd = openat(c->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *d;
    struct stat st;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((d = readdir(dir)))
        if (fstatat(c->dir_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            adopt_file(c, str_of(d->d_name), &st);
    closedir(dir);
}

/* --- face --- */

/* With its parents, as mkdir -p. */
static int make_dir(const char *dir, struct error *err)
{
    char *path = mem_strdup(dir);
    int rc = 0;
    for (char *c = path + 1; path[0] && !rc; c++) {
        char end = *c;
        if (end && end != '/')
            continue;
        *c = 0;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            rc = error_set_errno(err, errno, "%s", path);
        *c = end;
        if (!end)
            break;
    }
    mem_free(path);
    return rc;
}

static int open_dir(const char *dir, int *fd_r, struct error *err)
{
    struct stat st;
    int rc = make_dir(dir, err);
    if (rc)
        return rc;
    int parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return error_set_errno(err, errno, "%s", dir);
    int fd = -1;
    if (mkdirat(parent, "wasm", 0700) == 0 || errno == EEXIST)
        fd = openat(parent, "wasm", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int e = errno;
    close(parent);
    if (fd < 0)
        return error_set_errno(err, e, "%s/wasm", dir);
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
        close(fd);
        return error_set(err, ERR_DENIED, "%s/wasm: not a folder that only we can write", dir);
    }
    *fd_r = fd;
    return 0;
}

int cache_open(const char *dir, uint64_t total_max, struct cache **c_r, struct error *err)
{
    int fd = -1;
    int rc = open_dir(dir, &fd, err);
    if (rc)
        return rc;
    struct cache *c = MEM_NEW(struct cache);
    c->dir_fd = fd;
    c->total_max = total_max;
    load_index(c);
    sweep_dir(c);
    evict(c, "");
    *c_r = c;
    return 0;
}

void cache_close(struct cache **cp)
{
    struct cache *c = *cp;
    struct hash_entry *e;
    *cp = NULL;
    if (!c)
        return;
    if (c->is_dirty)
        save_index(c);
    for (size_t it = 0; (e = hash_next(&c->modules, &it));)
        mem_free(e->value);
    for (size_t it = 0; (e = hash_next(&c->requests, &it));)
        mem_free(e->value);
    hash_fini(&c->modules);
    hash_fini(&c->requests);
    close(c->dir_fd);
    mem_free(c);
}

static bool touch(struct cache *c, const char *digest)
{
    struct module_file *m = hash_find(&c->modules, str_of(digest));
    if (!m)
        return false;
    m->used_s = clock_wall_ns() / 1000000000;
    c->is_dirty = true;
    return true;
}

bool cache_find(struct cache *c, const char *request, char digest_r[65])
{
    char key[65];
    request_key(request, key);
    const char *digest = hash_find(&c->requests, str_of(key));
    if (!digest || !touch(c, digest))
        return false;
    memcpy(digest_r, digest, 65);
    return true;
}

bool cache_has(struct cache *c, const char *digest)
{
    return is_digest(str_of(digest)) && touch(c, digest);
}

void cache_add(struct cache *c, const char *request, const char *digest, uint64_t size)
{
    char key[65];
    if (!has_file(c, digest, size))
        return;
    request_key(request, key);
    set_module(c, digest, size, clock_wall_ns() / 1000000000);
    set_request(c, str_of(key), digest);
    evict(c, digest);
    save_index(c);
}

void cache_forget(struct cache *c, const char *digest)
{
    struct module_file *m = hash_find(&c->modules, str_of(digest));
    if (m)
        remove_module(c, m);
}

unsigned cache_count(const struct cache *c)
{
    return (unsigned)hash_count(&c->modules);
}
