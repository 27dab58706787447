/* Latency of a paced connection: one request each millisecond on one keep-alive connection. A
 * request that is late because the one before was still waited for counts from when it was due, so
 * that one long stop of the proxy is not one sample only. Prints one latency in ns per line, then
 * "versions N": how many values the x-plugin header of the answers had in a row.
 * usage: bench_lag PORT SECONDS */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { PACE_NS = 1000000, SECONDS_MAX = 600, BODY_SIZE = 64 };

static const char request[] = "GET / HTTP/1.1\r\nhost: bench\r\n\r\n";

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int open_connection(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))) {
        perror("bench_lag: connect");
        exit(1);
    }
    return fd;
}

/* One answer into text: a head and BODY_SIZE bytes. */
static void ask(int fd, char *text, size_t size)
{
    size_t have = 0;
    if (write(fd, request, sizeof(request) - 1) != sizeof(request) - 1) {
        perror("bench_lag: write");
        exit(1);
    }
    for (;;) {
        ssize_t n = read(fd, text + have, size - 1 - have);
        if (n <= 0) {
            fprintf(stderr, "bench_lag: the connection ended\n");
            exit(1);
        }
        have += (size_t)n;
        text[have] = 0;
        const char *end = strstr(text, "\r\n\r\n");
        if (end && have >= (size_t)(end + 4 - text) + BODY_SIZE)
            break;
    }
    if (strncmp(text, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "bench_lag: %.20s\n", text);
        exit(1);
    }
}

static unsigned count_version(const char *answer)
{
    static char last[64];
    char value[64] = "";
    const char *at = strstr(answer, "x-plugin: ");
    if (at)
        snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
    if (strcmp(value, last) == 0)
        return 0;
    snprintf(last, sizeof(last), "%s", value);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bench_lag PORT SECONDS\n");
        return 2;
    }
    long port = strtol(argv[1], NULL, 10), seconds = strtol(argv[2], NULL, 10);
    if (port < 1 || port > 65535 || seconds < 1 || seconds > SECONDS_MAX)
        return 2;
    size_t n = (size_t)seconds * (1000000000 / PACE_NS);
    int64_t *latency = mem_alloc(n * sizeof(*latency));
    int fd = open_connection((uint16_t)port);
    char text[4096];
    unsigned versions = 0;
    int64_t due = now_ns(), done = 0;
    for (size_t i = 0; i < n; i++, due += PACE_NS) {
        sleep_until(due);
        int64_t start = done > due ? due : now_ns();
        ask(fd, text, sizeof(text));
        done = now_ns();
        latency[i] = done - start;
        versions += count_version(text);
    }
    close(fd);
    for (size_t i = 0; i < n; i++)
        printf("%" PRId64 "\n", latency[i]);
    printf("versions %u\n", versions);
    mem_free(latency);
    return 0;
}
