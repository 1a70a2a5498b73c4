/* Chunks of interleaved rANS to the elements of a matrix. */
#include "kernels.h"

#include "rans_chunk.h"

/* Whether each table has the sum 2^bits. */
static int are_frequencies(const uint16_t *frequencies, int bits, size_t pairs, size_t alphabet)
{
    for (size_t i = 0; i < pairs; i++) {
        size_t sum = 0;
        for (size_t s = 0; s < alphabet; s++)
            sum += frequencies[i * alphabet + s];
        if (sum != (size_t)1 << bits)
            return 0;
    }
    return 1;
}

/* Memory for tables that the call before has left, if there is some: what the system gives must be cleared first, which
 * takes as long as it takes to decode a small matrix. Touched with Python's lock alone. */
enum { MOST_SPARE = 1 << 21 };
static void *spare;

static void *take_memory(size_t bytes)
{
    void *memory = bytes <= MOST_SPARE ? spare : NULL;
    if (memory != NULL) {
        spare = NULL;
        return memory;
    }
    return malloc(bytes <= MOST_SPARE ? MOST_SPARE : bytes);
}

static void give_memory(void *memory, size_t bytes)
{
    if (spare == NULL && bytes <= MOST_SPARE)
        spare = memory;
    else
        free(memory);
}

/* Chunks `first` to last - 1, of `chunk` rows each. in starts: the bytes where they start; last + 1 of them.
 * out out: the elements of the whole matrix, of which those of these chunks are written.
 * Returns FINE, NO_MEMORY, or the bad chunk. */
static Py_ssize_t decode_chunks(const ChunkDecoder *d, const Classes *c, const uint8_t *data, const int64_t *starts,
                                size_t chunk, size_t first, size_t last, uint8_t *out)
{
    for (size_t i = first; i < last; i++) {
        Classes own = *c;
        uint32_t *order;
        own.rows += i * chunk;
        own.row_count = c->row_count - i * chunk < chunk ? c->row_count - i * chunk : chunk;
        if (!rows_by_class(&own, &order))
            return NO_MEMORY;
        int fine = decode_rans_chunk(d, &own, order, data + starts[i], (size_t)(starts[i + 1] - starts[i]),
                                     out + i * chunk * c->column_count * (size_t)d->bytes);
        free(order);
        if (!fine)
            return (Py_ssize_t)i;
    }
    return FINE;
}

/* rans_decode(data, starts, chunk, first, last, classes, frequencies, bits, lanes, elements,
 *             itemsize, vectors, out) -> -1, or the bad chunk */
PyObject *py_rans_decode(PyObject *self, PyObject *args)
{
    (void)self;
    enum { DATA, STARTS, ROWS, COLUMNS, FREQUENCIES, ELEMENTS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t chunk, first, last, row_classes, column_classes, lanes;
    int bits, bytes, vectors;
    if (!PyArg_ParseTuple(args, "y*y*nnn(y*y*nn)y*iny*ipw*", &b[DATA], &b[STARTS], &chunk, &first, &last, &b[ROWS],
                          &b[COLUMNS], &row_classes, &column_classes, &b[FREQUENCIES], &bits, &lanes, &b[ELEMENTS],
                          &bytes, &vectors, &b[OUT]))
        return NULL;
    PyObject *result = NULL;
    const int64_t *s = b[STARTS].buf;
    Classes c = {b[ROWS].buf, b[COLUMNS].buf, (size_t)b[ROWS].len, (size_t)b[COLUMNS].len, (size_t)row_classes,
                 (size_t)column_classes};
    size_t alphabet = bytes > 0 ? (size_t)b[ELEMENTS].len / (size_t)bytes : 0;
    int sound = (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) && alphabet >= 1 &&
                alphabet <= MAX_RANS_ALPHABET && bits >= MIN_RANS_BITS && bits <= MAX_RANS_BITS && is_lanes(lanes) &&
                chunk > 0 && first >= 0 && first <= last && are_classes(&c) && c.row_count <= UINT32_MAX &&
                (size_t)(b[OUT].len / bytes) / c.column_count >= c.row_count && holds(&b[STARTS], sizeof *s) &&
                count_of(&b[STARTS], sizeof *s) > (size_t)last &&
                (last == 0 || (c.row_count > 0 && (size_t)(last - 1) <= (c.row_count - 1) / (size_t)chunk)) &&
                holds_exactly(&b[FREQUENCIES], 2, c.row_classes * c.column_classes * alphabet) &&
                are_frequencies(b[FREQUENCIES].buf, bits, c.row_classes * c.column_classes, alphabet);
    for (Py_ssize_t i = first; sound && i <= last; i++)
        sound = s[i] >= 0 && s[i] <= b[DATA].len && (i == first || s[i] >= s[i - 1]);
    if (sound) {
        Py_ssize_t bad = NO_MEMORY;
        Frequencies f = {b[FREQUENCIES].buf, &c, alphabet, bits};
        size_t bytes_of_memory = bytes_of_tables(&f);
        void *memory = take_memory(bytes_of_memory);
        if (memory != NULL) {
            Py_BEGIN_ALLOW_THREADS
            RansTables *t = put_rans_tables(&f, b[ELEMENTS].buf, bytes, memory);
            ChunkDecoder d = {t, decoder_of((size_t)lanes, vectors), bit_decoder_of((size_t)lanes, vectors),
                              (size_t)lanes, b[ELEMENTS].buf, bytes};
            bad = decode_chunks(&d, &c, b[DATA].buf, s, (size_t)chunk, (size_t)first, (size_t)last, b[OUT].buf);
            Py_END_ALLOW_THREADS
            give_memory(memory, bytes_of_memory);
        }
        result = bad == NO_MEMORY ? PyErr_NoMemory() : PyLong_FromSsize_t(bad);
    } else {
        refuse("rans_decode");
    }
    release(b, BUFFERS);
    return result;
}
