#include "net/client_hello.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint8_t hello[4096];
static size_t hello_n;

/* A real one, of OpenSSL. */
static int make_hello(void **state)
{
    static const unsigned char alpn[] = "\x05istio\x08http/1.1";
    (void)state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    SSL_set_tlsext_host_name(ssl, "Web.Example.COM");
    SSL_set_alpn_protos(ssl, alpn, sizeof(alpn) - 1);
    SSL_connect(ssl);
    hello_n = (size_t)BIO_read(out, hello, sizeof(hello));
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return hello_n > 100 ? 0 : -1;
}

static void assert_found(const uint8_t *p, size_t n)
{
    struct client_hello out;
    assert_int_equal(client_hello_parse(p, n, &out), CLIENT_HELLO_FOUND);
    assert_string_equal(out.server_name, "web.example.com");
    assert_int_equal(out.protocols_n, 2);
    assert_string_equal(out.protocols[0], "istio");
    assert_string_equal(out.protocols[1], "http/1.1");
}

static void test_real(void **state)
{
    struct client_hello out;
    (void)state;
    assert_found(hello, hello_n);
    for (size_t n = 0; n < hello_n; n++)
        if (client_hello_parse(hello, n, &out) != CLIENT_HELLO_MORE)
            fail_msg("the first %zu bytes are enough", n);
}

static void test_several_records(void **state)
{
    uint8_t split[8192];
    size_t n = 0;
    (void)state;
    for (size_t at = 5; at < hello_n; at += 7) {
        size_t part = hello_n - at < 7 ? hello_n - at : 7;
        const uint8_t header[] = {22, 3, 1, 0, (uint8_t)part};
        memcpy(split + n, header, sizeof(header));
        memcpy(split + n + sizeof(header), hello + at, part);
        n += sizeof(header) + part;
    }
    assert_found(split, n);
}

static const struct {
    const char *name, *bytes;
    size_t n;
    enum client_hello_result want;
} cases[] = {
    {"http", "GET / HTTP/1.1\r\n", 16, CLIENT_HELLO_NONE},
    {"alert", "\x15\x03\x01\x00\x02\x01\x00", 7, CLIENT_HELLO_NONE},
    {"old version", "\x16\x02\x00", 3, CLIENT_HELLO_NONE},
    {"empty record", "\x16\x03\x01\x00\x00", 5, CLIENT_HELLO_NONE},
    {"record too long", "\x16\x03\x01\x40\x01", 5, CLIENT_HELLO_NONE},
    {"another message", "\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9, CLIENT_HELLO_NONE},
    {"no body", "\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9, CLIENT_HELLO_NONE},
    {"says it is too large", "\x16\x03\x01\x00\x04\x01\x00\x41\x00", 9, CLIENT_HELLO_TOO_LARGE},
    {"a beginning", "\x16", 1, CLIENT_HELLO_MORE},
};

static void test_others(void **state)
{
    struct client_hello out;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (client_hello_parse((const uint8_t *)cases[i].bytes, cases[i].n, &out) != cases[i].want)
            fail_msg("%s", cases[i].name);
}

/* Every byte changed: whatever it is then, the name that is found is a name. */
static void test_changed(void **state)
{
    struct client_hello out;
    (void)state;
    for (size_t i = 0; i < hello_n; i++) {
        uint8_t copy[sizeof(hello)];
        memcpy(copy, hello, hello_n);
        copy[i] ^= 0xff;
        if (client_hello_parse(copy, hello_n, &out) == CLIENT_HELLO_FOUND)
            assert_int_equal(strspn(out.server_name, "abcdefghijklmnopqrstuvwxyz0123456789-._"),
                             strlen(out.server_name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_several_records),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_changed),
    };
    return cmocka_run_group_tests(tests, make_hello, NULL);
}
