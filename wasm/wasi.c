/* WASI preview 1 as far as guests of a proxy need it: logs on the standard streams, environment,
 * clocks, random bytes. There are no files, no sockets. Results are WASI's errno.
 * Source: WASI snapshot preview 1; answers as Envoy's host gives them. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/mem.h"
#include "conf/plugin.h"
#include "wasm/plugin_private.h"

enum wasi_errno {
    WASI_OK = 0,
    WASI_EBADF = 8,
    WASI_EFAULT = 21,
    WASI_EINVAL = 28,
    WASI_ENOENT = 44,
    WASI_ENOSYS = 52,
    WASI_ENOTDIR_READ = 20,
    WASI_ENOTSUP = 58,
};

/* ---- standard streams ---- */

enum { IOVS_MAX = 1024, WRITE_MAX = 1 << 16, STDIO_LINE_MAX = 2048 };

static bool is_output(int32_t fd)
{
    return fd == 1 || fd == 2;
}

/* Collects the pieces; false: not in the guest's memory. */
static bool gather(int32_t iovs, int32_t n, struct sbuf *text, uint32_t *total_r)
{
    *total_r = 0;
    for (int32_t i = 0; i < n && i < IOVS_MAX; i++) {
        struct str iov, piece;
        int32_t place[2];
        if (!guest_str(iovs + i * (int32_t)sizeof(place), sizeof(place), &iov))
            return false;
        memcpy(place, iov.p, sizeof(place));
        if (!guest_str(place[0], place[1], &piece))
            return false;
        *total_r += (uint32_t)piece.n;
        size_t room = WRITE_MAX - text->n;
        sbuf_add(text, piece.p, piece.n < room ? piece.n : room);
    }
    return true;
}

/* Runtimes write panics in pieces: what stands behind the last newline waits for the rest, at the
 * latest for the end of the guest call. */
static void add_line(struct pwasm_vm *vm, int32_t fd, struct str s)
{
    struct sbuf *line = &vm->stdio[fd - 1];
    while (s.n) {
        ptrdiff_t end = str_find(s, '\n');
        size_t n = end < 0 ? s.n : (size_t)end;
        size_t room = STDIO_LINE_MAX - line->n;
        bool is_full = n >= room;
        n = is_full ? room : n;
        sbuf_add(line, s.p, n);
        if (is_full || end >= 0)
            pwasm_flush_line(vm, fd);
        n += !is_full && end >= 0;
        s = (struct str){s.p + n, s.n - n};
    }
}

void pwasm_flush_line(struct pwasm_vm *vm, int fd)
{
    struct sbuf *line = &vm->stdio[fd - 1];
    pwasm_guest_log(vm, fd == 1 ? LEVEL_INFO : LEVEL_ERROR, (struct str){line->p, line->n});
    line->n = 0;
}

static int32_t write_out(struct pwasm_vm *vm, int32_t fd, int32_t iovs, int32_t n, int32_t out)
{
    if (!is_output(fd))
        return WASI_EBADF;
    struct sbuf text = {0};
    uint32_t total;
    bool ok = gather(iovs, n, &text, &total);
    if (ok)
        add_line(vm, fd, (struct str){text.p, text.n});
    sbuf_fini(&text);
    return ok && guest_put_u32(out, total) ? WASI_OK : WASI_EFAULT;
}

static int32_t wasi_fd_write(void *unused, int32_t fd, int32_t iovs, int32_t n, int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, fd, iovs, n, out);
    return write_out(vm, fd, iovs, n, out);
}

static int32_t wasi_fd_pwrite(void *unused, int32_t fd, int32_t iovs, int32_t n, int64_t at,
                              int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, fd, iovs, n, at, out);
    return write_out(vm, fd, iovs, n, out);
}

static int32_t wasi_fd_read(void *unused, int32_t fd, int32_t iovs, int32_t n, int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, fd, iovs, n, out);
    return WASI_ENOSYS;
}

static int32_t wasi_fd_pread(void *unused, int32_t fd, int32_t iovs, int32_t n, int64_t at,
                             int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, fd, iovs, n, at, out);
    return WASI_ENOSYS;
}

static int32_t wasi_fd_seek(void *unused, int32_t fd, int64_t offset, int32_t whence, int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, fd, offset, whence, out);
    return WASI_OK;
}

static int32_t wasi_fd_tell(void *unused, int32_t fd, int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, fd, out);
    return guest_put_u64(out, 0) ? WASI_OK : WASI_EFAULT;
}

static int32_t wasi_fd_close(void *unused, int32_t fd)
{
    (void)unused;
    HOST_ENTER(vm, fd);
    return WASI_OK;
}

enum { FDSTAT_SIZE = 24, FDSTAT_RIGHTS_AT = 8, RIGHT_FD_WRITE = 64 };

static int32_t wasi_fd_fdstat_get(void *unused, int32_t fd, int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, fd, out);
    if (!is_output(fd))
        return WASI_EBADF;
    uint8_t *p = vm_mem(vm_current(), (uint32_t)out, FDSTAT_SIZE);
    if (!p)
        return WASI_EFAULT;
    uint64_t rights = RIGHT_FD_WRITE;
    memset(p, 0, FDSTAT_SIZE);
    memcpy(p + FDSTAT_RIGHTS_AT, &rights, sizeof(rights));
    return WASI_OK;
}

/* ---- descriptors that only answer ---- */

static int32_t output_only(int32_t fd)
{
    return is_output(fd) ? WASI_OK : WASI_EBADF;
}

#define FD_FUNCTION(name, answer, params, ...)       \
    static int32_t wasi_##name(void *unused, params) \
    {                                                \
        (void)unused;                                \
        HOST_ENTER(vm, ##__VA_ARGS__);               \
        return answer;                               \
    }
#define PARAMS(...) __VA_ARGS__

FD_FUNCTION(fd_fdstat_set_flags, WASI_ENOSYS, PARAMS(int32_t fd, int32_t flags), fd, flags)
FD_FUNCTION(fd_prestat_get, WASI_EBADF, PARAMS(int32_t fd, int32_t out), fd, out)
FD_FUNCTION(fd_filestat_get, WASI_EBADF, PARAMS(int32_t fd, int32_t out), fd, out)
FD_FUNCTION(fd_prestat_dir_name, WASI_ENOSYS, PARAMS(int32_t fd, int32_t p, int32_t n), fd, p, n)
FD_FUNCTION(fd_advise, output_only(fd), PARAMS(int32_t fd, int64_t a, int64_t b, int32_t c), fd, a,
            b, c)
FD_FUNCTION(fd_allocate, output_only(fd), PARAMS(int32_t fd, int64_t a, int64_t b), fd, a, b)
FD_FUNCTION(fd_datasync, output_only(fd), PARAMS(int32_t fd), fd)
FD_FUNCTION(fd_sync, output_only(fd), PARAMS(int32_t fd), fd)
FD_FUNCTION(fd_fdstat_set_rights, output_only(fd), PARAMS(int32_t fd, int64_t a, int64_t b), fd, a,
            b)
FD_FUNCTION(fd_filestat_set_size, output_only(fd), PARAMS(int32_t fd, int64_t a), fd, a)
FD_FUNCTION(fd_filestat_set_times, output_only(fd),
            PARAMS(int32_t fd, int64_t a, int64_t b, int32_t c), fd, a, b, c)
FD_FUNCTION(fd_readdir, WASI_ENOTDIR_READ,
            PARAMS(int32_t fd, int32_t p, int32_t n, int64_t cookie, int32_t out), fd, p, n, cookie,
            out)
FD_FUNCTION(fd_renumber, is_output(fd) ? WASI_ENOTSUP : WASI_EBADF, PARAMS(int32_t fd, int32_t to),
            fd, to)

/* ---- no file system, no sockets ---- */

FD_FUNCTION(path_open, WASI_ENOENT,
            PARAMS(int32_t fd, int32_t a, int32_t p, int32_t n, int32_t b, int64_t c, int64_t d,
                   int32_t e, int32_t out),
            fd, a, p, n, b, c, d, e, out)
FD_FUNCTION(path_filestat_get, WASI_ENOTSUP,
            PARAMS(int32_t fd, int32_t a, int32_t p, int32_t n, int32_t out), fd, a, p, n, out)
FD_FUNCTION(path_create_directory, WASI_ENOTSUP, PARAMS(int32_t fd, int32_t p, int32_t n), fd, p, n)
FD_FUNCTION(path_remove_directory, WASI_ENOTSUP, PARAMS(int32_t fd, int32_t p, int32_t n), fd, p, n)
FD_FUNCTION(path_unlink_file, WASI_ENOTSUP, PARAMS(int32_t fd, int32_t p, int32_t n), fd, p, n)
FD_FUNCTION(path_filestat_set_times, WASI_ENOTSUP,
            PARAMS(int32_t fd, int32_t a, int32_t p, int32_t n, int64_t b, int64_t c, int32_t d),
            fd, a, p, n, b, c, d)
FD_FUNCTION(path_readlink, WASI_ENOTSUP,
            PARAMS(int32_t fd, int32_t p, int32_t n, int32_t q, int32_t m, int32_t out), fd, p, n,
            q, m, out)
FD_FUNCTION(path_rename, WASI_ENOTSUP,
            PARAMS(int32_t fd, int32_t p, int32_t n, int32_t to, int32_t q, int32_t m), fd, p, n,
            to, q, m)
FD_FUNCTION(path_link, WASI_ENOTSUP,
            PARAMS(int32_t fd, int32_t a, int32_t p, int32_t n, int32_t to, int32_t q, int32_t m),
            fd, a, p, n, to, q, m)
FD_FUNCTION(path_symlink, WASI_ENOTSUP,
            PARAMS(int32_t p, int32_t n, int32_t fd, int32_t q, int32_t m), p, n, fd, q, m)

static int32_t wasi_sock_accept(void *unused, int32_t fd, int32_t flags, int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, fd, flags, out);
    return guest_put_u32(out, 0) ? WASI_ENOTSUP : WASI_EFAULT;
}

static int32_t wasi_sock_recv(void *unused, int32_t fd, int32_t iovs, int32_t n, int32_t flags,
                              int32_t out_n, int32_t out_flags)
{
    (void)unused;
    HOST_ENTER(vm, fd, iovs, n, flags, out_n, out_flags);
    return guest_put_u32(out_n, 0) && guest_put_u32(out_flags, 0) ? WASI_ENOTSUP : WASI_EFAULT;
}

static int32_t wasi_sock_send(void *unused, int32_t fd, int32_t iovs, int32_t n, int32_t flags,
                              int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, fd, iovs, n, flags, out);
    return guest_put_u32(out, 0) ? WASI_ENOTSUP : WASI_EFAULT;
}

FD_FUNCTION(sock_shutdown, WASI_ENOTSUP, PARAMS(int32_t fd, int32_t how), fd, how)

/* ---- environment ---- */

static int32_t wasi_environ_sizes_get(void *unused, int32_t out_n, int32_t out_size)
{
    (void)unused;
    HOST_ENTER(vm, out_n, out_size);
    const struct conf_plugin *conf = vm->conf;
    size_t size = 0;
    for (size_t i = 0; i < conf->env_n; i++)
        size += strlen(conf->env[i].key) + strlen(conf->env[i].value) + 2;
    return guest_put_u32(out_n, (uint32_t)conf->env_n) && guest_put_u32(out_size, (uint32_t)size)
               ? WASI_OK
               : WASI_EFAULT;
}

static int32_t wasi_environ_get(void *unused, int32_t array, int32_t bytes)
{
    (void)unused;
    HOST_ENTER(vm, array, bytes);
    const struct conf_plugin *conf = vm->conf;
    for (size_t i = 0; i < conf->env_n; i++) {
        size_t key_n = strlen(conf->env[i].key), value_n = strlen(conf->env[i].value);
        uint8_t *p = vm_mem(vm_current(), (uint32_t)bytes, (uint32_t)(key_n + value_n + 2));
        if (!p || !guest_put_u32(array, (uint32_t)bytes))
            return WASI_EFAULT;
        memcpy(p, conf->env[i].key, key_n);
        p[key_n] = '=';
        memcpy(p + key_n + 1, conf->env[i].value, value_n + 1);
        bytes += (int32_t)(key_n + value_n + 2);
        array += (int32_t)sizeof(uint32_t);
    }
    return WASI_OK;
}

static int32_t wasi_args_sizes_get(void *unused, int32_t out_n, int32_t out_size)
{
    (void)unused;
    HOST_ENTER(vm, out_n, out_size);
    return guest_put_u32(out_n, 0) && guest_put_u32(out_size, 0) ? WASI_OK : WASI_EFAULT;
}

FD_FUNCTION(args_get, WASI_OK, PARAMS(int32_t array, int32_t bytes), array, bytes)

/* ---- clocks, random bytes, the process ---- */

enum { CLOCK_WALL, CLOCK_MONO };

static int32_t wasi_clock_time_get(void *unused, int32_t id, int64_t precision, int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, id, precision, out);
    if (id != CLOCK_WALL && id != CLOCK_MONO)
        return WASI_ENOTSUP;
    uint64_t ns = id == CLOCK_WALL ? clock_wall_ns() : clock_mono_ns();
    return guest_put_u64(out, ns) ? WASI_OK : WASI_EFAULT;
}

static int32_t wasi_clock_res_get(void *unused, int32_t id, int32_t out)
{
    (void)unused;
    HOST_ENTER(vm, id, out);
    if (id != CLOCK_WALL && id != CLOCK_MONO)
        return WASI_ENOTSUP;
    return guest_put_u64(out, 1) ? WASI_OK : WASI_EFAULT;
}

static int32_t wasi_random_get(void *unused, int32_t ptr, int32_t n)
{
    (void)unused;
    HOST_ENTER(vm, ptr, n);
    if ((uint32_t)n > PWASM_RANDOM_MAX)
        return WASI_EINVAL;
    if (n == 0)
        return WASI_OK;
    uint8_t *p = vm_mem(vm_current(), (uint32_t)ptr, (uint32_t)n);
    if (!p)
        return WASI_EFAULT;
    crypto_random(p, (uint32_t)n);
    return WASI_OK;
}

static int32_t wasi_sched_yield(void *unused)
{
    (void)unused;
    HOST_ENTER(vm);
    return WASI_OK;
}

static int32_t wasi_poll_oneoff(void *unused, int32_t in, int32_t out, int32_t n, int32_t out_n)
{
    (void)unused;
    HOST_ENTER(vm, in, out, n, out_n);
    return guest_put_u32(out_n, 0) ? WASI_OK : WASI_EFAULT;
}

/* A guest that exits cannot be called again: it traps here instead of where it happens to go. */
static int32_t wasi_proc_exit(void *unused, int32_t code)
{
    (void)unused;
    HOST_ENTER(vm, code);
    char text[64];
    snprintf(text, sizeof(text), "proc_exit(%d)", code);
    vm_set_trap(text);
    return VM_HOST_TRAP;
}

static int32_t wasi_proc_raise(void *unused, int32_t signal)
{
    (void)unused;
    HOST_ENTER(vm, signal);
    return WASI_ENOTSUP;
}

#define ROW(name, sig)                               \
    {                                                \
#name, sig, (void *)wasi_##name, PWASM_PLAIN \
    }
static const struct pwasm_func funcs[] = {
    ROW(fd_write, "iiii:i"),
    ROW(fd_pwrite, "iiili:i"),
    ROW(fd_read, "iiii:i"),
    ROW(fd_pread, "iiili:i"),
    ROW(fd_seek, "ilii:i"),
    ROW(fd_tell, "ii:i"),
    ROW(fd_close, "i:i"),
    ROW(fd_fdstat_get, "ii:i"),
    ROW(fd_fdstat_set_flags, "ii:i"),
    ROW(fd_prestat_get, "ii:i"),
    ROW(fd_filestat_get, "ii:i"),
    ROW(fd_prestat_dir_name, "iii:i"),
    ROW(fd_advise, "illi:i"),
    ROW(fd_allocate, "ill:i"),
    ROW(fd_datasync, "i:i"),
    ROW(fd_sync, "i:i"),
    ROW(fd_fdstat_set_rights, "ill:i"),
    ROW(fd_filestat_set_size, "il:i"),
    ROW(fd_filestat_set_times, "illi:i"),
    ROW(fd_readdir, "iiili:i"),
    ROW(fd_renumber, "ii:i"),
    ROW(path_open, "iiiiillii:i"),
    ROW(path_filestat_get, "iiiii:i"),
    ROW(path_create_directory, "iii:i"),
    ROW(path_remove_directory, "iii:i"),
    ROW(path_unlink_file, "iii:i"),
    ROW(path_filestat_set_times, "iiiilli:i"),
    ROW(path_readlink, "iiiiii:i"),
    ROW(path_rename, "iiiiii:i"),
    ROW(path_link, "iiiiiii:i"),
    ROW(path_symlink, "iiiii:i"),
    ROW(sock_accept, "iii:i"),
    ROW(sock_recv, "iiiiii:i"),
    ROW(sock_send, "iiiii:i"),
    ROW(sock_shutdown, "ii:i"),
    ROW(environ_sizes_get, "ii:i"),
    ROW(environ_get, "ii:i"),
    ROW(args_sizes_get, "ii:i"),
    ROW(args_get, "ii:i"),
    ROW(clock_time_get, "ili:i"),
    ROW(clock_res_get, "ii:i"),
    ROW(random_get, "ii:i"),
    ROW(sched_yield, ":i"),
    ROW(poll_oneoff, "iiii:i"),
    ROW(proc_exit, "i:v"),
    ROW(proc_raise, "i:i"),
};
#undef ROW
const struct pwasm_funcs pwasm_funcs_wasi = {funcs, ARRAY_LEN(funcs)};
