/* Http1ProtocolOptions.header_key_format: letters of header names. The two that keep them hold for
 * heads that are read, the others for those that are written. */
#ifndef CONF_HEADER_CASE_H
#define CONF_HEADER_CASE_H

enum conf_header_case {
    CONF_CASE_LOWER,
    CONF_CASE_PROPER,          /* proper_case_words */
    CONF_CASE_PRESERVE,        /* preserve_case; names of our own in lower case, */
    CONF_CASE_PRESERVE_PROPER, /* or with capitals */
};

#endif
