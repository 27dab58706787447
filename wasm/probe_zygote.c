/* The process in the middle: small, single-threaded, forked before everything else. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "wasm/probe_private.h"

enum { WATCH_MS = 10 };

/* One child being watched. */
struct watch {
    const struct probe_options *o;
    pid_t pid;
    int answer_fd, statm_fd, sock;
    uint64_t deadline_ns;
};

static int receive_request(int sock, uint64_t *n_r)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {n_r, sizeof(*n_r)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t got;
    do
        got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    struct cmsghdr *c = got == (ssize_t)sizeof(*n_r) ? CMSG_FIRSTHDR(&m) : NULL;
    if (!c || c->cmsg_type != SCM_RIGHTS)
        return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

static uint64_t resident_bytes(int statm_fd)
{
    char text[128];
    ssize_t n = pread(statm_fd, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *second = strchr(text, ' ');
    return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void answer_with(struct probe_answer *a, enum err code, const char *text, uint64_t number)
{
    a->rc = -(int)code;
    snprintf(a->text, sizeof(a->text), text, (unsigned long long)number);
}

/* Waits for the child's answer or for a reason to end it. False: the proxy is gone. */
static bool wait_for_answer(struct watch *w, struct probe_answer *a)
{
    for (;;) {
        struct pollfd fds[2] = {{w->answer_fd, POLLIN, 0}, {w->sock, 0, 0}};
        poll(fds, 2, WATCH_MS);
        if (fds[1].revents)
            return false;
        if (fds[0].revents) {
            a->rc = -ERR_INTERNAL; /* unless a whole answer comes: the child has died */
            a->text[0] = 0;
            struct probe_answer read_a;
            if (read(w->answer_fd, &read_a, sizeof(read_a)) == (ssize_t)sizeof(read_a))
                *a = read_a;
            return true;
        }
        if (resident_bytes(w->statm_fd) > w->o->memory_max) {
            answer_with(a, ERR_LIMIT, "over %llu MiB of memory", w->o->memory_max >> 20);
            return true;
        }
        if (clock_mono_ns() > w->deadline_ns) {
            answer_with(a, ERR_AGAIN, "no result within %llu s", w->o->wall_s);
            return true;
        }
    }
}

/* The child ended without a word: its end is the answer. */
static void explain_death(const struct watch *w, int status, struct probe_answer *a)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        answer_with(a, ERR_LIMIT, "over %llu s of CPU time", w->o->cpu_s);
    else if (WIFSIGNALED(status))
        snprintf(a->text, sizeof(a->text), "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        answer_with(a, ERR_INTERNAL, "the probe child ended with status %llu",
                    (uint64_t)WEXITSTATUS(status));
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGXCPU)
        a->rc = -ERR_LIMIT;
}

static bool watch(struct watch *w, struct probe_answer *a)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)w->pid);
    w->statm_fd = open(path, O_RDONLY | O_CLOEXEC);
    w->deadline_ns = clock_mono_ns() + (uint64_t)w->o->wall_s * 1000000000;
    bool is_wanted = wait_for_answer(w, a);
    bool is_silent = is_wanted && a->rc == -ERR_INTERNAL && !a->text[0];
    /* A child that has answered may hang on its way out; one that is over its limit goes on. A
     * silent one has closed its pipe by dying: the wait shows how. */
    if (!is_silent)
        kill(w->pid, SIGKILL);
    int status = 0;
    struct rusage used = {0};
    while (wait4(w->pid, &status, 0, &used) < 0 && errno == EINTR)
        ;
    if (is_silent)
        explain_death(w, status, a);
    if (a->rc == 0 && (uint64_t)used.ru_maxrss > w->o->memory_max >> 10)
        answer_with(a, ERR_LIMIT, "over %llu MiB of memory", w->o->memory_max >> 20);
    if (w->statm_fd >= 0)
        close(w->statm_fd);
    return is_wanted;
}

static bool serve(const struct probe_options *o, int sock, int module_fd, uint64_t n)
{
    struct probe_answer a = {0};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        answer_with(&a, ERR_IO, "probe: pipe: errno %llu", (uint64_t)errno);
    } else {
        pid_t pid = fork();
        if (pid == 0) {
            close(sock);
            close(ends[0]);
            probe_child_run(o, module_fd, n, ends[1]);
        }
        close(ends[1]);
        struct watch w = {.o = o, .pid = pid, .answer_fd = ends[0], .sock = sock};
        if (pid < 0)
            answer_with(&a, ERR_IO, "probe: fork: errno %llu", (uint64_t)errno);
        else if (!watch(&w, &a))
            return false;
        close(ends[0]);
    }
    return send(sock, &a, sizeof(a), MSG_NOSIGNAL) == (ssize_t)sizeof(a);
}

void probe_zygote_run(const struct probe_options *o, int sock)
{
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "remora-probe");
    /* Signals to the group are for the proxy, which may drain for long after. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    for (;;) {
        uint64_t n;
        int fd = receive_request(sock, &n);
        if (fd < 0 || getppid() != parent || !serve(o, sock, fd, n))
            _exit(0);
        close(fd);
    }
}
