#include "netfilter/exec.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

extern char **environ;

/* The tool's three streams. Files in memory instead of pipes: nothing can block, and neither a
 * reader nor a writer has to keep pace with the other. */
struct streams {
    int fd[3];
};

static int streams_open(struct streams *s, struct str input, struct error *err)
{
    for (int i = 0; i < 3; i++) {
        s->fd[i] = memfd_create("tool", MFD_CLOEXEC);
        if (s->fd[i] < 0)
            return error_set_errno(err, errno, "memfd_create");
    }
    for (size_t done = 0; done < input.n;) {
        ssize_t n = write(s->fd[0], input.p + done, input.n - done);
        if (n < 0)
            return error_set_errno(err, errno, "cannot hold the tool's input");
        done += (size_t)n;
    }
    lseek(s->fd[0], 0, SEEK_SET);
    return 0;
}

static void streams_close(struct streams *s)
{
    for (int i = 0; i < 3; i++)
        if (s->fd[i] >= 0)
            close(s->fd[i]);
}

static void read_back(int fd, struct sbuf *b)
{
    char block[16384];
    ssize_t n;
    lseek(fd, 0, SEEK_SET);
    while (b->n < EXEC_OUTPUT_MAX && (n = read(fd, block, sizeof(block))) > 0)
        sbuf_add(b, block, (size_t)n);
}

static int spawn(const char *const argv[], const struct streams *s, pid_t *pid_r, struct error *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, defaults;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&actions, s->fd[i], i);
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(pid_r, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return rc ? error_set_errno(err, rc, "%s", argv[0]) : 0;
}

static int wait_for(pid_t pid, const char *name, int *status_r, struct error *err)
{
    uint64_t deadline_ns = clock_mono_ns() + EXEC_TIMEOUT_MS * 1000000ull;
    struct timespec pause = {0, 500 * 1000};
    int status;

    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            break;
        if (got < 0 && errno != EINTR)
            return error_set_errno(err, errno, "%s: waitpid", name);
        if (clock_mono_ns() > deadline_ns) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return error_set(err, ERR_TIMEOUT, "%s: not done after %d s", name,
                             EXEC_TIMEOUT_MS / 1000);
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 20 * 1000 * 1000)
            pause.tv_nsec *= 2;
    }
    *status_r = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}

int exec_run(const char *const argv[], struct str input, struct exec_result *res, struct error *err)
{
    struct streams s = {{-1, -1, -1}};
    pid_t pid;

    *res = (struct exec_result){0};
    int rc = streams_open(&s, input, err);
    if (!rc)
        rc = spawn(argv, &s, &pid, err);
    if (!rc)
        rc = wait_for(pid, argv[0], &res->status, err);
    if (!rc) {
        read_back(s.fd[1], &res->out);
        read_back(s.fd[2], &res->err);
    }
    streams_close(&s);
    return rc;
}

void exec_result_fini(struct exec_result *res)
{
    sbuf_fini(&res->out);
    sbuf_fini(&res->err);
}

bool exec_find(const char *name, char path_r[EXEC_PATH_MAX])
{
    const char *path = getenv("PATH");
    struct str lists[] = {str_of(path ? path : ""), STR("/usr/sbin:/sbin:/usr/bin:/bin")};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct str dir;
        while (str_next(&lists[i], ':', &dir)) {
            int n = snprintf(path_r, EXEC_PATH_MAX, "%.*s/%s", STR_ARG(dir), name);
            if (dir.n && n < EXEC_PATH_MAX && access(path_r, X_OK) == 0)
                return true;
        }
    }
    return false;
}
