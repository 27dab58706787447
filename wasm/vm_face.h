/* The border between the program and libremora-vm.so: the functions of vm.h as a table, which the
 * library exports under VM_FACE_SYMBOL and vm_load.c fills its forwarders from. */
#ifndef WASM_VM_FACE_H
#define WASM_VM_FACE_H

#include "wasm/vm.h"

#define VM_FACE_SYMBOL "remora_vm_face"
#define VM_FACE_LIBRARY "libremora-vm.so"

struct vm_face {
    size_t size; /* sizeof(struct vm_face): program and library must be of one build */
    int (*engine_start)(const struct vm_engine_options *o, struct error *err);
    const char *(*engine_version)(void);
    void (*engine_counters)(struct vm_engine_counters *r);
    int (*module_compile)(const void *bytes, size_t n, struct vm_module **module_r,
                          struct error *err);
    struct vm_module *(*module_ref)(struct vm_module *m);
    void (*module_unref)(struct vm_module **m);
    int (*create)(size_t heap_max, const struct vm_host *host, struct vm **vm_r, struct error *err);
    void (*destroy)(struct vm **vm);
    void (*attach)(struct vm *vm);
    void (*detach)(struct vm *vm);
    void (*idle)(struct vm *vm);
    void (*collect)(struct vm *vm);
    int (*inst_create)(struct vm *vm, struct vm_module *m, void *arg, uint64_t deadline_ns,
                       struct vm_inst **inst_r, struct error *err);
    struct vm_func *(*inst_func)(struct vm_inst *inst, const char *name);
    bool (*func_has_sig)(const struct vm_func *f, const char *sig);
    const char *(*func_sig)(const struct vm_func *f);
    enum vm_result (*call)(struct vm_func *f, const int32_t *args, unsigned n, int32_t *result_r,
                           uint64_t deadline_ns);
    const char *(*error)(const struct vm_inst *inst);
    struct vm_inst *(*current)(void);
    void *(*current_arg)(void);
    bool (*current_in_allocator)(void);
    bool (*current_is_killed)(void);
    void (*set_trap)(const char *text);
    uint8_t *(*mem)(struct vm_inst *inst, uint32_t off, uint32_t n);
    size_t (*mem_size)(const struct vm_inst *inst);
};

#endif
