/* Requests that turn their stream into bytes both ways: HTTP/1.1 upgrades (WebSocket), CONNECT,
 * and HTTP/2's extended CONNECT, which inside the proxy has the form of an HTTP/1.1 upgrade.
 * [worker]
 * Source: RFC 9110 7.8 and 9.3.6, RFC 8441 4; Envoy's upgrade_configs. */
#ifndef HTTP_UPGRADE_H
#define HTTP_UPGRADE_H

#include "http/stream.h"

enum upgrade_verdict {
    UPGRADE_ALLOWED,
    UPGRADE_REFUSED,
    UPGRADE_UNROUTED, /* refused, and there is no route either */
};

/* What the request asks for: an upgrade's type, "CONNECT", or STR_NULL. Of the stream's arena. */
struct str upgrade_wanted(struct stream *s);
/* Of that type, in any case of letters; NULL: none. */
const struct conf_upgrade *upgrade_find(const struct conf_upgrade *v, size_t n, struct str type);
/* Whether the route, or else the connection manager, lets this request have it. */
enum upgrade_verdict upgrade_judge(struct stream *s, struct str type);
/* Puts the fields of the hop back that an upgrade needs, as they came. */
void upgrade_mark(struct headers *h, struct str connection, struct str type);
/* The response takes the upgrade: from here on there are bytes, and no framing. */
bool upgrade_is_taken(const struct stream *s, unsigned status);

/* Extended CONNECT becomes an upgrade of HTTP/1.1's form; other requests stay. */
void upgrade_from_h2(struct headers *h);
/* The head of a response to it, in HTTP/2's form. */
void upgrade_response_to_h2(struct headers *h);

#endif
