/* Names out of encoded messages, and what counts as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/mem.h"
#include "xds/peek.h"

#define BYTES(lit)           \
    {                        \
        lit, sizeof(lit) - 1 \
    }

static const struct peek_case {
    const char *what;
    struct str msg;
    bool is_ok;
    const char *name; /* field 1 */
} peek_cases[] = {
    {"nothing", BYTES(""), true, ""},
    {"the name",
     BYTES("\x0a\x02"
           "ab"),
     true, "ab"},
    {"the last one wins",
     BYTES("\x0a\x01"
           "a\x0a\x01"
           "b"),
     true, "b"},
    {"among every kind of member",
     BYTES("\x10\x96\x01\x19"
           "12345678\x25"
           "1234\x2a\x01z\x0a\x01"
           "a"),
     true, "a"},
    {"field 1 as a number is not the name", BYTES("\x08\x01"), true, ""},
    {"cut off in a length", BYTES("\x0a"), false, ""},
    {"cut off in a string",
     BYTES("\x0a\x03"
           "ab"),
     false, ""},
    {"cut off after the name",
     BYTES("\x0a\x01"
           "a\x10"),
     false, "a"},
    {"cut off in a fixed member",
     BYTES("\x19"
           "1234567"),
     false, ""},
    {"a group", BYTES("\x0b\x0c"), false, ""},
    {"field 0", BYTES("\x02\x00"), false, ""},
    {"a length beyond everything", BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), false, ""},
    {"a number without end", BYTES("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), false, ""},
    {"a NUL in the name",
     BYTES("\x0a\x03"
           "a\0b"),
     false, ""},
    {"a name that is not UTF-8", BYTES("\x0a\x02\xc3("), false, ""},
};

static void test_peek(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(peek_cases); i++) {
        const struct peek_case *c = &peek_cases[i];
        struct str name;
        bool is_ok = peek_string(c->msg, 1, &name);
        if (is_ok != c->is_ok || !str_is(name, c->name))
            fail_msg("%s: %d '%.*s'", c->what, is_ok, STR_ARG(name));
    }
}

static const struct {
    const char *what;
    struct str text;
    size_t good;
} utf8_cases[] = {
    {"ASCII", BYTES("abc"), 3},
    {"NUL", BYTES("ab\0c"), 2},
    {"two bytes", BYTES("\xc3\xa4"), 2},
    {"three bytes", BYTES("\xe2\x82\xac"), 3},
    {"four bytes", BYTES("\xf0\x9f\x90\x9f"), 4},
    {"the last code point", BYTES("\xf4\x8f\xbf\xbf"), 4},
    {"beyond the last", BYTES("\xf4\x90\x80\x80"), 0},
    {"overlong slash", BYTES("a\xc0\xaf"), 1},
    {"overlong in three", BYTES("a\xe0\x9f\xbf"), 1},
    {"overlong in four", BYTES("a\xf0\x8f\xbf\xbf"), 1},
    {"a surrogate", BYTES("a\xed\xa0\x80"), 1},
    {"cut off", BYTES("a\xe2\x82"), 1},
    {"a lone continuation", BYTES("a\x80"), 1},
};

static void test_utf8(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(utf8_cases); i++) {
        size_t good = peek_utf8(utf8_cases[i].text);
        if (good != utf8_cases[i].good)
            fail_msg("%s: %zu", utf8_cases[i].what, good);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_peek), cmocka_unit_test(test_utf8)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
