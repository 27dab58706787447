/* HTTP/1 heads: ns per message for our parser, which also fills a header map, for our writer, and
 * for llhttp with callbacks that store nothing (when its sources are there, deploy/llhttp). All in
 * one run, rounds interleaved, the median printed.
 * usage: bench_h1 [ROUNDS] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"

#ifdef HAVE_LLHTTP
#include "llhttp.h"
#endif

enum { MESSAGES = 50000, ROUNDS_MAX = 101 };

static const char request[] = "GET /api/v1/items?color=blue&size=4 HTTP/1.1\r\n"
                              "Host: shop.example.com:8080\r\n"
                              "User-Agent: curl/7.88.1\r\n"
                              "Accept: application/json\r\n"
                              "X-Request-Id: 0f5c1c2e-7d0b-4f2e-9a57-1f5d3c1a2b3c\r\n"
                              "X-Forwarded-For: 10.1.2.3\r\n"
                              "Connection: keep-alive\r\n"
                              "Cookie: a=b; c=def\r\n\r\n";

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void run_parse(void)
{
    static struct headers h;
    struct h1_parser p;
    h1_parse_init(&p, H1_REQUEST);
    for (int i = 0; i < MESSAGES; i++) {
        if (h1_parse_head(&p, STR(request), &h) != sizeof(request) - 1 || p.state != H1_DONE)
            abort();
        h1_parse_next(&p);
    }
}

static void run_write(void)
{
    static struct headers h;
    struct h1_parser p;
    h1_parse_init(&p, H1_REQUEST);
    h1_parse_head(&p, STR(request), &h);
    struct buf out = {0};
    for (int i = 0; i < MESSAGES; i++) {
        if (!h1_write_request(&out, &h))
            abort();
        buf_consume(&out, out.len);
    }
}

#ifdef HAVE_LLHTTP
static size_t seen;

static int on_span(llhttp_t *p, const char *at, size_t n)
{
    (void)p, (void)at;
    seen += n;
    return 0;
}

static void run_llhttp(void)
{
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_url = settings.on_header_field = settings.on_header_value = on_span;
    llhttp_t p;
    llhttp_init(&p, HTTP_REQUEST, &settings);
    for (int i = 0; i < MESSAGES; i++)
        if (llhttp_execute(&p, request, sizeof(request) - 1) != HPE_OK)
            abort();
}
#endif

static struct {
    const char *name;
    void (*run)(void);
    double ns[ROUNDS_MAX];
} subjects[] = {
    {"parse (ours, into a header map)", run_parse, {0}},
    {"write (ours)", run_write, {0}},
#ifdef HAVE_LLHTTP
    {"parse (llhttp, nothing stored)", run_llhttp, {0}},
#endif
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 21;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        rounds = ROUNDS_MAX;
    for (int r = 0; r < rounds; r++) {
        for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
            double start = now_ns();
            subjects[i].run();
            subjects[i].ns[r] = (now_ns() - start) / MESSAGES;
        }
    }
    printf("request of %zu bytes, median of %d rounds\n", sizeof(request) - 1, rounds);
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        qsort(subjects[i].ns, (size_t)rounds, sizeof(double), by_value);
        printf("%-34s %7.1f ns\n", subjects[i].name, subjects[i].ns[rounds / 2]);
    }
#ifndef HAVE_LLHTTP
    printf("llhttp: not built in; run deploy/llhttp and meson setup --reconfigure\n");
#endif
    return 0;
}
