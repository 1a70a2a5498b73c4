/* How few bits the runs of a bitmap take, as it is, or after what it repeats is taken out (spec 6.5). */
#include "kernels.h"

enum { MAX_STRIDE_OF_RUNS = 64 };

/* Where a bitmap of `n` >= 1 bits differs from the bit before, which is 0 for the first: in words, the first bit lowest;
 * one more word, of zeros, comes before. */
typedef struct {
    const uint64_t *words;
    size_t n, count;
} Edges;

/* out words: (n + 63) / 64 + 1. in live: `n` bytes, each 0 or 1. */
static Edges edges_of(const uint8_t *live, size_t n, uint64_t *words)
{
    Edges edges = {words + 1, n, (n + 63) / 64};
    memset(words, 0, (edges.count + 1) * sizeof *words);
    for (size_t i = 0; i < n; i += 8) {
        uint8_t rest[8] = {0};
        if (n - i < 8)
            memcpy(rest, live + i, n - i);
        /* The lowest bits of eight bytes come together in the highest byte of the product. */
        uint64_t eight = load64(n - i < 8 ? rest : live + i) & UINT64_C(0x0101010101010101);
        words[1 + i / 64] |= (eight * UINT64_C(0x0102040810204080) >> 56) << (i & 63);
    }
    for (size_t word = edges.count; word > 0; word--)
        words[word] ^= words[word] << 1 | words[word - 1] >> 63;
    return edges;
}

/* In each byte how many of its bits are set. */
static inline uint64_t ones_of_bytes(uint64_t x)
{
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    return (x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
}

static inline uint64_t sum_of_bytes(uint64_t x)
{
    x = (x & UINT64_C(0x00FF00FF00FF00FF)) + (x >> 8 & UINT64_C(0x00FF00FF00FF00FF));
    return x * UINT64_C(0x0001000100010001) >> 48;
}

#if defined(__GNUC__)
/* The number of the lowest bit, and of the highest, of x, which is not 0. */
static inline size_t lowest(uint64_t x) { return (size_t)__builtin_ctzll(x); }
static inline size_t highest(uint64_t x) { return 63 - (size_t)__builtin_clzll(x); }
#else
static inline size_t lowest(uint64_t x)
{
    return (size_t)sum_of_bytes(ones_of_bytes((x & (~x + 1)) - 1));
}
static inline size_t highest(uint64_t x)
{
    for (int shift = 1; shift < 64; shift *= 2)
        x |= x >> shift;
    return (size_t)sum_of_bytes(ones_of_bytes(x)) - 1;
}
#endif

/* Bits of the Elias gamma code of n >= 1. */
static inline uint64_t gamma_bits(uint64_t n)
{
    return 2 * highest(n) + 1;
}

/* Where runs start in one word of the bitmap less the bits `stride` before, in the sense of XOR; 0: as it is. */
static inline uint64_t starts_of(const Edges *e, size_t word, int stride)
{
    const uint64_t *w = e->words + word;
    uint64_t starts = w[0];
    if (stride > 0)
        starts ^= stride == 64 ? w[-1] : w[0] << stride | w[-1] >> (64 - stride);
    if (word == e->count - 1 && e->n % 64)
        starts &= ((uint64_t)1 << e->n % 64) - 1;
    return word == 0 ? starts | 1 : starts;
}

/* Size of the runs in Elias gamma, with the bit that comes first; or some number of `most` or more. */
static uint64_t runs_bits(const Edges *e, int stride, uint64_t most)
{
    uint64_t size = 1;
    size_t last = 0;
    for (size_t word = 0; word < e->count && size < most; word++) {
        uint64_t starts = starts_of(e, word, stride);
        for (starts = word == 0 ? starts & (starts - 1) : starts; starts; starts &= starts - 1) {
            size_t start = 64 * word + lowest(starts);
            size += gamma_bits(start - last);
            last = start;
        }
    }
    return size < most ? size + gamma_bits(e->n - last) : most;
}

/* Whether the runs are sure to take `most` bits or more. A run takes one bit, one of two or more at least three, one of
 * four or more at least five: that much is counted, for many runs at a time. */
static int takes_as_many(const Edges *e, int stride, uint64_t most)
{
    enum { LANES = 2, WORDS = 6 * LANES }; /* 40 in each byte for each word: none runs over */
    uint64_t size = 1, starts[WORDS + 1] = {0};
    for (size_t word = 0; word < e->count && size < most; word += WORDS) {
        size_t rest = e->count - word;
        uint64_t sums[LANES] = {0};
        for (size_t i = 0; i < WORDS; i++)
            starts[i + 1] = i < rest ? starts_of(e, word + i, stride) : 0;
        for (size_t i = 0; i < WORDS; i += LANES)
            for (size_t lane = 0; lane < LANES; lane++) {
                /* With each start but the first a run ends. Did it start one bit before, or one to three? */
                uint64_t here = starts[i + lane + 1], before = starts[i + lane];
                uint64_t one = here << 1 | before >> 63;
                uint64_t three = one | here << 2 | before >> 62 | here << 3 | before >> 61;
                sums[lane] += ones_of_bytes(here) + 2 * (ones_of_bytes(here & ~one) + ones_of_bytes(here & ~three));
            }
        for (size_t lane = 0; lane < LANES; lane++)
            size += sum_of_bytes(sums[lane]);
        /* The very first start ends none. */
        size -= word == 0 ? 4 : 0;
        starts[0] = starts[WORDS];
    }
    return size >= most;
}

/* cheapest_runs(live, most) -> (stride or 0, size in bits) of less than `most`, or None */
PyObject *py_cheapest_runs(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer live;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(args, "y*n", &live, &most))
        return NULL;
    if (live.len == 0 || most < 0) {
        release(&live, 1);
        return refuse("cheapest_runs");
    }
    size_t n = (size_t)live.len;
    uint64_t least = (uint64_t)most, *words = malloc((n / 64 + 2) * sizeof *words);
    int best = -1;
    if (words != NULL) {
        Py_BEGIN_ALLOW_THREADS
        Edges edges = edges_of(live.buf, n, words);
        /* Where there are few runs they are measured as quickly as they are counted. */
        int has_many = 0;
        for (int stride = 0; stride <= MAX_STRIDE_OF_RUNS && (size_t)stride < n; stride += stride ? 1 : 2) {
            uint64_t argument = stride ? 8 : 0;
            if (least <= argument || (has_many && takes_as_many(&edges, stride, least - argument)))
                continue;
            uint64_t size = argument + runs_bits(&edges, stride, least - argument);
            has_many = size > n / 4;
            if (size < least)
                best = stride, least = size;
        }
        Py_END_ALLOW_THREADS
    }
    free(words);
    release(&live, 1);
    if (words == NULL)
        return PyErr_NoMemory();
    return best < 0 ? Py_NewRef(Py_None) : Py_BuildValue("iK", best, (unsigned long long)least);
}

/* The bits under a mask, each bit of which stands for n / length neighbours; returns how many there are, or -1 where a
 * bit is live that the mask has not. in live: `n`, in mask: `length`, which divides n. out inner: room for n. */
static int64_t under(const uint8_t *live, size_t n, const uint8_t *mask, size_t length, uint8_t *inner)
{
    size_t width = n / length, count = 0;
    for (size_t m = 0; m < length; m++, live += width) {
        if (mask[m]) {
            memcpy(inner + count, live, width);
            count += width;
            continue;
        }
        for (size_t i = 0; i < width; i++)
            if (live[i])
                return -1;
    }
    return (int64_t)count;
}

/* Bytes of a varint. */
static uint64_t varint_bytes(uint64_t n)
{
    uint64_t bytes = 1;
    for (; n >= 128; n >>= 7)
        bytes++;
    return bytes;
}

/* A bitmap by its number: as it is, or which of its live bits stay live, as bits or in runs (spec 6.5). */
typedef struct {
    uint64_t size;
    int kind;
    unsigned long long number;
} Reference;

enum { NOTHING, COPY = 4, MASKED_RAW, MASKED_RUNS };

/* Of equal ones the lowest kind, and of these the first. */
static void better(Reference *best, uint64_t size, int kind, unsigned long long number)
{
    if (best->kind == NOTHING || size < best->size || (size == best->size && kind < best->kind))
        *best = (Reference){size, kind, number};
}

/* cheapest_mask(live, [mask], first) -> (kind, number, size in bits) or None */
PyObject *py_cheapest_mask(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer live, mask;
    PyObject *masks;
    unsigned long long first;
    if (!PyArg_ParseTuple(args, "y*OK", &live, &masks, &first))
        return NULL;
    size_t n = (size_t)live.len, inside = 0;
    Reference best = {0, NOTHING, 0};
    uint64_t *words = malloc((n / 64 + 2) * sizeof *words + n);
    uint8_t *inner = words == NULL ? NULL : (uint8_t *)(words + n / 64 + 2);
    const uint8_t *bits = live.buf;
    for (size_t i = 0; i < n; i++)
        inside += bits[i] != 0;
    int failed = !PyList_Check(masks) || n == 0;
    if (failed)
        refuse("cheapest_mask");
    else if (words == NULL)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; words != NULL && !failed && i < PyList_Size(masks); i++) {
        if (!PyArg_Parse(PyList_GetItem(masks, i), "y*", &mask)) {
            failed = 1;
            break;
        }
        size_t length = (size_t)mask.len;
        int64_t count = length > 0 && n % length == 0 ? under(bits, n, mask.buf, length, inner) : -1;
        release(&mask, 1);
        if (count <= 0)
            continue;
        unsigned long long number = first + (unsigned long long)i;
        uint64_t argument = 8 * varint_bytes(number);
        if ((size_t)count == inside) {
            better(&best, argument, COPY, number);
            continue;
        }
        Edges edges = edges_of(inner, (size_t)count, words);
        better(&best, argument + (uint64_t)count, MASKED_RAW, number);
        better(&best, argument + runs_bits(&edges, 0, UINT64_MAX), MASKED_RUNS, number);
    }
    failed = failed || words == NULL;
    free(words);
    release(&live, 1);
    if (failed)
        return NULL;
    return best.kind == NOTHING ? Py_NewRef(Py_None)
                                : Py_BuildValue("iKK", best.kind, best.number, (unsigned long long)best.size);
}
