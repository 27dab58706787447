#include "netfilter/tool.h"

#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"

enum { ARGS_MAX = 320 };

/* Added and removed within one transaction, so that nothing of it is ever seen; it fails where
 * the kernel lacks nat or where the program cannot talk to it. */
static const char probe_text[] = "* nat\n-N ISTIO_PROBE\n"
                                 "-A ISTIO_PROBE -p tcp -j REDIRECT --to-ports 1\n"
                                 "-F ISTIO_PROBE\n-X ISTIO_PROBE\nCOMMIT\n";

static const char *base_name(int family)
{
    return family == AF_INET6 ? "ip6tables" : "iptables";
}

/* What a failed program printed, on one line and cut to what fits into an error. */
static int set_tool_error(struct error *err, const char *path, const struct exec_result *res)
{
    static const char *const kinds[] = {"", " (other problem)", " (parameter problem)",
                                        " (version problem)", " (resource problem)"};
    const char *kind = res->status < (int)ARRAY_LEN(kinds) ? kinds[res->status] : "";
    char text[700];
    size_t n = 0;
    for (size_t i = 0; i < res->err.n && n < sizeof(text) - 1; i++) {
        char c = res->err.p[i];
        text[n++] = c >= ' ' && c < 127 ? c : ' ';
    }
    while (n && text[n - 1] == ' ')
        n--;
    text[n] = 0;
    return error_set(err, ERR_IO, "%s: exit status %d%s: %s", path, res->status, kind,
                     n ? text : "no message");
}

static int run(const char *const argv[], struct str input, struct exec_result *res,
               struct error *err)
{
    int rc = exec_run(argv, input, res, err);
    if (!rc && res->status)
        rc = set_tool_error(err, argv[0], res);
    return rc;
}

static int find(const char *name, const char *suffix, char path_r[EXEC_PATH_MAX], struct error *err)
{
    char full[64];
    snprintf(full, sizeof(full), "%s%s", name, suffix);
    if (exec_find(full, path_r))
        return 0;
    return error_set(err, ERR_NOT_FOUND, "%s is not installed", full);
}

/* "iptables-save v1.8.9 (legacy)": programs of the nft backend need no lock, and legacy ones
 * before 1.6.2 do not know --wait. */
static bool needs_wait(const char *version)
{
    unsigned major, minor, patch;
    const char *v = strstr(version, " v");
    if (strstr(version, "nf_tables") || !v || sscanf(v, " v%u.%u.%u", &major, &minor, &patch) != 3)
        return false;
    return major > 1 || (major == 1 && (minor > 6 || (minor == 6 && patch >= 2)));
}

int tool_open(int family, const char *backend, struct tool *t, struct error *err)
{
    char name[32];
    struct exec_result res;
    int rc;

    *t = (struct tool){.family = family};
    snprintf(name, sizeof(name), "%s%s%s", base_name(family), *backend ? "-" : "", backend);
    if ((rc = find(name, "", t->iptables, err)) || (rc = find(name, "-save", t->save, err)) ||
        (rc = find(name, "-restore", t->restore, err)))
        return rc;
    rc = run((const char *const[]){t->save, "--version", NULL}, STR_NULL, &res, err);
    if (!rc)
        t->waits_for_lock = res.out.n && needs_wait(res.out.p);
    exec_result_fini(&res);
    return rc;
}

int tool_save(const struct tool *t, char **text_r, struct error *err)
{
    struct exec_result res;
    int rc = run((const char *const[]){t->save, NULL}, STR_NULL, &res, err);
    if (!rc)
        *text_r = sbuf_take(&res.out);
    exec_result_fini(&res);
    return rc;
}

int tool_restore(const struct tool *t, const char *text, struct error *err)
{
    struct exec_result res;
    const char *wait = t->waits_for_lock ? "--wait=30" : NULL;
    int rc =
        run((const char *const[]){t->restore, "--noflush", wait, NULL}, str_of(text), &res, err);
    exec_result_fini(&res);
    return rc;
}

bool tool_has_rule(const struct tool *t, const char *table, const char *chain, const char *rule)
{
    const char *argv[ARGS_MAX] = {t->iptables};
    struct exec_result res;
    size_t n = 1;

    if (t->waits_for_lock)
        argv[n++] = "--wait=30";
    argv[n++] = "-t";
    argv[n++] = table;
    argv[n++] = "-C";
    argv[n++] = chain;
    char *copy = mem_strdup(rule), *next = copy;
    while (next && n < ARGS_MAX - 1) {
        argv[n++] = next;
        next = strchr(next, ' ');
        if (next)
            *next++ = 0;
    }
    int rc = exec_run(argv, STR_NULL, &res, NULL);
    bool found = rc == 0 && res.status == 0;
    exec_result_fini(&res);
    mem_free(copy);
    return found;
}

/* A table that is merely loaded is listed with its empty chains: that is no use of it. */
static bool has_rules(const struct tool *t)
{
    char *text;
    if (tool_save(t, &text, NULL))
        return false;
    bool found = strstr(text, "\n-A ") || strstr(text, " - [");
    mem_free(text);
    return found;
}

static int open_and_probe(int family, const char *backend, struct tool *t, struct error *err)
{
    int rc = tool_open(family, backend, t, err);
    return rc ? rc : tool_restore(t, probe_text, err);
}

int tool_detect(int family, const char *force, struct tool *t, struct error *err)
{
    static const char *const order[] = {"nft", "legacy", ""};
    struct error first = {.code = ERR_OK};

    if (force && *force)
        return open_and_probe(family, force, t, err);
    if (tool_open(family, "legacy", t, NULL) == 0 && has_rules(t))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        struct error e;
        if (open_and_probe(family, order[i], t, &e) == 0)
            return 0;
        log_debug(LOG_MAIN, "%s is not usable: %s", base_name(family), e.text);
        if (!first.code || first.code == ERR_NOT_FOUND)
            first = e;
    }
    const char *hint = first.code == ERR_NOT_FOUND
                           ? ""
                           : " (kernel modules of the nat table missing, or no NET_ADMIN?)";
    return error_set(err, first.code, "%s is not usable: %s%s", base_name(family), first.text,
                     hint);
}
