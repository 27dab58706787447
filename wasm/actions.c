/* What guests asked for while they ran: continue, close, local reply. Run in order once the guest
 * call has returned, because each of them may lead to another call of the same VM. */
#include "base/mem.h"
#include "wasm/plugin_private.h"

struct pwasm_action {
    struct pwasm_action *next;
    struct pwasm_context *context;
    enum pwasm_action_kind kind;
    enum pwasm_stream which;
    struct pwasm_reply reply;
    struct headers headers;
};

static struct pwasm_action *add(struct pwasm_vm *vm, struct pwasm_context *c,
                                enum pwasm_action_kind kind)
{
    struct pwasm_action *a = MEM_NEW(struct pwasm_action);
    a->context = c;
    a->kind = kind;
    *vm->actions_end = a;
    vm->actions_end = &a->next;
    return a;
}

void pwasm_action_add(struct pwasm_vm *vm, struct pwasm_context *c, enum pwasm_action_kind kind,
                      enum pwasm_stream which)
{
    /* A guest in a loop must not fill the host's memory: what it asked for last is the same. */
    for (struct pwasm_action *a = vm->actions; a; a = a->next)
        if (a->context == c && a->kind == kind && a->which == which)
            return;
    add(vm, c, kind)->which = which;
}

void pwasm_action_add_reply(struct pwasm_vm *vm, struct pwasm_context *c, unsigned status,
                            struct str details, struct str body, struct headers *headers,
                            int grpc_status)
{
    for (struct pwasm_action *a = vm->actions; a; a = a->next)
        if (a->context == c && a->kind == PWASM_REPLY)
            return; /* the first one counts */
    struct pwasm_action *a = add(vm, c, PWASM_REPLY);
    a->headers = *headers;
    *headers = (struct headers){0};
    a->reply.status = status;
    a->reply.details = (struct str){mem_strndup(details.p, details.n), details.n};
    a->reply.body = (struct str){mem_dup(body.p, body.n), body.n};
    a->reply.grpc_status = grpc_status;
}

static void release(struct pwasm_action *a)
{
    mem_free((char *)a->reply.details.p);
    mem_free((char *)a->reply.body.p);
    headers_fini(&a->headers);
    mem_free(a);
}

static void run(struct pwasm_action *a)
{
    struct pwasm_context *c = a->context;
    switch (a->kind) {
    case PWASM_GO_ON:
        c->ops->go_on(c, a->which);
        break;
    case PWASM_CLOSE:
        c->ops->close(c, a->which);
        break;
    case PWASM_REPLY:
        a->reply.headers = &a->headers;
        c->ops->reply(c, &a->reply);
        break;
    }
}

void pwasm_actions_run(struct pwasm_vm *vm)
{
    struct pwasm_action *a;
    while ((a = vm->actions)) {
        vm->actions = a->next;
        if (!vm->actions)
            vm->actions_end = &vm->actions;
        run(a);
        release(a);
    }
}

void pwasm_actions_drop(struct pwasm_vm *vm, const struct pwasm_context *c)
{
    struct pwasm_action **at = &vm->actions, *a;
    while ((a = *at))
        if (!c || a->context == c) {
            *at = a->next;
            release(a);
        } else {
            at = &a->next;
        }
    vm->actions_end = at;
}
