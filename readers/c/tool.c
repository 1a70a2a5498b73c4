/* What is in .sws files, by the reader of sws.h: `tool FILE…` prints a line of JSON for each file: its error, or metadata and tensors with their elements
 * in hexadecimal (read whole and row by row, which must be the same), and the memory that each takes. */
#define SWS_IMPLEMENTATION
#include "sws.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[] = {"ok", "not-sws", "version", "truncated", "checksum", "index", "limit", "payload", "unknown-coding", "memory"};

static const char *const dtypes[SWS_DTYPES] = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64", "C128",
    "C32", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "F4_X2"};

static void text(const char *p, size_t n)
{
    putchar('"');
    for (; n; n--, p++) {
        if (*p == '"' || *p == '\\') printf("\\%c", *p);
        else if ((unsigned char)*p < 32) printf("\\u%04x", *p);
        else putchar(*p);
    }
    putchar('"');
}

/* Memory of exactly n bytes, so that a sanitizer sees every byte beyond. */
static void *exactly(size_t n) { return n ? malloc(n) : NULL; }

static void tensor(const sws_file *file, size_t i)
{
    sws_tensor t;
    sws_reader reader;
    size_t size = 0, bytes, k, rows;
    unsigned d;
    uint8_t *memory, *out, *again;
    sws_status status = sws_info(file, i, &t);
    printf("%s{\"name\":", i ? "," : "");
    text((const char *)t.name, t.name_length);
    printf(",\"coding\":%u,\"dtype\":\"%s\",\"shape\":[", t.coding, t.dtype < SWS_DTYPES ? dtypes[t.dtype] : "unknown");
    for (d = 0; d < t.rank; d++) printf("%s%llu", d ? "," : "", (unsigned long long)t.shape[d]);
    printf("]");
    if (t.tensor != i) printf(",\"alias\":%zu", t.tensor);
    if (status == SWS_OK) status = sws_decode_size(file, i, &size);
    if (status != SWS_OK) {
        printf(",\"error\":\"%s\"}", names[status]);
        return;
    }
    bytes = (size_t)t.count * t.size;
    memory = exactly(size);
    out = exactly(bytes);
    again = exactly(bytes);
    status = sws_decode(file, i, out, bytes, memory, size);
    if (status == SWS_OK) {
        rows = t.rank ? (size_t)t.shape[0] : 1;
        status = sws_begin(&reader, file, i, memory, size);
        for (k = 0; status == SWS_OK && k < rows && bytes; k++) status = sws_rows(&reader, again + k * (bytes / rows), 1);
        if (status == SWS_OK && bytes && memcmp(out, again, bytes)) printf(",\"rows\":\"differ\"");
        if (status != SWS_OK) printf(",\"rows\":\"%s\"", names[status]);
    } else if (sws_begin(&reader, file, i, memory, size) == SWS_OK) printf(",\"rows\":\"accepted\"");
    if (status != SWS_OK) printf(",\"error\":\"%s\"", names[status]);
    else {
        printf(",\"memory\":%zu,\"hex\":\"", size);
        for (k = 0; k < bytes; k++) printf("%02x", out[k]);
        printf("\"");
    }
    printf("}");
    free(memory);
    free(out);
    free(again);
}

int main(int count, char **paths)
{
    int p;
    for (p = 1; p < count; p++) {
        FILE *stream = fopen(paths[p], "rb");
        uint8_t *data, *memory = NULL;
        size_t size, room = 0, i, key_length, value_length;
        const char *key, *value;
        sws_file file;
        sws_status status;
        if (!stream) return 1;
        fseek(stream, 0, SEEK_END);
        size = (size_t)ftell(stream);
        rewind(stream);
        data = exactly(size);
        if (size && fread(data, 1, size, stream) != size) return 1;
        fclose(stream);
        while ((status = sws_open(&file, data, size, memory, room)) == SWS_MEMORY) {
            free(memory);
            room = file.needed;
            memory = exactly(room);
        }
        if (status != SWS_OK) printf("{\"error\":\"%s\",\"at\":%zu}\n", names[status], file.error_at);
        else {
            printf("{\"memory\":%zu,\"metadata\":{", file.used);
            for (i = 0; sws_metadata(&file, i, &key, &key_length, &value, &value_length); i++) {
                if (i) printf(",");
                text(key, key_length);
                printf(":");
                text(value, value_length);
            }
            printf("},\"tensors\":[");
            for (i = 0; i < file.tensors; i++) tensor(&file, i);
            printf("]}\n");
        }
        free(memory);
        free(data);
    }
    return 0;
}
