/* The administration interface: Envoy's paths and shapes, on main's loop. It is an HTTP connection
 * manager whose only filter answers from a table of handlers. [main]
 * Source: Envoy's source/server/admin. */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include <stdbool.h>

#include "base/str.h"
#include "conf/snapshot.h"
#include "net/addr.h"
#include "net/loop.h"

struct admin;
struct hosts;
struct server;

struct admin_request {
    struct server *server;
    struct str path;  /* without the query */
    struct str query; /* after '?', or empty */
    bool is_post;
    unsigned status;           /* 200 unless the handler says otherwise */
    const char *content_type;  /* "text/plain; charset=UTF-8" unless set */
    const struct hosts *hosts; /* of handlers with needs_hosts */
    struct sbuf out;
};

struct admin_handler {
    const char *path;
    const char *help;
    const char *const *params; /* "name: what it does", up to NULL; NULL: it takes none */
    bool is_post;              /* has effects: GET is refused with 405 */
    bool needs_hosts;          /* runs when the workers have told of their hosts */
    void (*handle)(struct admin_request *r);
};

/* Listens at `address`; path_file (NULL: none) gets "ip:port" written (--admin-address-path). */
int admin_create(struct loop *loop, struct server *server, const struct addr *address,
                 const char *path_file, struct admin **a_r, struct error *err);
void admin_destroy(struct admin **a);
void admin_address(const struct admin *a, struct addr *addr_r);

/* Value of ?name= (percent-decoded into the caller's buffer of n bytes); false when absent.
 * "?usedonly" without a value is present and empty. */
bool admin_query(const struct admin_request *r, const char *name, char *dst, size_t n);

/* Every path with what it does and its parameters, a line each. */
void admin_list_paths(struct sbuf *out);

/* All of them, decoded, in their order. */
void admin_each_query(const struct admin_request *r,
                      void (*fn)(void *arg, const char *name, const char *value), void *arg);

/* The table, ended by path NULL (admin_handlers.c); handlers are in admin_*.c by subject. */
extern const struct admin_handler admin_handlers[];

#endif
