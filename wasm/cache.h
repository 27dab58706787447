/* Verified modules on disk, so that a restarted process serves without its registry: one file
 * per sha256 of the module (0600, written beside and renamed, re-hashed when read), and an index
 * from what was asked for (a hash of address and checksum, so that no secret in an address goes
 * to disk) to the module. Least recently used modules go when the total is too large.
 *
 * Owner: source. [main], but reading and writing a module's file is for [any] thread. */
#ifndef WASM_CACHE_H
#define WASM_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wasm/blob.h"

struct cache;

/* dir: data folder (created 0700 when missing); the modules stand in dir/wasm. */
int cache_open(const char *dir, uint64_t total_max, struct cache **c_r, struct error *err);
/* Writes the index when it changed. NULL is fine. */
void cache_close(struct cache **c);

/* Which module does the request name? Marks it as used now. */
bool cache_find(struct cache *c, const char *request, char digest_r[65]);
/* Is a module of this digest there? */
bool cache_has(struct cache *c, const char *digest);
/* The module (whose file cache_write wrote) answers the request from now on; saves the index and
 * evicts what is too much. */
void cache_add(struct cache *c, const char *request, const char *digest, uint64_t size);
/* Its file is missing or damaged. */
void cache_forget(struct cache *c, const char *digest);
unsigned cache_count(const struct cache *c);

/* [any] Files. Reading checks owner, type, mode, size and hash. */
int cache_read(const struct cache *c, const char *digest, uint64_t size_max, struct blob **b_r,
               struct error *err);
int cache_write(const struct cache *c, const char *digest, const struct blob *b, struct error *err);

#endif
