void mem_free(void *p)
{
    free(p);
}
