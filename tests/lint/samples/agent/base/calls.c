/* free(p) in a comment is no call. */
void calls(char *a, const char *b)
{
    strcpy(a, b);
    log("sprintf(a)");
    snprintf(a, 1, "%s", b);
    x->free(a);
    mem_free(a);
    free(a);
    free(b); /* lint: free: the library hands out malloc'd text. */
    /* lint: malloc: this reason speaks of another call. */
    free(b);
    std::free(b);
    int n = atoi (b);
}
