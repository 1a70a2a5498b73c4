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

/* Where bits go. out: the next byte, and seven after it may be written. bits: the first ones that are not all there. */
typedef struct {
    uint8_t *out;
    uint64_t bits;
    unsigned used;
} Sink;

/* in words: of all symbols that occur; lengths of at most MAX_LENGTH. */
static void encode(const uint16_t *symbols, size_t n, const Word *words, Sink *sink)
{
    Sink own = *sink;
    size_t i = 0;
    while (i < n) {
        size_t stop = n - i < 4 ? n : i + 4;
        for (; i < stop; i++) {
            Word word = words[symbols[i]];
            own.bits |= (uint64_t)(word & 0xFFFF) << own.used;
            own.used += word >> 16;
        }
        put64(own.out, own.bits);
        own.out += own.used >> 3;
        own.bits >>= own.used & ~7u;
        own.used &= 7;
    }
    *sink = own;
}

/* The length of all codewords, or 0 where they are not alike. */
static unsigned common_length(const uint8_t *lengths, size_t alphabet)
{
    for (size_t s = 1; s < alphabet; s++)
        if (lengths[s] != lengths[0])
            return 0;
    return alphabet > 0 ? lengths[0] : 0;
}

/* The same for codewords of `length` bits each, which need not wait for each other. */
static void encode_fixed(const uint16_t *symbols, size_t n, const Word *words, unsigned length, Sink *sink)
{
    Sink own = *sink;
    size_t i = 0;
    for (; n - i >= 4; i += 4) {
        /* Of 12 bits and fewer: 48, and 7 that were left. */
        uint64_t low = (words[symbols[i]] & 0xFFFF) | (uint64_t)(words[symbols[i + 1]] & 0xFFFF) << length;
        uint64_t high = (words[symbols[i + 2]] & 0xFFFF) | (uint64_t)(words[symbols[i + 3]] & 0xFFFF) << length;
        own.bits |= (low | high << 2 * length) << own.used;
        own.used += 4 * length;
        put64(own.out, own.bits);
        own.out += own.used >> 3;
        own.bits >>= own.used & ~7u;
        own.used &= 7;
    }
    *sink = own;
    encode(symbols + i, n - i, words, sink);
}

/* Symbols of a bit at least whose bits are put aside first, so that nothing is written behind the end. */
enum { TAIL = 64 };

/* length: of all codewords, or 0. out out: the bytes that `bits` need. */
static void encode_all(const uint16_t *symbols, size_t n, const Word *words, unsigned length, uint64_t bits,
                       uint8_t *out)
{
    uint8_t tail[TAIL * MAX_LENGTH / 8 + 16];
    size_t tail_symbols = n < TAIL ? n : TAIL, head = n - tail_symbols;
    Sink sink = {out, 0, 0};
    if (length > 0)
        encode_fixed(symbols, head, words, length, &sink);
    else
        encode(symbols, head, words, &sink);
    size_t done = (size_t)(sink.out - out);
    sink.out = tail;
    put64(tail, sink.bits);
    encode(symbols + head, tail_symbols, words, &sink);
    memcpy(out + done, tail, (size_t)((bits + 7) / 8) - done);
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
        int complete = 1;
        unsigned length = common_length(lengths, alphabet);
        uint64_t bits = (uint64_t)n * length;
        if (length == 0) {
            Py_BEGIN_ALLOW_THREADS
            bits = complete_bits(symbols, n, lengths, &complete);
            Py_END_ALLOW_THREADS
        }
        Word *words = complete ? make_words(b[CODEWORDS].buf, lengths, alphabet) : NULL;
        PyObject *data = words != NULL ? PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((bits + 7) / 8)) : NULL;
        if (data != NULL) {
            uint8_t *out = (uint8_t *)PyBytes_AsString(data);
            Py_BEGIN_ALLOW_THREADS
            encode_all(symbols, n, words, length, bits, out);
            Py_END_ALLOW_THREADS
        }
        free(words);
        if (!complete)
            result = Py_NewRef(Py_None);
        else if (words == NULL)
            PyErr_NoMemory();
        else if (data != NULL)
            result = Py_BuildValue("NK", data, (unsigned long long)bits);
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
