#include "wasm/shared_data.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "wasm/plugin_private.h"

struct value {
    uint32_t cas;
    size_t n;
    char bytes[];
};

struct item {
    struct list node;
    size_t n;
    char bytes[];
};

struct queue {
    uint32_t id;
    struct shared_vm *vm;
    struct list items;
    size_t items_n;
    uint64_t consumer;           /* 0: nobody */
    struct pwasm_worker *worker; /* where the consumer stands; NULL: there is none */
    size_t untold;               /* items that came while there was none */
};

struct shared_vm {
    char *id;
    size_t refs;
    struct hash values, queues; /* key -> struct value, name -> struct queue */
    size_t bytes, queue_bytes;
    uint32_t last_cas;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hash vms;       /* vm_id -> struct shared_vm */
static struct queue **queues; /* by id - 1; NULL: gone */
static size_t queues_n, queues_cap;

struct shared_vm *shared_vm_ref(const char *vm_id)
{
    pthread_mutex_lock(&lock);
    struct shared_vm *vm = hash_find(&vms, str_of(vm_id));
    if (!vm) {
        vm = MEM_NEW(struct shared_vm);
        vm->id = mem_strdup(vm_id);
        hash_set(&vms, str_of(vm_id), vm);
    }
    vm->refs++;
    pthread_mutex_unlock(&lock);
    return vm;
}

static void destroy_queue_locked(struct queue *q)
{
    list_for_each_safe (it, tmp, &q->items)
        mem_free(container_of(it, struct item, node));
    queues[q->id - 1] = NULL;
    mem_free(q);
}

static void destroy_locked(struct shared_vm *vm)
{
    struct hash_entry *e;
    for (size_t it = 0; (e = hash_next(&vm->values, &it));)
        mem_free(e->value);
    for (size_t it = 0; (e = hash_next(&vm->queues, &it));)
        destroy_queue_locked(e->value);
    hash_fini(&vm->values);
    hash_fini(&vm->queues);
    hash_remove(&vms, str_of(vm->id));
    mem_free(vm->id);
    mem_free(vm);
}

void shared_vm_unref(struct shared_vm **vm_at)
{
    struct shared_vm *vm = *vm_at;
    *vm_at = NULL;
    if (!vm)
        return;
    pthread_mutex_lock(&lock);
    if (--vm->refs == 0)
        destroy_locked(vm);
    pthread_mutex_unlock(&lock);
}

/* ---- data ---- */

enum pwasm_status shared_get(struct shared_vm *vm, struct str key, struct sbuf *value,
                             uint32_t *cas_r)
{
    pthread_mutex_lock(&lock);
    const struct value *v = hash_find(&vm->values, key);
    if (v) {
        sbuf_add(value, v->bytes, v->n);
        *cas_r = v->cas;
    }
    pthread_mutex_unlock(&lock);
    return v ? PWASM_OK : PWASM_NOT_FOUND;
}

static enum pwasm_status set_locked(struct shared_vm *vm, struct str key, struct str value,
                                    uint32_t cas)
{
    struct value *old = hash_find(&vm->values, key);
    if (old && cas && cas != old->cas)
        return PWASM_CAS_MISMATCH;
    size_t freed = old ? key.n + old->n : 0;
    if (vm->bytes - freed + key.n + value.n > SHARED_BYTES_MAX ||
        (!old && hash_count(&vm->values) >= SHARED_KEYS_MAX))
        return PWASM_INTERNAL_FAILURE;
    struct value *v = mem_alloc(sizeof(*v) + value.n);
    if (++vm->last_cas == 0)
        vm->last_cas = 1; /* 0 means no comparison */
    v->cas = vm->last_cas;
    v->n = value.n;
    memcpy(v->bytes, value.p, value.n);
    mem_free(hash_set(&vm->values, key, v));
    vm->bytes += key.n + value.n - freed;
    return PWASM_OK;
}

enum pwasm_status shared_set(struct shared_vm *vm, struct str key, struct str value, uint32_t cas)
{
    pthread_mutex_lock(&lock);
    enum pwasm_status st = set_locked(vm, key, value, cas);
    pthread_mutex_unlock(&lock);
    return st;
}

/* ---- queues ---- */

struct notice {
    struct loop_msg msg;
    struct pwasm_worker *worker;
    uint64_t consumer;
    uint32_t queue;
};

/* On the consumer's worker: it may be gone by now. */
static void run_notice(struct loop_msg *m)
{
    struct notice *n = container_of(m, struct notice, msg);
    struct pwasm_vm *vm = pwasm_worker_find(n->worker, n->consumer);
    int32_t args[] = {PWASM_ROOT_ID, (int32_t)n->queue};
    if (vm)
        pwasm_vm_call(vm, &vm->root, PWASM_ON_QUEUE_READY, args, NULL);
    pwasm_worker_unref(n->worker);
    mem_free(n);
}

/* One call per item. The lock is held: a consumer that leaves its worker takes it first, so the
 * loop is there. */
static void tell_locked(struct queue *q, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        struct notice *n = MEM_NEW(struct notice);
        n->msg.run = run_notice;
        n->worker = pwasm_worker_ref(q->worker);
        n->consumer = q->consumer;
        n->queue = q->id;
        loop_post(q->worker->loop, &n->msg);
    }
}

static struct queue *create_queue_locked(struct shared_vm *vm, struct str name)
{
    if (hash_count(&vm->queues) >= SHARED_QUEUES_MAX)
        return NULL;
    struct queue *q = MEM_NEW(struct queue);
    list_init(&q->items);
    q->vm = vm;
    mem_grow((void **)&queues, &queues_cap, queues_n + 1, sizeof(struct queue *));
    queues[queues_n++] = q;
    q->id = (uint32_t)queues_n;
    hash_set(&vm->queues, name, q);
    return q;
}

enum pwasm_status shared_queue_register(struct shared_vm *vm, struct str name, uint32_t *id_r)
{
    pthread_mutex_lock(&lock);
    struct queue *q = hash_find(&vm->queues, name);
    if (!q)
        q = create_queue_locked(vm, name);
    if (q)
        *id_r = q->id;
    pthread_mutex_unlock(&lock);
    return q ? PWASM_OK : PWASM_INTERNAL_FAILURE;
}

enum pwasm_status shared_queue_resolve(struct str vm_id, struct str name, uint32_t *id_r)
{
    pthread_mutex_lock(&lock);
    struct shared_vm *vm = hash_find(&vms, vm_id);
    struct queue *q = vm ? hash_find(&vm->queues, name) : NULL;
    if (q)
        *id_r = q->id;
    pthread_mutex_unlock(&lock);
    return q ? PWASM_OK : PWASM_NOT_FOUND;
}

static struct queue *find_locked(uint32_t id)
{
    return id && id <= queues_n ? queues[id - 1] : NULL;
}

enum pwasm_status shared_queue_add(uint32_t id, struct str bytes)
{
    pthread_mutex_lock(&lock);
    struct queue *q = find_locked(id);
    /* A full queue looks like an absent one: SDKs take any other answer as fatal. */
    if (q && (q->items_n >= SHARED_ITEMS_MAX || q->vm->queue_bytes + bytes.n > SHARED_BYTES_MAX))
        q = NULL;
    if (q) {
        struct item *item = mem_alloc(sizeof(*item) + bytes.n);
        item->n = bytes.n;
        memcpy(item->bytes, bytes.p, bytes.n);
        list_add_tail(&q->items, &item->node);
        q->items_n++;
        q->vm->queue_bytes += bytes.n;
        if (q->worker)
            tell_locked(q, 1);
        else
            q->untold++;
    }
    pthread_mutex_unlock(&lock);
    return q ? PWASM_OK : PWASM_NOT_FOUND;
}

enum pwasm_status shared_queue_take(uint32_t id, struct sbuf *bytes)
{
    enum pwasm_status st = PWASM_NOT_FOUND;
    pthread_mutex_lock(&lock);
    struct queue *q = find_locked(id);
    if (q) {
        st = PWASM_EMPTY;
        if (!list_is_empty(&q->items)) {
            struct item *item = container_of(q->items.next, struct item, node);
            list_del(&item->node);
            q->items_n--;
            q->vm->queue_bytes -= item->n;
            sbuf_add(bytes, item->bytes, item->n);
            mem_free(item);
            st = PWASM_OK;
        }
    }
    pthread_mutex_unlock(&lock);
    return st;
}

void shared_queue_consume(uint32_t id, uint64_t consumer, struct pwasm_worker *worker)
{
    pthread_mutex_lock(&lock);
    struct queue *q = find_locked(id);
    if (q) {
        q->consumer = consumer;
        q->worker = worker;
        tell_locked(q, q->untold < q->items_n ? q->untold : q->items_n);
        q->untold = 0;
    }
    pthread_mutex_unlock(&lock);
}

void shared_vm_forget_consumer(uint64_t consumer)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < queues_n; i++)
        if (queues[i] && queues[i]->consumer == consumer) {
            queues[i]->consumer = 0;
            queues[i]->worker = NULL;
        }
    pthread_mutex_unlock(&lock);
}
