#include "net/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\x0a\0\0\x01\x0a\0\0\x02\x12\x34\0\x50"
#define V6                                                           \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0" \
    "\0\0\0\0\0\0\0\0\0\x02\x12\x34\x01\xbb"
#define BYTES(x) x, sizeof(x) - 1

static const struct {
    const char *name, *bytes;
    size_t n;
    enum proxy_protocol_result want;
    const char *source, *destination; /* NULL: local */
    size_t behind;                    /* bytes of the input that are not the header's */
} cases[] = {
    {"v1", BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 1000 80\r\nGET"), PROXY_PROTOCOL_FOUND,
     "10.0.0.1:1000", "10.0.0.2:80", 3},
    {"v1 IPv6", BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 1000 80\r\n"), PROXY_PROTOCOL_FOUND,
     "[2001:db8::1]:1000", "[2001:db8::2]:80", 0},
    {"v1 blanks at the end", BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 1000 80 \r\n"),
     PROXY_PROTOCOL_FOUND, "10.0.0.1:1000", "10.0.0.2:80", 0},
    {"v1 unknown", BYTES("PROXY UNKNOWN\r\n"), PROXY_PROTOCOL_FOUND, NULL, NULL, 0},
    {"v1 unknown with words", BYTES("PROXY UNKNOWN ffff::1 x y 1 2\r\n"), PROXY_PROTOCOL_FOUND,
     NULL, NULL, 0},
    {"v1 no CR", BYTES("PROXY UNKNOWN\n"), PROXY_PROTOCOL_MORE, NULL, NULL, 0},
    {"v1 lower case", BYTES("proxy TCP4 10.0.0.1 10.0.0.2 1000 80\r\n"), PROXY_PROTOCOL_NONE, NULL,
     NULL, 0},
    {"v1 other protocol", BYTES("PROXY UDP4 10.0.0.1 10.0.0.2 1000 80\r\n"), PROXY_PROTOCOL_BAD,
     NULL, NULL, 0},
    {"v1 family differs", BYTES("PROXY TCP4 ::1 10.0.0.2 1000 80\r\n"), PROXY_PROTOCOL_BAD, NULL,
     NULL, 0},
    {"v1 port too large", BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 65536 80\r\n"), PROXY_PROTOCOL_BAD,
     NULL, NULL, 0},
    {"v1 port with a sign", BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 +1 80\r\n"), PROXY_PROTOCOL_BAD,
     NULL, NULL, 0},
    {"v1 a word more", BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 1 80 x\r\n"), PROXY_PROTOCOL_BAD, NULL,
     NULL, 0},
    {"v1 a word less", BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL,
     0},
    {"v1 any address", BYTES("PROXY TCP4 0.0.0.0 10.0.0.2 1 80\r\n"), PROXY_PROTOCOL_BAD, NULL,
     NULL, 0},
    {"v1 multicast", BYTES("PROXY TCP4 10.0.0.1 224.0.0.1 1 80\r\n"), PROXY_PROTOCOL_BAD, NULL,
     NULL, 0},
    {"v1 multicast IPv6", BYTES("PROXY TCP6 ff02::1 ::2 1 80\r\n"), PROXY_PROTOCOL_BAD, NULL, NULL,
     0},
    {"v1 without a protocol", BYTES("PROXY \r\n"), PROXY_PROTOCOL_BAD, NULL, NULL, 0},
    {"v1 as a beginning", BYTES("PRO"), PROXY_PROTOCOL_MORE, NULL, NULL, 0},
    {"http", BYTES("GET / HTTP/1.1\r\n"), PROXY_PROTOCOL_NONE, NULL, NULL, 0},
    {"close to v1", BYTES("PROXYX"), PROXY_PROTOCOL_NONE, NULL, NULL, 0},
    {"v2", BYTES(SIGNATURE "\x21\x11\0\x0c" V4 "GET"), PROXY_PROTOCOL_FOUND, "10.0.0.1:4660",
     "10.0.0.2:80", 3},
    {"v2 IPv6", BYTES(SIGNATURE "\x21\x21\0\x24" V6), PROXY_PROTOCOL_FOUND, "[2001:db8::1]:4660",
     "[2001:db8::2]:443", 0},
    {"v2 of datagrams", BYTES(SIGNATURE "\x21\x12\0\x0c" V4), PROXY_PROTOCOL_FOUND, "10.0.0.1:4660",
     "10.0.0.2:80", 0},
    {"v2 local", BYTES(SIGNATURE "\x20\0\0\0"), PROXY_PROTOCOL_FOUND, NULL, NULL, 0},
    {"v2 local with a rest",
     BYTES(SIGNATURE "\x20\x11\0\x03"
                     "abc"),
     PROXY_PROTOCOL_FOUND, NULL, NULL, 0},
    {"v2 TLV", BYTES(SIGNATURE "\x21\x11\0\x10" V4 "\x01\0\x01z"), PROXY_PROTOCOL_FOUND,
     "10.0.0.1:4660", "10.0.0.2:80", 0},
    {"v2 TLV without a value", BYTES(SIGNATURE "\x21\x11\0\x0f" V4 "\x01\0\0"),
     PROXY_PROTOCOL_FOUND, "10.0.0.1:4660", "10.0.0.2:80", 0},
    {"v2 TLV too long", BYTES(SIGNATURE "\x21\x11\0\x10" V4 "\x01\0\x02z"), PROXY_PROTOCOL_BAD,
     NULL, NULL, 0},
    {"v2 TLV cut", BYTES(SIGNATURE "\x21\x11\0\x0e" V4 "\x01\0"), PROXY_PROTOCOL_BAD, NULL, NULL,
     0},
    {"v2 version 1", BYTES(SIGNATURE "\x11\x11\0\x0c" V4), PROXY_PROTOCOL_BAD, NULL, NULL, 0},
    {"v2 another command", BYTES(SIGNATURE "\x22\x11\0\x0c" V4), PROXY_PROTOCOL_BAD, NULL, NULL, 0},
    {"v2 Unix", BYTES(SIGNATURE "\x21\x31\0\xd8"), PROXY_PROTOCOL_BAD, NULL, NULL, 0},
    {"v2 no transport", BYTES(SIGNATURE "\x21\x10\0\x0c" V4), PROXY_PROTOCOL_BAD, NULL, NULL, 0},
    {"v2 too short for addresses", BYTES(SIGNATURE "\x21\x21\0\x0c" V4), PROXY_PROTOCOL_BAD, NULL,
     NULL, 0},
    {"v2 as a beginning", BYTES("\r\n\r\n"), PROXY_PROTOCOL_MORE, NULL, NULL, 0},
    {"v2 not quite", BYTES("\r\n\r\n\0\r\nQUIT\r"), PROXY_PROTOCOL_NONE, NULL, NULL, 0},
};

static void assert_address(const char *name, const struct addr *a, const char *want)
{
    char text[ADDR_TEXT_MAX];
    if (strcmp(addr_format(a, text), want) != 0)
        fail_msg("%s: %s", name, text);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct proxy_protocol o;
        const uint8_t *p = (const uint8_t *)cases[i].bytes;
        enum proxy_protocol_result rc = proxy_protocol_parse(p, cases[i].n, &o);
        if (rc != cases[i].want)
            fail_msg("%s: %d", cases[i].name, (int)rc);
        if (rc != PROXY_PROTOCOL_FOUND)
            continue;
        assert_int_equal(cases[i].n - o.len, cases[i].behind);
        if (o.is_local != !cases[i].source)
            fail_msg("%s: local", cases[i].name);
        if (cases[i].source) {
            assert_address(cases[i].name, &o.source, cases[i].source);
            assert_address(cases[i].name, &o.destination, cases[i].destination);
        }
        for (size_t n = 0; n < o.len; n++) /* as it comes byte by byte */
            if (proxy_protocol_parse(p, n, &o) != PROXY_PROTOCOL_MORE)
                fail_msg("%s: the first %zu bytes are enough", cases[i].name, n);
    }
}

static void test_long_line(void **state)
{
    uint8_t line[256];
    struct proxy_protocol o;
    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(proxy_protocol_parse(line, 107, &o), PROXY_PROTOCOL_MORE);
    assert_int_equal(proxy_protocol_parse(line, 108, &o), PROXY_PROTOCOL_BAD);
    memcpy(line + 106, "\r\n", 2);
    assert_int_equal(proxy_protocol_parse(line, 256, &o), PROXY_PROTOCOL_FOUND);
}

/* What is written is read as the same. */
static void test_round(void **state)
{
    static const char *const pairs[][2] = {{"10.1.2.3", "10.4.5.6"},
                                           {"2001:db8::1", "2001:db8::2"}};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct addr a, b;
        struct proxy_protocol o;
        struct sbuf out = {0}, tlvs = {0};
        addr_from_ip(str_of(pairs[i / 2][0]), 12345, &a, NULL);
        addr_from_ip(str_of(pairs[i / 2][1]), 443, &b, NULL);
        assert_true(proxy_protocol_add_tlv(&tlvs, 0x02, STR("a.test")));
        assert_true(proxy_protocol_add_tlv(&tlvs, 0xe0, STR("")));
        proxy_protocol_write(i % 2 + 1, &a, &b, (struct str){tlvs.p, tlvs.n}, &out);
        const uint8_t *p = (const uint8_t *)out.p;
        assert_int_equal(proxy_protocol_parse(p, out.n, &o), PROXY_PROTOCOL_FOUND);
        assert_int_equal(o.version, i % 2 + 1);
        assert_true(addr_eq(&o.source, &a) && addr_eq(&o.destination, &b));
        assert_int_equal(o.len, out.n);
        size_t at = 0, n = 0;
        uint8_t type;
        struct str value;
        while (proxy_protocol_next_tlv(p + o.tlvs_at, o.len - o.tlvs_at, &at, &type, &value)) {
            assert_int_equal(type, n ? 0xe0 : 0x02);
            assert_int_equal(value.n, n ? 0 : 6);
            n++;
        }
        assert_int_equal(n, i % 2 ? 2 : 0);
        sbuf_fini(&out);
        sbuf_fini(&tlvs);
    }
}

static void test_local(void **state)
{
    struct addr a, b;
    (void)state;
    addr_from_ip(STR("10.0.0.1"), 1, &a, NULL);
    addr_from_ip(STR("::1"), 1, &b, NULL);
    for (unsigned version = 1; version <= 2; version++) {
        struct sbuf out = {0};
        struct proxy_protocol o;
        proxy_protocol_write(version, &a, &b, STR("ignored"), &out);
        assert_int_equal(proxy_protocol_parse((const uint8_t *)out.p, out.n, &o),
                         PROXY_PROTOCOL_FOUND);
        assert_true(o.is_local && o.version == version && o.len == out.n);
        sbuf_fini(&out);
    }
}

static void test_tlvs_are_bounded(void **state)
{
    static char big[40000];
    struct sbuf tlvs = {0};
    (void)state;
    assert_true(proxy_protocol_add_tlv(&tlvs, 1, (struct str){big, sizeof(big)}));
    assert_false(proxy_protocol_add_tlv(&tlvs, 1, (struct str){big, sizeof(big)}));
    sbuf_fini(&tlvs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_tlvs_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
