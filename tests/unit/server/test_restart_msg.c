#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "server/restart_msg.h"

static const struct {
    const char *name;
    uint32_t kind, worker;
    const char *address; /* "": none */
    bool is_valid;
} rows[] = {
    {"live", RESTART_LIVE, 0, "", true},
    {"stop admin", RESTART_STOP_ADMIN, 0, "", true},
    {"socket", RESTART_GET_SOCKET, 3, "127.0.0.1", true},
    {"socket, IPv6", RESTART_GET_SOCKET, 0, "::", true},
    {"socket, Unix", RESTART_GET_SOCKET, 0, "/run/x", true},
    {"socket, abstract", RESTART_GET_SOCKET, 0, "@x", true},
    {"socket without address", RESTART_GET_SOCKET, 0, "", false},
    {"address where none belongs", RESTART_LIVE, 0, "127.0.0.1", false},
    {"no kind", 0, 0, "", false},
    {"unknown kind", RESTART_KINDS, 0, "", false},
    {"too many workers", RESTART_GET_SOCKET, RESTART_WORKERS_MAX, "127.0.0.1", false},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct restart_msg m = {.kind = (enum restart_kind)rows[i].kind, .worker = rows[i].worker};
        struct restart_msg got;
        unsigned char bytes[RESTART_MSG_SIZE + 1];
        struct str a = str_of(rows[i].address);
        if (a.n && (a.p[0] == '/' || a.p[0] == '@'))
            assert_int_equal(addr_from_path(a, &m.addr, NULL), 0);
        else if (a.n)
            assert_int_equal(addr_from_ip(a, 80, &m.addr, NULL), 0);
        restart_msg_write(&m, bytes);
        int rc = restart_msg_read(bytes, RESTART_MSG_SIZE, &got);
        if ((rc == 0) != rows[i].is_valid)
            fail_msg("%s", rows[i].name);
        if (rc == 0) {
            assert_int_equal(got.kind, m.kind);
            assert_int_equal(got.worker, m.worker);
            assert_true(got.addr.len == m.addr.len && (!a.n || addr_eq(&got.addr, &m.addr)));
        }
        assert_int_not_equal(restart_msg_read(bytes, RESTART_MSG_SIZE - 1, &got), 0);
        assert_int_not_equal(restart_msg_read(bytes, RESTART_MSG_SIZE + 1, &got), 0);
        bytes[0] ^= 1;
        assert_int_not_equal(restart_msg_read(bytes, RESTART_MSG_SIZE, &got), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
