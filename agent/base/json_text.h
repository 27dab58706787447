/* JSON that is written as it comes, without a tree. [any] thread. Source: RFC 8259. */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include "base/str.h"

/* Appends a string with its quotes; bytes that are no UTF-8 stand as if they were Latin-1. */
void json_text_add(struct sbuf *out, struct str s);

#endif
