/* Symbols to bits. */
#include "kernels.h"

/* The bits that `n` symbols take. in lengths: of all symbols that occur. */
static uint64_t stream_bits(const uint16_t *symbols, size_t n, const uint8_t *lengths)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += lengths[symbols[i]];
    return total;
}

/* The same; 0 in `complete` where a symbol has no codeword. */
static uint64_t complete_bits(const uint16_t *symbols, size_t n, const uint8_t *lengths, int *complete)
{
    uint64_t total = 0;
    unsigned missing = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned length = lengths[symbols[i]];
        missing |= length == 0;
        total += length;
    }
    *complete = !missing;
    return total;
}

/* A codeword in the low 16 bits, its length above them: one look for each symbol. */
typedef uint32_t Word;

static Word *make_words(const uint16_t *codewords, const uint8_t *lengths, size_t alphabet)
{
    Word *words = malloc((alphabet + 1) * sizeof *words);
    for (size_t s = 0; words != NULL && s < alphabet; s++)
        words[s] = codewords[s] | (Word)lengths[s] << 16;
    return words;
}

/* in words: of all symbols that occur; lengths of at most MAX_LENGTH.
 * out out: 8 bytes more than the stream of `n` symbols takes. */
static void encode(const uint16_t *symbols, size_t n, const Word *words, uint8_t *out)
{
    uint64_t bits = 0;
    unsigned used = 0;
    size_t i = 0;
    while (i < n) {
        size_t stop = n - i < 4 ? n : i + 4;
        for (; i < stop; i++) {
            Word word = words[symbols[i]];
            bits |= (uint64_t)(word & 0xFFFF) << used;
            used += word >> 16;
        }
        put64(out, bits);
        out += used >> 3;
        bits >>= used & ~7u;
        used &= 7;
    }
}

/* encode_symbols(symbols, codewords, lengths) -> (bytes, bits), or None where a symbol has no codeword */
PyObject *py_encode_symbols(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, CODEWORDS, LENGTHS, BUFFERS };
    Py_buffer b[BUFFERS];
    if (!PyArg_ParseTuple(args, "y*y*y*", &b[SYMBOLS], &b[CODEWORDS], &b[LENGTHS]))
        return NULL;
    PyObject *result = NULL;
    const uint16_t *symbols = b[SYMBOLS].buf;
    const uint8_t *lengths = b[LENGTHS].buf;
    size_t n = count_of(&b[SYMBOLS], 2), alphabet = count_of(&b[LENGTHS], 1);
    int sound = holds(&b[SYMBOLS], 2) && holds_exactly(&b[CODEWORDS], 2, alphabet);
    for (size_t s = 0; sound && s < alphabet; s++)
        sound = lengths[s] <= MAX_LENGTH;
    uint16_t most = 0;
    Py_BEGIN_ALLOW_THREADS
    if (sound)
        most = largest(symbols, n);
    Py_END_ALLOW_THREADS
    if (!sound) {
        refuse("encode_symbols");
    } else if (n > 0 && most >= alphabet) {
        PyErr_SetString(PyExc_ValueError, "encode_symbols: a symbol is outside of the alphabet");
    } else {
        uint8_t *out = NULL;
        uint64_t bits;
        int complete;
        Word *words = make_words(b[CODEWORDS].buf, lengths, alphabet);
        Py_BEGIN_ALLOW_THREADS
        bits = complete_bits(symbols, n, lengths, &complete);
        if (complete)
            out = malloc((size_t)(bits / 8) + 16);
        if (out != NULL && words != NULL)
            encode(symbols, n, words, out);
        Py_END_ALLOW_THREADS
        if (!complete)
            result = Py_NewRef(Py_None);
        else if (out == NULL || words == NULL)
            PyErr_NoMemory();
        else
            result = Py_BuildValue("y#K", (const char *)out, (Py_ssize_t)((bits + 7) / 8), (unsigned long long)bits);
        free(out);
        free(words);
    }
    release(b, BUFFERS);
    return result;
}

/* chunk_bits(symbols, lengths, chunk) -> bytes of int64, one for each chunk */
PyObject *py_chunk_bits(PyObject *self, PyObject *args)
{
    (void)self;
    enum { SYMBOLS, LENGTHS, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t chunk;
    if (!PyArg_ParseTuple(args, "y*y*n", &b[SYMBOLS], &b[LENGTHS], &chunk))
        return NULL;
    PyObject *result = NULL;
    const uint16_t *symbols = b[SYMBOLS].buf;
    const uint8_t *lengths = b[LENGTHS].buf;
    size_t n = count_of(&b[SYMBOLS], 2), count = chunk > 0 ? n / (size_t)chunk + (n % (size_t)chunk > 0) : 0;
    int sound = chunk > 0 && holds(&b[SYMBOLS], 2);
    uint16_t most = 0;
    Py_BEGIN_ALLOW_THREADS
    if (sound)
        most = largest(symbols, n);
    Py_END_ALLOW_THREADS
    if (!sound) {
        refuse("chunk_bits");
    } else if (n > 0 && most >= b[LENGTHS].len) {
        PyErr_SetString(PyExc_ValueError, "chunk_bits: a symbol is outside of the alphabet");
    } else if ((result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * sizeof(int64_t)))) != NULL) {
        int64_t *sums = (int64_t *)(void *)PyBytes_AsString(result);
        Py_BEGIN_ALLOW_THREADS
        for (size_t c = 0; c < count; c++) {
            size_t begin = c * (size_t)chunk, stop = n - begin < (size_t)chunk ? n : begin + (size_t)chunk;
            sums[c] = (int64_t)stream_bits(symbols + begin, stop - begin, lengths);
        }
        Py_END_ALLOW_THREADS
    }
    release(b, BUFFERS);
    return result;
}
