#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/conn.h"

/* A connection over one end of a socket pair; the test holds the other end. */
struct end {
    struct conn conn;
    struct loop *loop;
    struct loop_timer timer;
    int peer;
    size_t kept; /* bytes that on_data leaves in the buffer */
    unsigned data, eof, closed, high, low;
};

static struct end *of(struct conn *c)
{
    return container_of(c, struct end, conn);
}

static void on_data(struct conn *c)
{
    struct end *e = of(c);
    e->data++;
    if (c->in.len > e->kept)
        buf_consume(&c->in, c->in.len - e->kept);
}

static void on_eof(struct conn *c)
{
    of(c)->eof++;
}

static void on_close(struct conn *c)
{
    of(c)->closed++;
}

static void on_high(struct conn *c)
{
    of(c)->high++;
}

static void on_low(struct conn *c)
{
    of(c)->low++;
}

static const struct conn_ops ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_close = on_close,
    .on_high_water = on_high,
    .on_low_water = on_low,
};

static void on_timer(struct loop_timer *t)
{
    loop_stop(container_of(t, struct end, timer)->loop);
}

static void turn(struct end *e)
{
    loop_timer_start(&e->timer, 5);
    loop_run(e->loop);
}

static void end_open(struct end *e)
{
    int fds[2];
    *e = (struct end){0};
    assert_int_equal(loop_create(&e->loop, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    loop_timer_init(&e->timer, e->loop, on_timer);
    conn_init_accepted(&e->conn, e->loop, fds[0], &ops);
    e->peer = fds[1];
}

static void end_close(struct end *e)
{
    conn_close(&e->conn);
    turn(e);
    assert_int_equal(e->closed, 1);
    close(e->peer);
    loop_destroy(&e->loop);
    buf_pool_drain();
}

static void test_eof_comes_after_the_data(void **state)
{
    (void)state;
    struct end e;
    end_open(&e);
    assert_int_equal(write(e.peer, "abc", 3), 3);
    shutdown(e.peer, SHUT_WR);
    turn(&e);
    assert_int_equal(e.data, 1);
    assert_int_equal(e.eof, 1);
    assert_int_equal(e.closed, 0); /* half closed */
    assert_int_equal(e.conn.in.len, 0);
    end_close(&e);
}

static void test_no_reading_while_disabled(void **state)
{
    (void)state;
    struct end e;
    end_open(&e);
    conn_read_disable(&e.conn);
    assert_int_equal(write(e.peer, "abc", 3), 3);
    shutdown(e.peer, SHUT_WR);
    turn(&e);
    assert_int_equal(e.data + e.eof, 0);
    conn_read_enable(&e.conn);
    turn(&e);
    assert_int_equal(e.data, 1);
    assert_int_equal(e.eof, 1);
    end_close(&e);
}

static void test_early_eof_while_disabled(void **state)
{
    (void)state;
    struct end e;
    end_open(&e);
    e.conn.closes_on_early_eof = true;
    turn(&e);
    conn_read_disable(&e.conn);
    assert_int_equal(write(e.peer, "abc", 3), 3);
    turn(&e);
    assert_int_equal(e.closed, 0);
    shutdown(e.peer, SHUT_WR);
    turn(&e);
    assert_int_equal(e.closed, 1);
    assert_int_equal(e.conn.cause, CONN_CLOSED_REMOTE);
    assert_int_equal(e.data, 0);
    end_close(&e);
}

static void test_bytes_left_over_come_again(void **state)
{
    (void)state;
    struct end e;
    end_open(&e);
    e.kept = 3;
    assert_int_equal(write(e.peer, "abc", 3), 3);
    turn(&e);
    assert_int_equal(e.data, 1);
    assert_int_equal(e.conn.in.len, 3);
    e.kept = 0;
    conn_read_disable(&e.conn);
    conn_read_enable(&e.conn);
    turn(&e);
    assert_int_equal(e.data, 2);
    assert_int_equal(e.conn.in.len, 0);
    end_close(&e);
}

static void test_water_marks(void **state)
{
    (void)state;
    struct end e;
    static char block[1 << 20];
    end_open(&e);
    e.conn.high_water = 65536;
    buf_add(&e.conn.out, block, sizeof(block));
    conn_flush(&e.conn);
    assert_int_equal(e.high, 1);
    assert_int_equal(e.low, 0);
    for (int i = 0; i < 64 && e.conn.out.len; i++) {
        while (read(e.peer, block, sizeof(block)) > 0)
            ;
        turn(&e);
    }
    assert_int_equal(e.conn.out.len, 0);
    assert_int_equal(e.high, 1);
    assert_int_equal(e.low, 1);
    end_close(&e);
}

static void test_close_after_flush(void **state)
{
    (void)state;
    struct end e;
    static char block[1 << 20];
    size_t got = 0;
    end_open(&e);
    buf_add(&e.conn.out, block, sizeof(block));
    conn_close_after_flush(&e.conn);
    turn(&e);
    assert_int_equal(e.closed, 0);
    for (int i = 0; i < 64 && !e.closed; i++) {
        ssize_t n;
        while ((n = read(e.peer, block, sizeof(block))) > 0)
            got += (size_t)n;
        turn(&e);
    }
    assert_int_equal(e.closed, 1);
    ssize_t n;
    while ((n = read(e.peer, block, sizeof(block))) > 0)
        got += (size_t)n;
    assert_int_equal(got, sizeof(block));
    end_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eof_comes_after_the_data),
        cmocka_unit_test(test_no_reading_while_disabled),
        cmocka_unit_test(test_early_eof_while_disabled),
        cmocka_unit_test(test_bytes_left_over_come_again),
        cmocka_unit_test(test_water_marks),
        cmocka_unit_test(test_close_after_flush),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
