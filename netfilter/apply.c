#include "netfilter/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "netfilter/plan.h"
#include "netfilter/render_iptables.h"
#include "netfilter/tool.h"

static const char *family_name(int family)
{
    return family == AF_INET6 ? "IPv6" : "IPv4";
}

static void log_lines(const char *what, const char *text)
{
    struct str rest = str_of(text), line;
    log_info(LOG_MAIN, "%s:", what);
    while (str_next(&rest, '\n', &line))
        if (line.n)
            log_info(LOG_MAIN, "  %.*s", STR_ARG(line));
}

/* plan_exists_fn over a struct tool. */
static bool exists(void *tool, const char *table, const char *chain, const char *rule)
{
    return tool_has_rule(tool, table, chain, rule);
}

static void read_state(const struct tool *t, struct state *s)
{
    struct error err;
    char *text = NULL;
    if (tool_save(t, &text, &err))
        log_warn(LOG_MAIN, "%s; taken for empty", err.text);
    state_parse(s, str_of(text ? text : ""));
    mem_free(text);
}

static void log_final_state(const struct tool *t)
{
    char *text;
    if (tool_save(t, &text, NULL))
        return;
    log_lines(t->family == AF_INET6 ? "final rules (IPv6)" : "final rules (IPv4)", text);
    mem_free(text);
}

static int restore(const struct tool *t, const char *text, struct error *err)
{
    log_lines(t->restore, text);
    return tool_restore(t, text, err);
}

static int apply_set(const struct netfilter_options *o, const struct rule_set *set, struct tool *t,
                     struct error *err)
{
    const char *reason = "";
    struct state s;
    struct sbuf text = {0};
    int rc = 0;

    read_state(t, &s);
    bool is_needed = plan_is_needed(set, &s, exists, t, &reason);
    if (!is_needed && !o->force_apply) {
        log_info(LOG_MAIN, "%s rules are in place already", family_name(set->family));
    } else {
        if (is_needed && state_has_ours(&s))
            log_warn(LOG_MAIN, "replacing older %s rules: %s", family_name(set->family), reason);
        plan_replace(&text, set, set, &s, exists, t);
        rc = restore(t, text.p ? text.p : "", err);
    }
    sbuf_fini(&text);
    state_fini(&s);
    log_final_state(t);
    return rc;
}

static int apply_family(const struct netfilter_options *o, int family, struct error *err)
{
    struct tool t;
    struct rule_set set;
    int rc = tool_detect(family, o->force_binary, &t, err);
    if (rc)
        return rc;
    rule_set_build(&set, family, o);
    rc = apply_set(o, &set, &t, err);
    rule_set_fini(&set);
    return rc ? error_prefix(err, "%s: ", family_name(family)) : 0;
}

int apply_rules(const struct netfilter_options *o, struct error *err)
{
    int rc = apply_family(o, AF_INET, err);
    if (!rc && o->has_ipv6)
        rc = apply_family(o, AF_INET6, err);
    return rc;
}

static int clean_with(const struct netfilter_options *o, struct tool *t, struct error *err)
{
    struct rule_set ours;
    struct state s;
    struct sbuf text = {0};
    int rc = 0;

    read_state(t, &s);
    rule_set_build(&ours, t->family, o);
    plan_replace(&text, &ours, NULL, &s, exists, t);
    if (text.n)
        rc = restore(t, text.p, err);
    else
        log_info(LOG_MAIN, "%s: no rules to remove", t->save);
    sbuf_fini(&text);
    rule_set_fini(&ours);
    state_fini(&s);
    return rc;
}

int apply_cleanup(const struct netfilter_options *o, struct error *err)
{
    static const int families[] = {AF_INET, AF_INET6};
    static const char *const backends[] = {"nft", "legacy"};
    int rc = 0, opened = 0;

    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (size_t b = 0; b < ARRAY_LEN(backends); b++) {
            struct tool t;
            struct error e;
            if (*o->force_binary && strcmp(o->force_binary, backends[b]))
                continue;
            if (tool_open(families[f], backends[b], &t, NULL))
                continue;
            opened++;
            int one = clean_with(o, &t, &e);
            if (one && !rc)
                rc = error_set(err, e.code, "%s: %s", family_name(families[f]), e.text);
        }
    if (opened)
        return rc;
    struct tool t; /* a system with neither name has plain "iptables", or nothing */
    rc = tool_open(AF_INET, "", &t, err);
    return rc ? rc : clean_with(o, &t, err);
}

static void render_family(struct sbuf *b, int family, const struct netfilter_options *o)
{
    struct rule_set set;
    rule_set_build(&set, family, o);
    render_iptables_restore(b, &set);
    rule_set_fini(&set);
}

static int write_all(const char *path, const struct sbuf *text, struct error *err)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_set_errno(err, errno, "DRY_RUN_FILE_PATH %s", path);
    for (size_t done = 0; done < text->n;) {
        ssize_t n = write(fd, text->p + done, text->n - done);
        if (n < 0) {
            int rc = error_set_errno(err, errno, "DRY_RUN_FILE_PATH %s", path);
            close(fd);
            return rc;
        }
        done += (size_t)n;
    }
    close(fd);
    return 0;
}

int apply_dry_run(const struct netfilter_options *o, struct error *err)
{
    struct sbuf text = {0};
    int rc = 0;

    /* The calls in Istio's order, so that the files can be compared. */
    sbuf_addz(&text, "iptables-save\nip6tables-save\n");
    if (!o->cleanup_only) {
        render_family(&text, AF_INET, o);
        if (o->has_ipv6)
            render_family(&text, AF_INET6, o);
    }
    sbuf_addz(&text, "iptables-save\n");
    if (o->has_ipv6)
        sbuf_addz(&text, "ip6tables-save\n");
    log_lines("dry run", text.p);
    if (*o->dry_run_file_path)
        rc = write_all(o->dry_run_file_path, &text, err);
    sbuf_fini(&text);
    return rc;
}
