#include "xds/rest_target.h"

#include <string.h>

/* What may stand in a URL as it is. */
static bool is_host_name(const char *name)
{
    return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789.-_")] == 0;
}

static CURLcode set_pem(CURL *easy, const struct xds_pem *pem, CURLoption file, CURLoption blob)
{
    struct curl_blob bytes = {(void *)pem->text.p, pem->text.n, CURL_BLOB_COPY};
    if (pem->path)
        return curl_easy_setopt(easy, file, pem->path);
    return pem->text.n ? curl_easy_setopt(easy, blob, &bytes) : CURLE_OK;
}

static int set_tls(CURL *easy, const struct xds_tls *tls, struct error *err)
{
    if (!tls->ca.path && !tls->ca.text.n)
        return error_set(err, ERR_INVALID, "TLS: a trusted CA is missing");
    /* Nobody's authorities but those of the bootstrap. */
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (set_pem(easy, &tls->ca, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB) ||
        set_pem(easy, &tls->cert, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB) ||
        set_pem(easy, &tls->key, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB))
        return error_set(err, ERR_UNSUPPORTED, "TLS: libcurl takes no certificates");
    return 0;
}

/* The URL has the name that is verified, the connection goes to the address all the same. */
static int set_name(const char *name, const char *address, bool is_unix, struct sbuf *host,
                    struct curl_slist **connect_to, struct error *err)
{
    const char *port = is_unix ? NULL : strrchr(address, ':');
    struct sbuf to = {0};
    if (!is_host_name(name))
        return error_set(err, ERR_INVALID, "TLS: '%s' is no host name", name);
    sbuf_printf(host, "%s%s", name, port ? port : "");
    if (!is_unix) {
        sbuf_printf(&to, "::%s", address);
        *connect_to = curl_slist_append(NULL, to.p);
        sbuf_fini(&to);
    }
    return 0;
}

int rest_set_target(CURL *easy, const struct xds_target *t, const char *path,
                    struct curl_slist **connect_to_r, struct error *err)
{
    const char *address = t->address;
    const char *name = t->tls ? t->tls->name : NULL;
    bool is_unix = str_starts(str_of(address), STR("unix:"));
    struct sbuf host = {0}, url = {0};
    int rc = 0;
    *connect_to_r = NULL;
    if (is_unix)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, address + 5);
    else if (str_starts(str_of(address), STR("dns:///")))
        address += 7;
    if (name)
        rc = set_name(name, address, is_unix, &host, connect_to_r, err);
    else
        sbuf_addz(&host, is_unix ? "localhost" : address);
    if (!rc && t->tls)
        rc = set_tls(easy, t->tls, err);
    if (!rc) {
        sbuf_printf(&url, "%s://%s/v3/discovery:%s", t->tls ? "https" : "http", host.p, path);
        curl_easy_setopt(easy, CURLOPT_URL, url.p);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, t->tls ? "https" : "http");
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_CONNECT_TO, *connect_to_r);
    }
    sbuf_fini(&host);
    sbuf_fini(&url);
    return rc;
}
