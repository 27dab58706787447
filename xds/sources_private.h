/* What sources.c and the kinds of sources that are no streams share. [main] */
#ifndef XDS_SOURCES_PRIVATE_H
#define XDS_SOURCES_PRIVATE_H

#include "base/list.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "proto/pb.h"
#include "xds/sources.h"
#include "xds/subs.h"

struct source {
    struct list node;
    struct sources *sources;
    unsigned id;
    enum xds_type type;
    char *key;
    unsigned wants;
    bool has_answered;
    struct arena arena; /* of boot */
    struct bootstrap_source boot;
    struct ads *ads; /* one of the three */
    struct rest *rest;
    struct file *file;
    struct loop_timer close_timer; /* when nothing is wanted of it */
};

struct sources {
    struct loop *loop;
    const struct bootstrap *boot;
    struct ads_ops ops;
    struct list list; /* of struct source; the ADS server's is the first */
    unsigned next_id;
    bool is_used;
};

/* ---- plain.c ---- */
/* A state of the world that came without a stream, a DiscoveryResponse: the wanted ones of its
 * resources, in the arena. */
enum plain_form { PLAIN_BYTES, PLAIN_JSON, PLAIN_YAML };
int plain_read(enum plain_form form, struct str text, enum xds_type t, const struct subs *subs,
               struct pb_arena *arena, struct xds_update *u, struct error *err);

/* ---- files.c ---- */
int file_open(struct loop *loop, const struct source *s, const struct ads_ops *ops,
              struct file **f_r, struct error *err);
void file_close(struct file **f);
struct subs *file_subs(struct file *f);
/* What is wanted has changed: the file is read again at the end of the turn. */
void file_changed(struct file *f);

/* ---- rest.c ---- */
int rest_open(struct loop *loop, const struct source *s, struct str node, const struct ads_ops *ops,
              struct rest **r_r, struct error *err);
void rest_close(struct rest **r);
struct subs *rest_subs(struct rest *r);
/* What is wanted has changed: it is asked for at the end of the turn, or when the request under
 * way is over. */
void rest_changed(struct rest *r);
void rest_answer(struct rest *r, uint64_t ticket, const char *detail);

#endif
