/* The transport with a receiver that does what it is told: commands come as lines on stdin, what
 * happens goes out as lines on stdout. test_ads.py holds the other end.
 *
 *   want_all TYPE | want TYPE NAME | unwant TYPE NAME | drop TYPE NAME (no longer held)
 *   mode ack | mode hold | mode nack TEXT    what to do with the updates that follow
 *   answer TICKET [TEXT] | late TYPE TEXT | quit
 *
 * usage: ads_tool TARGET[|TARGET...] sotw|delta [node_once | own TYPE] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "xds/ads.h"

/* Node{id: "test-node", cluster: "test"} */
static const char node[] = "\x0a\x09test-node\x12\x04test";

static const char *const names[] = {
#define X(name, url) #name,
    XDS_TYPE_MAP(X)
#undef X
};

static struct loop *loop;
static struct ads *ads;
static struct sbuf input;
static enum { MODE_ACK, MODE_HOLD, MODE_NACK } mode;
static char *refusal;
static struct xds_target targets[4];
static size_t targets_n;

/* ---- the receiver ---- */

static void print_update(const struct xds_update *u)
{
    printf("update %s %llu %s %s", names[u->type], (unsigned long long)u->ticket,
           u->is_complete ? "complete" : "partial", u->version[0] ? u->version : "-");
    for (size_t i = 0; i < u->resources_n; i++) {
        printf(" +%s@%s#%zu", u->resources[i].name, u->resources[i].version,
               u->resources[i].value.n);
        if (u->resources[i].ttl_ms)
            printf("~%u", u->resources[i].ttl_ms);
    }
    for (size_t i = 0; i < u->heartbeats_n; i++)
        printf(" *%s@%s~%u", u->heartbeats[i].name, u->heartbeats[i].version,
               u->heartbeats[i].ttl_ms);
    for (size_t i = 0; i < u->removed_n; i++)
        printf(" -%s", u->removed[i]);
    printf("\n");
}

static void on_update(void *arg, const struct xds_update *u)
{
    (void)arg;
    print_update(u);
    if (mode == MODE_HOLD)
        return;
    for (size_t i = 0; mode == MODE_ACK && i < u->resources_n; i++)
        ads_set_held(ads, u->type, u->resources[i].name, u->resources[i].version);
    for (size_t i = 0; mode == MODE_ACK && i < u->removed_n; i++)
        ads_drop_held(ads, u->type, u->removed[i]);
    ads_answer(ads, u->ticket, mode == MODE_NACK ? refusal : NULL);
}

static void on_connected(void *arg, unsigned source, bool is_connected, const char *text)
{
    (void)arg;
    (void)source;
    printf("%s %s\n", is_connected ? "connected" : "lost", text);
}

/* ---- commands ---- */

static enum xds_type type_of(const char *name)
{
    for (int t = 0; t < XDS_TYPE_COUNT; t++)
        if (!strcmp(name, names[t]))
            return (enum xds_type)t;
    fprintf(stderr, "no such type: %s\n", name);
    exit(2);
}

/* Words are separated by one space; the last takes the rest of the line. */
static void run_mode(const char *word, const char *rest)
{
    mode = !strcmp(word, "ack") ? MODE_ACK : !strcmp(word, "hold") ? MODE_HOLD : MODE_NACK;
    mem_free(refusal);
    refusal = mem_strdup(rest);
}

static void run_command(const char *word, const char *first, const char *rest)
{
    if (!strcmp(word, "want_all"))
        ads_want_all(ads, type_of(first));
    else if (!strcmp(word, "want"))
        ads_want(ads, type_of(first), rest);
    else if (!strcmp(word, "unwant"))
        ads_unwant(ads, type_of(first), rest);
    else if (!strcmp(word, "drop"))
        ads_drop_held(ads, type_of(first), rest);
    else if (!strcmp(word, "mode"))
        run_mode(first, rest);
    else if (!strcmp(word, "answer"))
        ads_answer(ads, strtoull(first, NULL, 10), rest[0] ? rest : NULL);
    else if (!strcmp(word, "late"))
        ads_nack_late(ads, type_of(first), rest);
    else if (!strcmp(word, "quit"))
        loop_stop(loop);
    else
        fprintf(stderr, "no such command: %s\n", word);
}

static char *cut(char *p)
{
    char *space = strchr(p, ' ');
    if (!space)
        return p + strlen(p);
    *space = 0;
    return space + 1;
}

static void on_input(struct loop_io *io, uint32_t events)
{
    char chunk[65536];
    ssize_t n = read(io->fd, chunk, sizeof(chunk));
    (void)events;
    if (n <= 0) {
        loop_stop(loop);
        return;
    }
    sbuf_add(&input, chunk, (size_t)n);
    char *line = input.p, *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        char *first = cut(line);
        char *rest = cut(first);
        run_command(line, first, rest);
        line = end + 1;
    }
    size_t left = strlen(line);
    memmove(input.p, line, left + 1);
    input.n = left;
}

/* "A|B|C": tried in this order. */
static void set_targets(char *list, const struct xds_metadatum *metadata)
{
    for (char *p = list; p && targets_n < ARRAY_LEN(targets);) {
        targets[targets_n++] =
            (struct xds_target){.address = p, .metadata = metadata, .metadata_n = 1};
        p = strchr(p, '|');
        if (p)
            *p++ = '\0';
    }
}

int main(int argc, char **argv)
{
    struct error err;
    static const struct xds_metadatum metadata = {"x-test", "1"};
    struct loop_io in = {.fd = 0, .on_event = on_input};
    if (argc < 3)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    set_targets(argv[1], &metadata);
    struct xds_server server = {
        .api = XDS_API_GRPC,
        .is_delta = !strcmp(argv[2], "delta"),
        .is_aggregated = true,
        .node_on_first_only = argc > 3 && !strcmp(argv[3], "node_once"),
        .targets = targets,
        .targets_n = targets_n,
    };
    struct ads_options o = {.server = &server, .node = {node, sizeof(node) - 1}};
    if (argc > 4 && !strcmp(argv[3], "own")) {
        server.is_aggregated = false;
        o.type = type_of(argv[4]);
    }
    struct ads_ops ops = {on_update, on_connected, NULL, NULL};
    if (log_open(NULL, NULL, &err) || loop_create(&loop, &err) ||
        ads_create(loop, &o, &ops, &ads, &err) || loop_add_listen(loop, &in)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    loop_run(loop);
    ads_destroy(&ads);
    loop_del(loop, &in);
    loop_destroy(&loop);
    sbuf_fini(&input);
    mem_free(refusal);
    return 0;
}
