#include "wasm/probe.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wasm/probe_private.h"

static struct {
    pthread_mutex_t lock; /* one probe at a time */
    int sock;
    pid_t zygote;
} probe = {PTHREAD_MUTEX_INITIALIZER, -1, 0};

enum { CPU_S = 10, WALL_S = 60, MEMORY_MAX = 512 << 20 };

int probe_start(const struct probe_options *given, struct error *err)
{
    struct probe_options o = *given;
    if (!o.cpu_s)
        o.cpu_s = CPU_S;
    if (!o.wall_s)
        o.wall_s = WALL_S;
    if (!o.memory_max)
        o.memory_max = MEMORY_MAX;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return error_set_errno(err, errno, "probe: socketpair");
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        probe_zygote_run(&o, pair[1]);
    }
    close(pair[1]);
    if (pid < 0) {
        int saved = errno;
        close(pair[0]);
        return error_set_errno(err, saved, "probe: fork");
    }
    probe.sock = pair[0];
    probe.zygote = pid;
    return 0;
}

/* The bytes travel in a memory file, whose descriptor is all that crosses the socket. */
static int make_memory_file(const void *bytes, size_t n, struct error *err)
{
    int fd = memfd_create("module", MFD_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "memfd_create");
    for (size_t done = 0; done < n;) {
        ssize_t w = write(fd, (const char *)bytes + done, n - done);
        if (w <= 0) {
            int rc = error_set_errno(err, errno, "writing a memory file of %zu bytes", n);
            close(fd);
            return rc;
        }
        done += (size_t)w;
    }
    return fd;
}

static int send_request(int fd, uint64_t n)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {&n, sizeof(n)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    return sendmsg(probe.sock, &m, MSG_NOSIGNAL) == (ssize_t)sizeof(n) ? 0 : -1;
}

static int ask(int fd, size_t n, struct error *err)
{
    struct probe_answer a;
    ssize_t got = -1;
    if (probe.sock >= 0 && send_request(fd, n) == 0)
        do
            got = recv(probe.sock, &a, sizeof(a), 0);
        while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(a))
        return error_set(err, ERR_CLOSED, "the probe process is gone");
    if (a.rc == 0)
        return 0;
    return error_set(err, (enum err) - a.rc, "%.*s", (int)sizeof(a.text) - 1, a.text);
}

int probe_run(const void *bytes, size_t n, struct error *err)
{
    int fd = make_memory_file(bytes, n, err);
    if (fd < 0)
        return fd;
    pthread_mutex_lock(&probe.lock);
    int rc = ask(fd, n, err);
    pthread_mutex_unlock(&probe.lock);
    close(fd);
    return rc;
}

void probe_stop(void)
{
    if (probe.sock < 0)
        return;
    /* The zygote takes the closed socket as the end, its child with it; the signal is for a
     * zygote that hangs. shutdown, not only close, wakes a probe_run on another thread. */
    shutdown(probe.sock, SHUT_RDWR);
    kill(probe.zygote, SIGKILL);
    while (waitpid(probe.zygote, NULL, 0) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&probe.lock);
    close(probe.sock);
    probe.sock = -1;
    pthread_mutex_unlock(&probe.lock);
}
