#include "netfilter/check.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { INTERFACE_MAX = 15, OWNER_MAX = 32 };

static bool is_port_number(struct str s)
{
    uint64_t value;
    return s.n <= 5 && str_to_u64(s, UINT16_MAX, &value);
}

bool check_port(struct str word)
{
    ptrdiff_t colon = str_find(word, ':');
    if (colon < 0)
        return is_port_number(word);
    struct str low = {word.p, (size_t)colon};
    struct str high = {word.p + colon + 1, word.n - (size_t)colon - 1};
    return is_port_number(low) && is_port_number(high);
}

static bool is_name_byte(char c)
{
    return (c >= '0' && c <= '9') || (str_lower(c) >= 'a' && str_lower(c) <= 'z') || c == '_' ||
           c == '-' || c == '.';
}

static bool is_name(struct str word, size_t max, const char *more)
{
    if (!word.n || word.n > max || word.p[0] == '-')
        return false;
    for (size_t i = 0; i < word.n; i++)
        if (!is_name_byte(word.p[i]) && !(word.p[i] && strchr(more, word.p[i])))
            return false;
    return true;
}

bool check_owner(struct str word)
{
    return is_name(word, OWNER_MAX, "$");
}

bool check_interface(struct str word)
{
    return is_name(word, INTERFACE_MAX, "+@=:~#%");
}

bool check_number(struct str word, uint32_t *value_r)
{
    uint64_t value = 0;
    if (!str_starts(word, STR("0x"))) {
        bool ok = str_to_u64(word, UINT32_MAX, &value);
        *value_r = (uint32_t)value;
        return ok;
    }
    if (word.n < 3 || word.n > 10)
        return false;
    for (size_t i = 2; i < word.n; i++) {
        char c = str_lower(word.p[i]);
        if (c >= '0' && c <= '9')
            value = value * 16 + (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (unsigned)(c - 'a') + 10;
        else
            return false;
    }
    *value_r = (uint32_t)value;
    return true;
}

bool check_cidr(struct str word, struct cidr *cidr_r)
{
    char address[INET6_ADDRSTRLEN], shortest[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    uint64_t prefix_len;
    ptrdiff_t slash = str_find(word, '/');

    if (slash <= 0 || (size_t)slash >= sizeof(address))
        return false;
    memcpy(address, word.p, (size_t)slash);
    address[slash] = 0;
    if (strlen(address) != (size_t)slash)
        return false;
    cidr_r->is_v6 = strchr(address, ':') != NULL;
    int family = cidr_r->is_v6 ? AF_INET6 : AF_INET;
    struct str rest = {word.p + slash + 1, word.n - (size_t)slash - 1};
    if (inet_pton(family, address, bytes) != 1 ||
        !str_to_u64(rest, cidr_r->is_v6 ? 128 : 32, &prefix_len))
        return false;
    static const unsigned char loopback_v6[16] = {[15] = 1};
    cidr_r->is_loopback = cidr_r->is_v6 ? memcmp(bytes, loopback_v6, 16) == 0 : bytes[0] == 127;
    cidr_r->prefix_len = (unsigned)prefix_len;
    inet_ntop(family, bytes, shortest, sizeof(shortest));
    snprintf(cidr_r->text, sizeof(cidr_r->text), "%s/%u", shortest, cidr_r->prefix_len);
    return true;
}
