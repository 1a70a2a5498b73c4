/* libFuzzer target: opens what it is given, and decodes each tensor whole and by rows, which must agree.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined fuzz.c -o fuzz && ./fuzz corpus ../../spec/vectors/valid ../../spec/vectors/invalid
 *
 * CRCs are not looked at in such a build (-fsanitize=fuzzer defines FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION), and the one of the index need not be right.
 */
#define SWS_IMPLEMENTATION
#include "sws.h"

#include <stdlib.h>

enum { MOST = 1 << 26 };

static void tensor(const sws_file *file, size_t i)
{
    sws_tensor t;
    sws_reader reader;
    size_t size, bytes, rows, k;
    uint8_t *memory, *out, *again;
    sws_status whole, by_rows;
    if (sws_info(file, i, &t) != SWS_OK) abort(); /* it has been checked */
    if (sws_decode_size(file, i, &size) != SWS_OK || size > MOST) return;
    bytes = (size_t)t.count * t.size;
    memory = malloc(size);
    out = malloc(bytes + 1);
    again = malloc(bytes + 1);
    whole = sws_decode(file, i, out, bytes, memory, size);
    if (whole == SWS_MEMORY) abort();
    by_rows = sws_begin(&reader, file, i, memory, size);
    rows = t.rank ? (size_t)t.shape[0] : 1;
    for (k = 0; by_rows == SWS_OK && k < rows && bytes; k++) by_rows = sws_rows(&reader, again + k * (bytes / rows), 1);
    if (whole != by_rows || (whole == SWS_OK && memcmp(out, again, bytes))) abort();
    free(memory);
    free(out);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t room = 256, i;
    uint8_t *memory = malloc(room);
    sws_file file;
    sws_status status;
    while ((status = sws_open(&file, data, size, memory, room)) == SWS_MEMORY && file.needed <= MOST) {
        free(memory);
        room = file.needed;
        memory = malloc(room);
    }
    if (status == SWS_OK) {
        file.limit = 1 << 18;
        for (i = 0; i < file.tensors && i < 16; i++) tensor(&file, i);
    }
    free(memory);
    return 0;
}
