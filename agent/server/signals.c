#include "server/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static void watched(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGUSR1);
    sigaddset(set, SIGHUP);
}

void signals_block(void)
{
    sigset_t set;
    watched(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void on_signal(struct loop_io *io, uint32_t events)
{
    struct server *s = container_of(io, struct server, signals);
    struct signalfd_siginfo info;
    (void)events;
    while (read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGTERM:
            log_warn(LOG_MAIN, "caught ENVOY_SIGTERM");
            server_stop(s, 0);
            break;
        case SIGINT:
            log_warn(LOG_MAIN, "caught SIGINT");
            server_stop(s, 0);
            break;
        case SIGUSR1:
            log_info(LOG_MAIN, "caught SIGUSR1. Reopening access logs.");
            log_reopen();
            access_log_writer_reopen(s->logs);
            break;
        default:
            log_warn(LOG_MAIN, "caught and eating SIGHUP. See documentation for how to hot "
                               "restart.");
        }
    }
}

int signals_watch(struct server *s, struct error *err)
{
    sigset_t set;
    watched(&set);
    s->signals = (struct loop_io){signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), on_signal};
    if (s->signals.fd < 0 || loop_add_listen(s->loop, &s->signals))
        return error_set_errno(err, errno, "signals");
    return 0;
}
