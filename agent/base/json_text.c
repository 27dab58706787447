#include "base/json_text.h"

/* Length of the UTF-8 sequence at p, 0: it is none. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t want = *p >= 0xf0 && *p < 0xf5 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 ? 2 : 0;
    if (*p >= 0xf5 || !want || want > n)
        return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool is_overlong = (*p == 0xe0 && p[1] < 0xa0) || (*p == 0xf0 && p[1] < 0x90);
    bool is_outside = (*p == 0xed && p[1] > 0x9f) || (*p == 0xf4 && p[1] > 0x8f);
    return is_overlong || is_outside ? 0 : want;
}

void json_text_add(struct sbuf *out, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
    sbuf_addc(out, '"');
    while (p < end) {
        size_t n = *p < 0x80 ? 1 : utf8_length(p, (size_t)(end - p));
        if (*p == '"' || *p == '\\') {
            sbuf_addc(out, '\\');
            sbuf_addc(out, (char)*p);
        } else if (*p == '\n' || *p == '\r' || *p == '\t' || *p == '\b' || *p == '\f') {
            const char names[] = "btn\0fr";
            sbuf_addc(out, '\\');
            sbuf_addc(out, names[*p - '\b']);
        } else if (*p < ' ' || *p == 0x7f || !n) {
            sbuf_printf(out, "\\u%04x", *p);
            n = 1;
        } else {
            sbuf_add(out, (const char *)p, n);
        }
        p += n;
    }
    sbuf_addc(out, '"');
}
