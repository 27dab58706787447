/* Shared data and queues of plugins: one store per vm_id for the whole process, there as long as a
 * VM of that vm_id lives. Values are copied under a lock. [any] thread.
 * Source: proxy_*_shared_data, proxy_*_shared_queue; limits are ours. */
#ifndef WASM_SHARED_DATA_H
#define WASM_SHARED_DATA_H

#include "base/str.h"
#include "wasm/abi.h"

struct pwasm_worker;
struct shared_vm;

enum {
    SHARED_BYTES_MAX = 16 << 20, /* keys and values of one vm_id; the same for its queues */
    SHARED_KEYS_MAX = 100000,
    SHARED_QUEUES_MAX = 1000,
    SHARED_ITEMS_MAX = 10000, /* of one queue */
};

struct shared_vm *shared_vm_ref(const char *vm_id);
void shared_vm_unref(struct shared_vm **vm);

/* Appends the value. */
enum pwasm_status shared_get(struct shared_vm *vm, struct str key, struct sbuf *value,
                             uint32_t *cas_r);
/* cas 0: no comparison. INTERNAL_FAILURE: over the limits. */
enum pwasm_status shared_set(struct shared_vm *vm, struct str key, struct str value, uint32_t cas);

/* Finds or makes the queue; shared_queue_consume says who is told of its items. */
enum pwasm_status shared_queue_register(struct shared_vm *vm, struct str name, uint32_t *id_r);
/* consumer: the serial of the VM whose root context is told of each item from now on, also of
 * those that nobody was told of yet; it stands on this worker. */
void shared_queue_consume(uint32_t id, uint64_t consumer, struct pwasm_worker *worker);
enum pwasm_status shared_queue_resolve(struct str vm_id, struct str name, uint32_t *id_r);
enum pwasm_status shared_queue_add(uint32_t id, struct str item);
enum pwasm_status shared_queue_take(uint32_t id, struct sbuf *item);

/* It is gone: nobody is told until another one registers. */
void shared_vm_forget_consumer(uint64_t consumer);

#endif
