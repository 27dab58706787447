/* load PORT CONNECTIONS RATE: a steady load for the long tests, and the origin behind the proxy.
 *
 * Prints "origin PORT" for an HTTP server of its own that answers everything. With the first byte
 * on standard input, keep-alive connections to 127.0.0.1:PORT ask RATE times a second altogether;
 * with its end they stop, and a JSON object says what happened to every request. A request failed
 * if it was not answered in full by 200 with an x-plugin header, a number that must not get
 * smaller on the same connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    EVENTS_MAX = 64,
    TEXT_MAX = 4096,
    SLOTS = 200000, /* of latency, 10 us each; the last one holds all above */
    SLOT_US = 10,
    SECONDS_MAX = 3600,
    GIVE_UP_US = 10000000
};

struct client {
    int fd;
    bool is_asking;
    uint64_t due_us, asked_us;
    long version;
    size_t n;
    char text[TEXT_MAX + 1];
};

struct result {
    uint64_t sent, answered, status, no_plugin, backwards, malformed, cut, late, refused, closes;
    uint64_t max_us;
};

static const char request[] = "GET /load HTTP/1.1\r\nhost: load.test\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n"
                               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static struct client clients[CONNECTIONS_MAX];
static struct result total;
static uint32_t slots[SLOTS], per_second[SECONDS_MAX];
static uint64_t begin_us, period_us;
static uint16_t proxy_port;
static int clients_n, clients_epoll;

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void watch(int epoll, int fd, uint32_t id)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = id};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
        die("epoll_ctl");
}

/* ---- the origin ---- */

/* Answers each end of a head, which may come in pieces: matched says how much of it was there. */
static bool origin_serve(int fd, unsigned char *matched)
{
    static const char end[] = "\r\n\r\n";
    char in[TEXT_MAX];
    ssize_t n = read(fd, in, sizeof(in));
    for (ssize_t i = 0; i < n; i++) {
        if (in[i] != end[*matched])
            *matched = in[i] == '\r';
        else if (++*matched == sizeof(end) - 1) {
            *matched = 0;
            if (write(fd, response, sizeof(response) - 1) != (ssize_t)sizeof(response) - 1)
                return false;
        }
    }
    return n > 0;
}

static void *origin_run(void *arg)
{
    static unsigned char matched[65536]; /* by descriptor */
    int listener = *(int *)arg, epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS_MAX];
    watch(epoll, listener, (uint32_t)listener);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            int fd = (int)events[i].data.u32;
            if (fd == listener) {
                int one = 1, s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (s < 0 || s >= (int)sizeof(matched))
                    die("accept");
                setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                matched[s] = 0;
                watch(epoll, s, (uint32_t)s);
            } else if (!origin_serve(fd, &matched[fd])) {
                close(fd);
            }
        }
    }
    return NULL;
}

static void origin_start(void)
{
    static int listener;
    pthread_t thread;
    struct sockaddr_in a = loopback(0);
    socklen_t len = sizeof(a);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, len) || listen(listener, 1024) ||
        getsockname(listener, (struct sockaddr *)&a, &len) ||
        pthread_create(&thread, NULL, origin_run, &listener))
        die("origin");
    printf("origin %d\n", ntohs(a.sin_port));
    fflush(stdout);
}

/* ---- the clients ---- */

static void client_open(struct client *c)
{
    struct sockaddr_in a = loopback(proxy_port);
    int one = 1;
    c->is_asking = false;
    c->version = -1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    if (connect(c->fd, (struct sockaddr *)&a, sizeof(a))) {
        total.refused++;
        close(c->fd);
        c->fd = -1;
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    watch(clients_epoll, c->fd, (uint32_t)(c - clients));
}

static void client_reopen(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    total.closes++;
    client_open(c);
}

static void client_ask(struct client *c, uint64_t now)
{
    if (c->fd < 0)
        client_open(c);
    if (c->fd < 0)
        return;
    c->due_us = c->due_us + period_us > now ? c->due_us + period_us : now;
    c->asked_us = now;
    c->n = 0;
    c->is_asking = true;
    total.sent++;
    if (send(c->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1) {
        total.cut++;
        client_reopen(c);
    }
}

/* The number in a header's value; -1: it is not there. */
static long field(const char *head, const char *name)
{
    const char *p = strcasestr(head, name);
    char *end;
    long n = p ? strtol(p + strlen(name), &end, 10) : -1;
    return p && *end == '\r' ? n : -1;
}

static void judge(struct client *c)
{
    long version = field(c->text, "\r\nx-plugin: ");
    if (strncmp(c->text, "HTTP/1.1 200 ", 13))
        total.status++;
    else if (version < 0)
        total.no_plugin++;
    else if (version < c->version)
        total.backwards++;
    else
        total.answered++;
    c->version = version;
}

static void measure(uint64_t asked_us, uint64_t now)
{
    uint64_t us = now - asked_us, second = (now - begin_us) / 1000000;
    slots[us / SLOT_US < SLOTS ? us / SLOT_US : SLOTS - 1]++;
    if (second < SECONDS_MAX)
        per_second[second]++;
    if (us > total.max_us)
        total.max_us = us;
}

/* Whether the answer is complete; a wrong one is too. */
static bool is_complete(const struct client *c)
{
    const char *body = strstr(c->text, "\r\n\r\n");
    if (!body)
        return c->n == TEXT_MAX;
    long length = field(c->text, "\r\ncontent-length: ");
    return length < 0 || c->n >= (size_t)(body + 4 - c->text) + (size_t)length;
}

static void client_read(struct client *c)
{
    ssize_t n = read(c->fd, c->text + c->n, TEXT_MAX - c->n);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        total.cut += c->is_asking;
        client_reopen(c);
        return;
    }
    c->n += (size_t)n;
    c->text[c->n] = 0;
    if (!c->is_asking) {
        total.malformed++;
        client_reopen(c);
        return;
    }
    if (!is_complete(c))
        return;
    c->is_asking = false;
    measure(c->asked_us, now_us());
    judge(c);
    if (strcasestr(c->text, "\r\nconnection: close"))
        client_reopen(c);
}

/* Asks where it is time; returns the milliseconds until the next time. */
static int ask_due(bool is_stopping)
{
    uint64_t now = now_us(), next = now + 100000;
    for (int i = 0; i < clients_n; i++) {
        struct client *c = &clients[i];
        if (c->is_asking && now - c->asked_us > GIVE_UP_US) {
            total.late++;
            client_reopen(c);
        }
        if (!c->is_asking && !is_stopping && c->due_us <= now)
            client_ask(c, now);
        if (!c->is_asking && c->due_us < next)
            next = c->due_us;
    }
    return next > now ? (int)((next - now + 999) / 1000) : 0;
}

static bool is_busy(void)
{
    for (int i = 0; i < clients_n; i++)
        if (clients[i].is_asking)
            return true;
    return false;
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];
    bool is_stopping = false;
    char byte;
    watch(clients_epoll, STDIN_FILENO, CONNECTIONS_MAX);
    while (!is_stopping || is_busy()) {
        int n = epoll_wait(clients_epoll, events, EVENTS_MAX, ask_due(is_stopping));
        for (int i = 0; i < n; i++) {
            uint32_t id = events[i].data.u32;
            if (id < CONNECTIONS_MAX)
                client_read(&clients[id]);
            else if (read(STDIN_FILENO, &byte, 1) == 0) {
                is_stopping = true;
                epoll_ctl(clients_epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
            }
        }
    }
}

/* ---- the result ---- */

static uint64_t percentile_us(double share)
{
    uint64_t all = 0, seen = 0;
    for (int i = 0; i < SLOTS; i++)
        all += slots[i];
    for (uint64_t i = 0; i < SLOTS; i++)
        if ((double)(seen += slots[i]) >= share * (double)all)
            return i * SLOT_US;
    return 0;
}

static void print_result(void)
{
    uint64_t us = now_us() - begin_us;
    uint32_t least = UINT32_MAX;
    for (uint64_t s = 0; s < us / 1000000 && s < SECONDS_MAX; s++)
        least = per_second[s] < least ? per_second[s] : least;
#define N(field) (unsigned long long)total.field
    printf("{\"sent\": %llu, \"answered\": %llu, \"wrong_status\": %llu, \"no_plugin\": %llu, "
           "\"backwards\": %llu, \"malformed\": %llu, \"cut\": %llu, \"late\": %llu, "
           "\"refused\": %llu, \"closes\": %llu, ",
           N(sent), N(answered), N(status), N(no_plugin), N(backwards), N(malformed), N(cut),
           N(late), N(refused), N(closes));
    printf("\"seconds\": %.1f, \"least_per_second\": %u, \"p50_us\": %llu, \"p99_us\": %llu, "
           "\"p999_us\": %llu, \"max_us\": %llu}\n",
           (double)us / 1e6, least == UINT32_MAX ? 0 : least,
           (unsigned long long)percentile_us(0.5), (unsigned long long)percentile_us(0.99),
           (unsigned long long)percentile_us(0.999), N(max_us));
#undef N
}

int main(int argc, char **argv)
{
    char byte;
    long rate = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    if (rate < 1 || strtol(argv[2], NULL, 10) < 1 || strtol(argv[2], NULL, 10) > CONNECTIONS_MAX) {
        fprintf(stderr, "usage: load PORT CONNECTIONS RATE\n");
        return 2;
    }
    proxy_port = (uint16_t)strtol(argv[1], NULL, 10);
    clients_n = (int)strtol(argv[2], NULL, 10);
    period_us = (uint64_t)clients_n * 1000000 / (uint64_t)rate;
    clients_epoll = epoll_create1(EPOLL_CLOEXEC);
    origin_start();
    if (read(STDIN_FILENO, &byte, 1) != 1)
        return 2;
    begin_us = now_us();
    for (int i = 0; i < clients_n; i++) {
        clients[i].due_us = begin_us + period_us * (uint64_t)i / (uint64_t)clients_n;
        client_open(&clients[i]);
    }
    run();
    print_result();
    return 0;
}
