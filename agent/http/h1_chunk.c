/* Chunked coding (RFC 9112 7.1), a state machine over single bytes of framing; data goes through
 * in runs. Chunk extensions are checked against their grammar and dropped, without the optional
 * blanks of it, which nobody sends and some parsers take for the end of the line. */
#include "http/chars.h"
#include "http/h1_parse_private.h"

enum chunk_state {
    SIZE_FIRST, /* the first digit */
    SIZE,
    EXT_NAME_FIRST,
    EXT_NAME,
    EXT_VALUE_FIRST,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_QUOTED_PAIR,
    EXT_QUOTED_END,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    CHUNK_FAILED,
};

enum {
    /* Digits of INT64_MAX. More would be leading zeros or an overflow. */
    SIZE_DIGITS_MAX = 16,
    /* Bytes of extensions that may be ahead of the data they come with: else a peer could make
     * us read a hundred bytes for each one it delivers. */
    EXCESS_MAX = 16384,
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = str_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum chunk_state on_size(struct h1_parser *p, char c, bool is_first)
{
    int digit = hex_value(c);
    if (digit >= 0) {
        if (is_first)
            p->count = 0, p->left = 0;
        if (++p->count > SIZE_DIGITS_MAX || p->left > (INT64_MAX >> 4))
            return CHUNK_FAILED;
        p->left = p->left << 4 | (unsigned)digit;
        return SIZE;
    }
    if (is_first)
        return CHUNK_FAILED;
    return c == '\r' ? SIZE_LF : c == ';' ? EXT_NAME_FIRST : CHUNK_FAILED;
}

/* ";" name [ "=" ( token | quoted-string ) ] */
static enum chunk_state on_extension(enum chunk_state state, char c)
{
    bool is_token = char_is(c, CHAR_TOKEN);
    enum chunk_state end = c == '\r' ? SIZE_LF : c == ';' ? EXT_NAME_FIRST : CHUNK_FAILED;
    switch (state) {
    case EXT_NAME_FIRST:
        return is_token ? EXT_NAME : CHUNK_FAILED;
    case EXT_NAME:
        return is_token ? EXT_NAME : c == '=' ? EXT_VALUE_FIRST : end;
    case EXT_VALUE_FIRST:
        return is_token ? EXT_VALUE : c == '"' ? EXT_QUOTED : CHUNK_FAILED;
    case EXT_VALUE:
        return is_token ? EXT_VALUE : end;
    case EXT_QUOTED:
        return c == '"'                 ? EXT_QUOTED_END
               : c == '\\'              ? EXT_QUOTED_PAIR
               : char_is(c, CHAR_VALUE) ? EXT_QUOTED
                                        : CHUNK_FAILED;
    case EXT_QUOTED_PAIR:
        return char_is(c, CHAR_VALUE) ? EXT_QUOTED : CHUNK_FAILED;
    default:
        return end;
    }
}

static enum chunk_state on_framing(struct h1_parser *p, char c)
{
    enum chunk_state state = (enum chunk_state)p->chunk_state;
    switch (state) {
    case SIZE_FIRST:
    case SIZE:
        return on_size(p, c, state == SIZE_FIRST);
    case SIZE_LF:
        return c == '\n' ? DATA : CHUNK_FAILED;
    case DATA_CR:
        return c == '\r' ? DATA_LF : CHUNK_FAILED;
    case DATA_LF:
        return c == '\n' ? SIZE_FIRST : CHUNK_FAILED;
    default:
        return ++p->chunk_excess > EXCESS_MAX ? CHUNK_FAILED : on_extension(state, c);
    }
}

/* Takes a run of data, then goes on over framing until the next data, so that a caller sees as
 * few empty runs as can be. */
size_t h1_parse_chunked(struct h1_parser *p, struct str in, struct str *data_r)
{
    size_t i = 0;
    while (i < in.n && p->state == H1_BODY) {
        if (p->chunk_state != DATA) {
            p->chunk_state = on_framing(p, in.p[i++]);
            if (p->chunk_state == CHUNK_FAILED) {
                data_r->n = 0;
                return h1_fail(p, H1_ERROR_CODEC);
            }
            if (p->chunk_state == DATA && !p->left) {
                p->chunk_state = SIZE_FIRST;
                p->count = 0;
                p->state = H1_TRAILERS;
            }
            continue;
        }
        if (data_r->n)
            break;
        size_t n = in.n - i < p->left ? in.n - i : (size_t)p->left;
        *data_r = (struct str){in.p + i, n};
        i += n;
        p->left -= n;
        p->chunk_excess -= p->chunk_excess < n ? p->chunk_excess : n;
        if (!p->left)
            p->chunk_state = DATA_CR;
    }
    return i;
}
