/* sws.h: a reader of .sws files in C99, one header, without malloc. From the specification alone (spec/sws-1.0.md, whose sections the comments name).
 *
 *     #define SWS_IMPLEMENTATION       in one file, before it includes this one
 *     #include "sws.h"
 *
 *     static uint8_t memory[40000], out[3200];
 *     sws_file file;
 *     if (sws_open(&file, data, size, memory, sizeof memory) != SWS_OK) ...
 *     size_t i, need, row;
 *     if (!sws_find(&file, "fc1.weight", 10, &i)) ...
 *     uint8_t *rest = memory + file.used;
 *     sws_reader reader;
 *     sws_begin(&reader, &file, i, rest, sizeof memory - file.used);      checks the whole tensor
 *     while (...) sws_rows(&reader, out, 1);                              then gives it row by row
 *
 * The file lies in memory (flash, or mapped) and stays there while it is read. Elements come out little-endian, in C order.
 * Every function that can fail returns a sws_status; nothing is returned of a tensor that has not been checked.
 * Requires: 8-bit bytes, two's complement, arithmetic right shifts of signed numbers; float and double of IEEE 754 for `scaled` (no -ffast-math).
 */
#ifndef SWS_H
#define SWS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    SWS_OK,
    SWS_NOT_SWS,   /* another signature */
    SWS_VERSION,   /* another major version */
    SWS_TRUNCATED, /* the file has another size than it should */
    SWS_CHECKSUM,  /* of the index when a file is opened, of a payload when a tensor is decoded */
    SWS_INDEX,     /* the index breaks a rule */
    SWS_LIMIT,     /* more than section 8 allows, than `limit`, or than this machine can count */
    SWS_PAYLOAD,   /* a payload breaks a rule */
    SWS_UNKNOWN,   /* a coding of a later version */
    SWS_MEMORY     /* the memory is too small */
} sws_status;

enum { SWS_BOOL, SWS_U8, SWS_I8, SWS_U16, SWS_I16, SWS_U32, SWS_I32, SWS_U64, SWS_I64, SWS_F16, SWS_BF16, SWS_F32, SWS_F64, SWS_C64, SWS_C128,
    SWS_C32, SWS_F8_E4M3, SWS_F8_E5M2, SWS_F8_E4M3FNUZ, SWS_F8_E5M2FNUZ, SWS_F8_E8M0, SWS_F4_X2, SWS_DTYPES };

#define SWS_MAX_RANK 64

typedef struct sws__record sws__record;
typedef struct sws__table sws__table;
typedef struct sws__bitmap sws__bitmap;

/* An open file. Read `tensors`, `used`, `needed`, `error_at`; set `limit`; the rest is the reader's own. */
typedef struct {
    size_t tensors;  /* number of tensors */
    size_t used;     /* bytes of the memory that sws_open has used, from its start; what is behind is free again */
    size_t needed;   /* after SWS_MEMORY: a size to try next */
    size_t error_at; /* after an error: bytes from the start of the file, about where */
    uint64_t limit;  /* the largest decoded size of a tensor, in bytes; 2^34 unless it is changed */
    const uint8_t *data;
    size_t size, index, prefix;
    uint32_t metadata, codebooks;
    uint32_t *codebook_at;
    sws__record *records;
    sws__table *tables;
    sws__bitmap *bitmaps;
    uint32_t table_count, table_room, bitmap_count, bitmap_room;
} sws_file;

typedef struct {
    const char *name;    /* UTF-8, not terminated; lies in the memory of sws_open */
    size_t name_length;
    size_t tensor;       /* its number, or that of the tensor that it is an alias of */
    unsigned coding;     /* that of the registry; of the alias's target */
    unsigned dtype;      /* SWS_BOOL to SWS_F4_X2; others only with unknown codings */
    unsigned rank;
    uint64_t shape[SWS_MAX_RANK];
    uint64_t count;      /* elements */
    unsigned size;       /* bytes of an element, 0 if unknown */
    uint64_t row;        /* elements of a row: count / shape[0], or 1 for rank 0 */
    int unknown;         /* it cannot be decoded: its coding, or that of a part, is not known */
} sws_tensor;

struct sws__node;
typedef struct {
    struct sws__node *node;
    uint64_t left; /* elements that have not been given */
    uint64_t row;
    unsigned size;
} sws_reader;

/* Checks signature, version, index and size of a file.
 * out: file. in: data, size bytes; memory, of memory_size bytes, which must live as long as the file is used.
 * SWS_MEMORY: try again with file->needed bytes (what a file needs is known only while its index is read); after SWS_OK, file->used is all it takes. */
sws_status sws_open(sws_file *file, const void *data, size_t size, void *memory, size_t memory_size);

/* What tensor number i is. in: file, i below file->tensors. out: tensor. */
sws_status sws_info(const sws_file *file, size_t i, sws_tensor *tensor);

/* The number of the tensor of a name. in: file, name, length bytes of UTF-8. out: i. Returns 0 if there is none. */
int sws_find(const sws_file *file, const char *name, size_t length, size_t *i);

/* Pair number i of the metadata, in: file, i. out: key and value, UTF-8, not terminated, and their lengths. Returns 0 if there is none. */
int sws_metadata(const sws_file *file, size_t i, const char **key, size_t *key_length, const char **value, size_t *value_length);

/* How many bytes of memory sws_decode and sws_begin need for tensor i beside the output. in: file, i. out: size. */
sws_status sws_decode_size(const sws_file *file, size_t i, size_t *size);

/* A whole tensor. in: file, i; memory of memory_size bytes (sws_decode_size), free again afterwards. out: out_size bytes, count * size of sws_info;
 * zeros after an error. */
sws_status sws_decode(const sws_file *file, size_t i, void *out, size_t out_size, void *memory, size_t memory_size);

/* Checks a whole tensor, and gets ready to give its rows. in: file, i; memory as for sws_decode, needed until the last row. out: reader.
 * `adaptive` by columns needs a byte or two for each element here, as it has no rows; all other codings need what a row or column does. */
sws_status sws_begin(sws_reader *reader, const sws_file *file, size_t i, void *memory, size_t memory_size);

/* The next rows (count of them, at most those that are left), one after the other. in and out: reader. out: out, count * row * size bytes. */
sws_status sws_rows(sws_reader *reader, void *out, size_t count);

/* A number of float16 (bfloat16: bits << 16) as bits of float32. */
uint32_t sws_half_to_float(uint16_t bits);

#ifdef __cplusplus
}
#endif
#endif /* SWS_H */

#ifdef SWS_IMPLEMENTATION

#include <string.h>
#ifndef SWS_ASSERT
#include <assert.h>
#define SWS_ASSERT(condition) assert(condition)
#endif
#ifdef __FAST_MATH__
#error "sws.h needs the arithmetic of IEEE 754: compile it without -ffast-math"
#endif

#define SWS__TRY(call) do { sws_status sws__s = (call); if (sws__s != SWS_OK) return sws__s; } while (0)
#define SWS__NEED(condition, status) do { if (!(condition)) return (status); } while (0)

enum { SWS__RAW, SWS__NARROW, SWS__ALIAS, SWS__DENSE, SWS__SPARSE, SWS__ADAPTIVE, SWS__PLANES, SWS__SCALED, SWS__ESCAPE, SWS__CLASSES, SWS__LOOKUP };

static const uint8_t sws__sizes[SWS_DTYPES] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8, 8, 16, 4, 1, 1, 1, 1, 1, 1};
static unsigned sws__size(unsigned dtype) { return dtype < SWS_DTYPES ? sws__sizes[dtype] : 0; }

struct sws__record { /* of the index */
    const uint8_t *name;
    uint64_t payload; /* from the start of the file */
    uint32_t at;      /* its head */
    uint32_t tables, bitmaps; /* how many there are before it */
    uint16_t length, prefix;  /* of the name */
    uint8_t dtype;            /* that of the record before */
};
struct sws__table { uint64_t bit; uint16_t alphabet; int16_t one; }; /* where its bits are; its one symbol, or -1 */
struct sws__bitmap { const uint8_t *bits; uint32_t length, live; };

static int sws__bitmap_bit(const sws__bitmap *b, uint32_t i) { return b->bits[i >> 3] >> (i & 7) & 1; }
static unsigned sws__bit_length(uint32_t n) { unsigned b = 0; for (; n; n >>= 1) b++; return b; }
static uint32_t sws__u32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint64_t sws__load(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;
    while (size--) v = v << 8 | p[size];
    return v;
}
static void sws__store(uint8_t *p, uint64_t v, unsigned size)
{
    for (; size; size--, v >>= 8) *p++ = (uint8_t)v;
}

/* CRC-32 (section 1), four bits a step: a table of 64 bytes. */
static uint32_t sws__crc(const uint8_t *p, size_t n)
{
    static const uint32_t table[16] = {0, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344,
        0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t c = 0xffffffff;
    while (n--) {
        c ^= *p++;
        c = c >> 4 ^ table[c & 15];
        c = c >> 4 ^ table[c & 15];
    }
    return ~c;
}
/* Whether bytes have the CRC-32 that is stored; a fuzzer, which cannot make one, goes on in either case. */
static int sws__crc_right(const uint8_t *p, size_t n, uint32_t crc)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)sws__crc(p, n), (void)crc;
    return 1;
#else
    return sws__crc(p, n) == crc;
#endif
}

/* ------------------------------------------------------------------------------------------------------------------------ memory */

typedef struct { uint8_t *base; size_t size, used; } sws__arena; /* base NULL: nothing is given, only counted */

static sws_status sws__alloc(sws__arena *a, uint64_t count, size_t size, void *out)
{
    void *p = NULL;
    size_t bytes;
    SWS__NEED(count <= (SIZE_MAX / 2 - a->used) / size, a->base ? SWS_MEMORY : SWS_LIMIT);
    bytes = ((size_t)count * size + 7) & ~(size_t)7;
    if (a->base) {
        if (bytes > a->size - a->used) {
            a->used += bytes;
            return SWS_MEMORY;
        }
        p = a->base + a->used;
        memset(p, 0, bytes);
    }
    a->used += bytes;
    memcpy(out, &p, sizeof p);
    return SWS_OK;
}
static sws__arena sws__arena_of(void *memory, size_t size)
{
    sws__arena a = {NULL, 0, 0};
    size_t skip = (size_t)(-(uintptr_t)memory & 7);
    static uint64_t none;
    if (!memory || size < skip + 8) {
        a.base = (uint8_t *)&none;
        return a;
    }
    a.base = (uint8_t *)memory + skip;
    a.size = size - skip;
    return a;
}

/* ------------------------------------------------------------------------------------------------------ bytes and bits (1, 6.1, 6.2) */

typedef struct { const uint8_t *data; size_t at, end; } sws__in;

static sws_status sws__byte(sws__in *in, unsigned *out)
{
    SWS__NEED(in->at < in->end, SWS_INDEX);
    *out = in->data[in->at++];
    return SWS_OK;
}
static sws_status sws__varint(sws__in *in, uint64_t *out)
{
    unsigned byte, i;
    *out = 0;
    for (i = 0; i < 9; i++) {
        SWS__TRY(sws__byte(in, &byte));
        *out |= (uint64_t)(byte & 127) << (7 * i);
        if (byte < 128) return i && !byte ? SWS_INDEX : SWS_OK;
    }
    return SWS_INDEX;
}
static sws_status sws__bytes(sws__in *in, uint64_t n, const uint8_t **out)
{
    SWS__NEED(n <= in->end - in->at, SWS_INDEX);
    *out = in->data + in->at;
    in->at += (size_t)n;
    return SWS_OK;
}

typedef struct { const uint8_t *data; uint64_t at, end; } sws__bits; /* in bits */

static int sws__bit(sws__bits *b) /* or -1 */
{
    int bit;
    if (b->at >= b->end) return -1;
    bit = b->data[(size_t)(b->at >> 3)] >> (b->at & 7) & 1;
    b->at++;
    return bit;
}
static int sws__field(sws__bits *b, unsigned width, uint32_t *out) /* 1 if there are so many bits */
{
    unsigned done, n, shift;
    *out = 0;
    if (width > b->end - b->at) return 0;
    for (done = 0; done < width; done += n) {
        shift = (unsigned)(b->at & 7);
        n = 8 - shift < width - done ? 8 - shift : width - done;
        *out |= ((uint32_t)b->data[(size_t)(b->at >> 3)] >> shift & ((1u << n) - 1)) << done;
        b->at += n;
    }
    return 1;
}
static int sws__gamma(sws__bits *b, uint64_t *out)
{
    unsigned z = 0;
    uint32_t low;
    int bit;
    while ((bit = sws__bit(b)) == 0) if (++z > 32) return 0;
    if (bit < 0 || !sws__field(b, z, &low)) return 0;
    *out = ((uint64_t)1 << z) + low;
    return 1;
}
static int sws__pad(sws__bits *b)
{
    uint32_t rest;
    return sws__field(b, (unsigned)(-b->at & 7), &rest) && !rest;
}

/* ------------------------------------------------------------------------------------------------------------ numbers (3.2, 5.8) */

/* Bits of a float in a wider format: e exponent bits, m mantissa bits, bias; `finite`: the highest exponent is as all others. */
static uint64_t sws__refloat(uint64_t bits, unsigned e, unsigned m, int bias, int finite, unsigned e2, unsigned m2, int bias2)
{
    uint64_t sign = bits >> (e + m) & 1, mantissa = bits & (((uint64_t)1 << m) - 1);
    uint64_t top = ((uint64_t)1 << e) - 1, exponent = bits >> m & top;
    int x = (int)exponent;
    sign <<= e2 + m2;
    if (exponent == top && !finite) return sign | (((uint64_t)1 << e2) - 1) << m2 | mantissa << (m2 - m);
    if (e == e2) return sign | exponent << m2 | mantissa << (m2 - m);
    if (!exponent) {
        if (!mantissa) return sign;
        for (x = 1; !(mantissa >> m); x--) mantissa <<= 1;
        mantissa &= ((uint64_t)1 << m) - 1;
    }
    return sign | (uint64_t)(x - bias + bias2) << m2 | mantissa << (m2 - m);
}
uint32_t sws_half_to_float(uint16_t bits) { return (uint32_t)sws__refloat(bits, 5, 10, 15, 0, 8, 23, 127); }

static uint64_t sws__float_bits(uint64_t bits, unsigned dtype, int wide) /* a float dtype as bits of F32, or of F64 if wide */
{
    unsigned e2 = wide ? 11 : 8, m2 = wide ? 52 : 23;
    int bias2 = wide ? 1023 : 127;
    uint64_t nan = wide ? 0x7ff8000000000000u : 0x7fc00000u;
    switch (dtype) {
    case SWS_F16: return sws__refloat(bits, 5, 10, 15, 0, e2, m2, bias2);
    case SWS_BF16: return sws__refloat(bits, 8, 7, 127, 0, e2, m2, bias2);
    case SWS_F32: return wide ? sws__refloat(bits, 8, 23, 127, 0, e2, m2, bias2) : bits;
    case SWS_F64: return bits;
    case SWS_F8_E5M2: return sws__refloat(bits, 5, 2, 15, 0, e2, m2, bias2);
    case SWS_F8_E4M3: return (bits & 127) == 127 ? nan : sws__refloat(bits, 4, 3, 7, 1, e2, m2, bias2);
    case SWS_F8_E4M3FNUZ: return bits == 128 ? nan : sws__refloat(bits, 4, 3, 8, 1, e2, m2, bias2);
    case SWS_F8_E5M2FNUZ: return bits == 128 ? nan : sws__refloat(bits, 5, 2, 16, 1, e2, m2, bias2);
    default: /* F8_E8M0 */
        if (bits == 255) return nan;
        if (!bits && !wide) return 0x400000;
        return (bits + (uint64_t)(bias2 - 127)) << m2;
    }
}
static int sws__is_float(unsigned d) { return d >= SWS_F16 && d <= SWS_F64; }
static int sws__is_nan(uint64_t bits, unsigned dtype) /* F16 to F64 */
{
    switch (dtype) {
    case SWS_F16: return (bits & 0x7fff) > 0x7c00;
    case SWS_BF16: return (bits & 0x7fff) > 0x7f80;
    case SWS_F32: return (bits & 0x7fffffff) > 0x7f800000;
    default: return (bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
    }
}
static int sws__is_signed(unsigned d) { return d == SWS_I8 || d == SWS_I16 || d == SWS_I32 || d == SWS_I64; }
static int sws__may_narrow(unsigned dtype, unsigned storage)
{
    if (dtype == SWS_F32 || dtype == SWS_F64) return storage == SWS_F16 || storage == SWS_BF16 || (storage == SWS_F32 && dtype == SWS_F64);
    if (dtype < SWS_U16 || dtype > SWS_I64 || storage < SWS_U8 || storage > SWS_I64 || sws__size(storage) >= sws__size(dtype)) return 0;
    return sws__is_signed(dtype) || !sws__is_signed(storage);
}
static uint64_t sws__sign_extend(uint64_t v, unsigned size)
{
    uint64_t top = (uint64_t)1 << (8 * size - 1);
    return (v ^ top) - top;
}
/* Bits of the dtype of a value in its storage. Returns 0 if that is a NaN in narrower storage. */
static int sws__widen(const uint8_t *p, unsigned storage, unsigned dtype, uint64_t *out)
{
    *out = sws__load(p, sws__size(storage));
    if (storage == dtype) return 1;
    if (sws__is_float(dtype)) {
        if (sws__is_nan(*out, storage)) return 0;
        *out = sws__float_bits(*out, storage, dtype == SWS_F64);
    } else if (sws__is_signed(storage)) *out = sws__sign_extend(*out, sws__size(storage));
    return 1;
}

/* ------------------------------------------------------------------------------------------------------------------ index (3 to 6) */

typedef struct {
    uint16_t alphabet, width;  /* fixed: bits of a symbol */
    int32_t one;               /* the one symbol of a table, or -1; -2 for symbols of a fixed width */
    uint64_t bit;              /* where the bits of its table are */
    uint16_t first[13], used[13], offset[13]; /* by length: first code, number of codes, place in `symbols` */
    uint16_t *symbols;         /* by (length, symbol) */
} sws__code;

/* Section 6.4. Counts of lengths to `used`, and if `symbols`, these at their `offset`s, which move. */
static int sws__code_table(sws__bits *b, unsigned alphabet, int *one, uint16_t *used, uint16_t *offset, uint16_t *symbols)
{
    uint32_t field;
    unsigned symbol = 0, sum = 0;
    int p, bit = sws__bit(b);
    *one = -1;
    if (bit < 0) return 0;
    if (bit) {
        if (!sws__field(b, sws__bit_length(alphabet - 1), &field) || field >= alphabet) return 0;
        *one = (int)field;
        return 1;
    }
    if (!sws__field(b, 4, &field)) return 0;
    p = (int)field;
    if (p < 1 || p > 12) return 0;
    while (sum < 4096) {
        if ((bit = sws__bit(b)) < 0) return 0;
        if (bit) {
            uint32_t kind;
            if (!sws__field(b, 2, &kind)) return 0; /* two bits in the order of the stream */
            if (kind == 0) p++;
            else if (kind == 2) p--;
            else if (kind == 1) {
                uint64_t r;
                if (!sws__gamma(b, &r) || r > alphabet - symbol) return 0;
                symbol += (unsigned)r;
                continue;
            } else {
                if (!sws__field(b, 4, &field)) return 0;
                p = (int)field;
            }
            if (p < 1 || p > 12) return 0;
        }
        if (symbol >= alphabet) return 0;
        used[p]++;
        if (symbols) symbols[offset[p]++] = (uint16_t)symbol;
        symbol++;
        sum += 4096u >> p;
    }
    return sum == 4096;
}

/* What is known of a record or part. Decoders' states lie beside it. */
typedef struct sws__node {
    const sws_file *file;
    const struct sws__node *parent;
    struct sws__node *children; /* parts, `parts` of them */
    void *state;
    const uint8_t *payload;
    uint64_t length, count, rows, columns;
    uint64_t number;           /* escape, lookup: of values; sparse: of entries; adaptive, classes: lines of a chunk; dense, sparse: elements of a chunk or 0 */
    uint64_t entries;
    uint32_t dims, crc, blocks, mark; /* dims, blocks (or widths of planes), mark: where they are in the file */
    uint32_t codebook;         /* its number */
    sws__code code, gaps;
    const sws__bitmap *live_rows, *live_columns;
    uint32_t stride;
    uint16_t coding, dtype;
    uint8_t unknown, parts, depth, factor; /* factor: number of the part + 1 whose shape is that of factor `factor - 1` of its parent */
    uint8_t shape_kind, rank, storage, form, by_columns, line_ends, light, no_zeros, operations[3], R, C, M, lanes, has_mark, widths[3];
} sws__node;
enum { SWS__OWN, SWS__SAME, SWS__FACTOR, SWS__VECTOR };

static uint64_t sws__nth_varint(const sws_file *f, uint32_t at, unsigned i) /* of those that have been checked */
{
    sws__in in;
    uint64_t v = 0;
    in.data = f->data;
    in.at = at;
    in.end = f->prefix;
    do { (void)sws__varint(&in, &v); } while (i--);
    return v;
}
static uint64_t sws__dim(const sws__node *n, unsigned i)
{
    switch (n->shape_kind) {
    case SWS__OWN: return sws__nth_varint(n->file, n->dims, i);
    case SWS__SAME: return sws__dim(n->parent, i);
    case SWS__VECTOR: return n->parent->number;
    default: {
        uint64_t d = sws__dim(n->parent, i), b = sws__nth_varint(n->file, n->parent->blocks, (unsigned)n->factor * n->rank + i);
        return b ? (d - 1) / b + 1 : 1;
    }
    }
}

typedef struct { /* goes through the index; adds tables and bitmaps if `arena`, else counts on in those that there are */
    sws_file *file;
    sws__in in;
    sws__arena *arena;
    uint64_t payload, bitmap_sum, symbol_sum;
    uint32_t tables, bitmaps, records;
} sws__parser;

static sws_status sws__grow(sws__arena *a, void *array, uint32_t count, uint32_t *room, size_t size)
{
    void *more, *before;
    if (count < *room) return SWS_OK;
    SWS__TRY(sws__alloc(a, *room ? 2 * *room : 8, size, &more));
    memcpy(&before, array, sizeof before);
    if (count) memcpy(more, before, count * size);
    memcpy(array, &more, sizeof more);
    *room = *room ? 2 * *room : 8;
    return SWS_OK;
}

/* One code of a stream (6.3); `number` is that of an earlier table. */
static sws_status sws__stream(sws__parser *p, sws__bits *b, unsigned kind, unsigned alphabet, uint64_t number, sws__code *code)
{
    sws__table table;
    uint16_t used[13] = {0};
    int one;
    memset(code, 0, sizeof *code);
    code->alphabet = (uint16_t)alphabet;
    code->one = -2;
    if (kind == 0) {
        code->width = (uint16_t)sws__bit_length(alphabet - 1);
        return SWS_OK;
    }
    if (kind == 2) {
        SWS__NEED(number < p->tables, SWS_INDEX);
        table = p->file->tables[number];
        SWS__NEED(table.alphabet == alphabet, SWS_INDEX);
    } else {
        p->symbol_sum += alphabet;
        SWS__NEED(p->symbol_sum <= (uint64_t)1 << 23, SWS_LIMIT);
        table.bit = b->at;
        SWS__NEED(sws__code_table(b, alphabet, &one, used, NULL, NULL), SWS_INDEX);
        table.alphabet = (uint16_t)alphabet;
        table.one = (int16_t)one;
        if (p->arena) {
            SWS__TRY(sws__grow(p->arena, &p->file->tables, p->tables, &p->file->table_room, sizeof table));
            p->file->tables[p->tables] = table;
        }
        p->tables++;
    }
    code->one = table.one;
    code->bit = table.bit;
    return SWS_OK;
}

/* Runs (6.5) of k bits; those that are 1 go into `map` (or nowhere), at places 0 on or at the places where `mask` has a bit. */
static int sws__runs(sws__bits *b, uint64_t k, uint8_t *map)
{
    uint64_t at = 0, run;
    int value = sws__bit(b);
    if (value < 0) return 0;
    for (; at < k; value ^= 1, at += run) {
        uint64_t i;
        if (!sws__gamma(b, &run) || run > k - at) return 0;
        if (value && map) for (i = at; i < at + run; i++) map[i >> 3] |= (uint8_t)(1 << (i & 7));
    }
    return 1;
}
static sws_status sws__bitmap_of(sws__parser *p, sws__bits *b, unsigned kind, uint64_t length, uint64_t argument, const sws__bitmap **out)
{
    sws__bitmap map;
    const sws__bitmap *earlier = NULL;
    uint8_t *bits = NULL;
    uint32_t i, live = 0, stretch = 1;
    uint64_t k;
    *out = NULL;
    if (!kind) return SWS_OK;
    p->bitmap_sum += length;
    SWS__NEED(length <= (uint64_t)1 << 26 && p->bitmap_sum <= (uint64_t)1 << 26, SWS_LIMIT);
    k = length;
    if (kind == 3) SWS__NEED(argument >= 1 && argument < length, SWS_INDEX);
    if (kind >= 4) {
        SWS__NEED(argument < p->bitmaps, SWS_INDEX);
        earlier = &p->file->bitmaps[argument];
        SWS__NEED(length % earlier->length == 0, SWS_INDEX);
        stretch = (uint32_t)length / earlier->length;
        k = (uint64_t)earlier->live * stretch;
    }
    if (p->arena) SWS__TRY(sws__alloc(p->arena, (length + 7) / 8, 1, &bits));
    if (kind == 2 || kind == 3 || kind == 6) SWS__NEED(sws__runs(b, k, bits), SWS_INDEX);
    else if (kind != 4) {
        SWS__NEED(k <= b->end - b->at, SWS_INDEX);
        if (bits) for (i = 0; i < k; i++) bits[i >> 3] |= (uint8_t)(sws__bit(b) << (i & 7));
        else b->at += k;
    }
    if (!bits) {
        *out = &p->file->bitmaps[p->bitmaps++];
        return SWS_OK;
    }
#define SWS__GET(i) (bits[(i) >> 3] >> ((i) & 7) & 1)
#define SWS__SET(i, v) (bits[(i) >> 3] = (uint8_t)((bits[(i) >> 3] & ~(1 << ((i) & 7))) | (v) << ((i) & 7)))
    if (kind == 3) for (i = (uint32_t)argument; i < length; i++) SWS__SET(i, SWS__GET(i) ^ SWS__GET(i - (uint32_t)argument));
    if (kind >= 4) { /* from the end, so that bits of a mask are not written over before they are read */
        for (i = (uint32_t)length; i-- > 0;) {
            int bit = sws__bitmap_bit(earlier, i / stretch);
            if (bit && kind > 4) {
                k--;
                bit = SWS__GET((uint32_t)k);
            }
            SWS__SET(i, bit);
        }
    }
    for (i = 0; i < length; i++) live += (uint32_t)SWS__GET(i);
    SWS__NEED(live, SWS_INDEX);
    map.bits = bits;
    map.length = (uint32_t)length;
    map.live = live;
    SWS__TRY(sws__grow(p->arena, &p->file->bitmaps, p->bitmaps, &p->file->bitmap_room, sizeof map));
    p->file->bitmaps[p->bitmaps] = map;
    *out = &p->file->bitmaps[p->bitmaps++];
    return SWS_OK;
}

/* A codebook that has been checked: dtype, storage, count and where its values are. */
typedef struct { unsigned dtype, storage; uint32_t count; const uint8_t *values; } sws__book;
static sws__book sws__book_of(const sws_file *f, uint32_t number)
{
    sws__book book;
    uint32_t at = f->codebook_at[number];
    book.dtype = f->data[at];
    book.storage = f->data[at + 1];
    book.count = (uint32_t)sws__nth_varint(f, at + 2, 0);
    book.values = f->data + at + (book.count > 127 ? 4 : 3);
    return book;
}
static uint64_t sws__value(const sws__book *book, uint32_t symbol)
{
    uint64_t v = 0;
    if (symbol) (void)sws__widen(book->values + (size_t)(symbol - 1) * sws__size(book->storage), book->storage, book->dtype, &v);
    return v;
}

static sws_status sws__packed_begin(sws__parser *p, sws__bits *b)
{
    b->data = p->in.data;
    b->at = (uint64_t)p->in.at * 8;
    b->end = (uint64_t)p->in.end * 8;
    return SWS_OK;
}
static sws_status sws__packed_end(sws__parser *p, sws__bits *b)
{
    SWS__NEED(sws__pad(b), SWS_INDEX);
    p->in.at = (size_t)(b->at / 8);
    return SWS_OK;
}
static sws_status sws__width(sws__parser *p, uint8_t *out, int zero)
{
    unsigned w;
    SWS__TRY(sws__byte(&p->in, &w));
    SWS__NEED((w >= 1 || zero) && w <= 32, SWS_INDEX);
    *out = (uint8_t)w;
    return SWS_OK;
}
static sws_status sws__node_book(sws__parser *p, sws__node *n, sws__book *book)
{
    uint64_t number;
    SWS__TRY(sws__varint(&p->in, &number));
    SWS__NEED(number < p->file->codebooks, SWS_INDEX);
    n->codebook = (uint32_t)number;
    *book = sws__book_of(p->file, n->codebook);
    SWS__NEED(book->dtype == n->dtype, SWS_INDEX);
    return SWS_OK;
}
static sws_status sws__chunk_lines(sws__parser *p, sws__node *n, int given, uint64_t lines)
{
    n->number = lines;
    if (given) {
        SWS__TRY(sws__varint(&p->in, &n->number));
        SWS__NEED(n->number >= 1 && n->number < lines, SWS_INDEX);
    }
    SWS__NEED(n->number <= (uint64_t)1 << 31, SWS_INDEX);
    return SWS_OK;
}

static sws_status sws__parse_dense(sws__parser *p, sws__node *n)
{
    sws__book book;
    sws__bits b;
    unsigned layout, kind, chunk;
    uint64_t table = 0;
    SWS__TRY(sws__node_book(p, n, &book));
    SWS__TRY(sws__byte(&p->in, &layout));
    kind = layout & 3;
    chunk = layout >> 4;
    SWS__NEED(kind != 3 && !(layout & 12), SWS_INDEX);
    if (kind == 2) SWS__TRY(sws__varint(&p->in, &table));
    if (chunk) {
        n->number = (uint64_t)1 << (chunk + 9);
        SWS__NEED(kind && n->count > n->number, SWS_INDEX);
        SWS__TRY(sws__width(p, &n->widths[0], 0));
    }
    sws__packed_begin(p, &b);
    SWS__TRY(sws__stream(p, &b, kind, book.count + 1, table, &n->code));
    return kind == 1 ? sws__packed_end(p, &b) : SWS_OK;
}

static sws_status sws__parse_sparse(sws__parser *p, sws__node *n)
{
    sws__book book;
    sws__bits b;
    unsigned low, high, layout, chunk = 0, gap_kind, value_kind, row_kind, column_kind, pbits;
    uint64_t gap_table = 0, value_table = 0, row_argument = 0, column_argument = 0, R, C;
    SWS__NEED(sws__size(n->dtype) <= 8, SWS_INDEX);
    SWS__TRY(sws__varint(&p->in, &n->entries));
    SWS__NEED(n->entries <= n->count, SWS_INDEX);
    if (!n->entries) return SWS_OK;
    SWS__TRY(sws__node_book(p, n, &book));
    SWS__TRY(sws__byte(&p->in, &low));
    SWS__TRY(sws__byte(&p->in, &high));
    layout = low | high << 8;
    n->by_columns = layout & 1;
    n->line_ends = layout >> 1 & 1;
    gap_kind = layout >> 2 & 3;
    value_kind = layout >> 4 & 3;
    row_kind = layout >> 6 & 7;
    column_kind = layout >> 9 & 7;
    pbits = layout >> 12;
    SWS__NEED(gap_kind != 3 && value_kind != 3 && row_kind != 7 && column_kind != 7 && pbits >= 1 && pbits <= 12, SWS_INDEX);
    if (n->entries >= 4096) SWS__TRY(sws__byte(&p->in, &chunk));
    if (chunk) {
        SWS__NEED(chunk <= 15 && !n->line_ends, SWS_INDEX);
        n->number = (uint64_t)1 << (chunk + 9);
        SWS__NEED(n->entries > n->number, SWS_INDEX);
    }
    if (gap_kind == 2) SWS__TRY(sws__varint(&p->in, &gap_table));
    if (value_kind == 2) SWS__TRY(sws__varint(&p->in, &value_table));
    if (row_kind >= 3) SWS__TRY(sws__varint(&p->in, &row_argument));
    if (column_kind >= 3) SWS__TRY(sws__varint(&p->in, &column_argument));
    if (n->line_ends) SWS__TRY(sws__width(p, &n->widths[0], 0));
    if (chunk) {
        SWS__TRY(sws__width(p, &n->widths[0], 0));
        SWS__TRY(sws__width(p, &n->widths[1], 1));
        SWS__NEED(!n->widths[1] == !value_kind, SWS_INDEX);
        SWS__TRY(sws__width(p, &n->widths[2], 0));
    }
    sws__packed_begin(p, &b);
    {
        const sws__bitmap *rows, *columns;
        uint32_t row_number = p->bitmaps;
        SWS__TRY(sws__bitmap_of(p, &b, row_kind, n->rows, row_argument, &rows));
        SWS__TRY(sws__bitmap_of(p, &b, column_kind, n->columns, column_argument, &columns));
        n->live_rows = rows ? &p->file->bitmaps[row_number] : NULL; /* the array may have moved */
        n->live_columns = columns;
    }
    SWS__TRY(sws__stream(p, &b, gap_kind, 1u << pbits, gap_table, &n->gaps));
    SWS__TRY(sws__stream(p, &b, value_kind, book.count, value_table, &n->code));
    SWS__TRY(sws__packed_end(p, &b));
    SWS__NEED(n->gaps.one != (1 << pbits) - 1, SWS_INDEX);
    R = n->live_rows ? n->live_rows->live : n->rows;
    C = n->live_columns ? n->live_columns->live : n->columns;
    SWS__NEED(C >= n->entries || R >= (n->entries - 1) / C + 1, SWS_INDEX);
    return SWS_OK;
}

static sws_status sws__class_counts(sws__parser *p, sws__node *n, unsigned *above)
{
    unsigned classes;
    SWS__TRY(sws__byte(&p->in, &classes));
    n->R = (uint8_t)((classes & 7) + 1);
    n->C = (uint8_t)((classes >> 3 & 7) + 1);
    *above = classes >> 6;
    SWS__NEED(n->R <= n->rows && n->C <= n->columns, SWS_INDEX);
    return SWS_OK;
}

static sws_status sws__parse_adaptive(sws__parser *p, sws__node *n)
{
    sws__book book;
    unsigned layout, above = 0;
    uint64_t stride = 1;
    SWS__TRY(sws__node_book(p, n, &book));
    SWS__TRY(sws__byte(&p->in, &layout));
    SWS__NEED(!(layout >> 6), SWS_INDEX);
    n->by_columns = layout & 1;
    n->light = layout >> 1 & 1;
    n->no_zeros = layout >> 2 & 1;
    if (layout & 8) {
        SWS__TRY(sws__varint(&p->in, &stride));
        SWS__NEED(stride >= 2 && stride <= 65536, SWS_INDEX);
    }
    n->stride = (uint32_t)stride;
    SWS__NEED((n->by_columns ? n->rows : n->columns) <= (uint64_t)1 << 22, SWS_INDEX);
    SWS__TRY(sws__chunk_lines(p, n, layout & 16, n->by_columns ? n->columns : n->rows));
    n->R = n->C = 0;
    if (layout & 32) SWS__TRY(sws__class_counts(p, n, &above));
    SWS__NEED(!above, SWS_INDEX);
    return SWS_OK;
}

static sws_status sws__parse_classes(sws__parser *p, sws__node *n)
{
    sws__book book;
    unsigned layout, above;
    SWS__TRY(sws__node_book(p, n, &book));
    SWS__NEED(book.count <= 1023, SWS_INDEX);
    SWS__TRY(sws__byte(&p->in, &layout));
    SWS__NEED(!(layout >> 4) && (layout & 7) <= 6, SWS_INDEX);
    n->lanes = (uint8_t)(1 << (layout & 7));
    SWS__TRY(sws__class_counts(p, n, &above));
    n->M = (uint8_t)(12 - above);
    SWS__NEED(n->M >= 10, SWS_INDEX);
    return sws__chunk_lines(p, n, layout & 8, n->rows);
}

/* The usual dtype and the shape of part k of a node. */
static unsigned sws__usual(const sws__node *n, unsigned k)
{
    switch (n->coding) {
    case SWS__PLANES: return n->file->data[n->blocks + k] > 8 ? SWS_U16 : SWS_U8;
    case SWS__SCALED: return k == 0 || n->operations[k - 1] == '-' ? SWS_I8 : SWS_F32;
    case SWS__ESCAPE: return k == 0 && !n->has_mark ? SWS_BOOL : n->dtype;
    default: return k ? SWS_U16 : sws__size(n->dtype) == 2 ? SWS_U16 : sws__size(n->dtype) == 4 ? SWS_U32 : SWS_U64;
    }
}
static int sws__part_shape(const sws__node *n, unsigned k)
{
    switch (n->coding) {
    case SWS__SCALED: return k ? SWS__FACTOR : SWS__SAME;
    case SWS__ESCAPE: return k ? SWS__VECTOR : SWS__SAME;
    case SWS__LOOKUP: return k ? SWS__SAME : SWS__VECTOR;
    default: return SWS__SAME;
    }
}
static int sws__part_dtype_allowed(const sws__node *n, const sws__node *part, unsigned usual)
{
    unsigned d = part->dtype;
    if (n->coding != SWS__SCALED) return d == usual;
    return (d >= SWS_U8 && d <= SWS_I32) || (d >= SWS_F16 && d <= SWS_F32) || (d >= SWS_F8_E4M3 && d <= SWS_F8_E8M0)
        || (d == SWS_F64 && n->dtype == SWS_F64) || (d >= SWS_DTYPES && part->coding > SWS__LOOKUP);
}

static sws_status sws__parse_parts(sws__parser *p, sws__node *n) /* what stands before the parts */
{
    unsigned i, k, form, factors = 0, shift;
    uint64_t number;
    const uint8_t *mark;
    unsigned size = sws__size(n->dtype);
    switch (n->coding) {
    case SWS__PLANES:
        SWS__NEED(n->dtype >= SWS_U8 && n->dtype <= SWS_F64, SWS_INDEX);
        n->blocks = (uint32_t)p->in.at;
        for (k = 0; k < 8 * size; k += form) {
            SWS__TRY(sws__byte(&p->in, &form));
            SWS__NEED(form >= 1 && form <= 16 && k + form <= 8 * size && form < 8 * size, SWS_INDEX);
            n->parts++;
        }
        return SWS_OK;
    case SWS__SCALED:
        SWS__NEED(sws__is_float(n->dtype), SWS_INDEX);
        SWS__TRY(sws__byte(&p->in, &form));
        shift = form >> 1 & 3;
        SWS__NEED(!(form >> 4) && shift != 3 && (!(form & 8) || n->dtype <= SWS_BF16), SWS_INDEX);
        n->form = (uint8_t)form;
        if (shift == 1) n->operations[factors++] = '-';
        n->operations[factors++] = '*';
        if (form & 1) n->operations[factors++] = '*';
        if (shift == 2) n->operations[factors++] = '+';
        n->parts = (uint8_t)(factors + 1);
        n->blocks = (uint32_t)p->in.at;
        for (k = 0; k < factors; k++) for (i = 0; i < n->rank; i++) {
            SWS__TRY(sws__varint(&p->in, &number));
            SWS__NEED(number < sws__dim(n, i), SWS_INDEX);
        }
        return SWS_OK;
    case SWS__ESCAPE:
        SWS__NEED(n->dtype != SWS_BOOL && size <= 8, SWS_INDEX);
        SWS__TRY(sws__varint(&p->in, &number));
        n->has_mark = number & 1;
        n->number = number >> 1;
        SWS__NEED(n->number >= 1 && n->number <= n->count, SWS_INDEX);
        n->mark = (uint32_t)p->in.at;
        if (n->has_mark) SWS__TRY(sws__bytes(&p->in, size, &mark));
        n->parts = 2;
        return SWS_OK;
    default:
        SWS__NEED(size >= 2 && size <= 8, SWS_INDEX);
        SWS__TRY(sws__varint(&p->in, &n->number));
        SWS__NEED(n->number >= 1 && n->number <= 65536 && n->number <= n->count, SWS_INDEX);
        n->parts = 2;
        return SWS_OK;
    }
}

/* Coding and dtype are known, and where the dimensions are: what follows up to the parts, or to the end. */
static sws_status sws__parse_body(sws__parser *p, sws__node *n)
{
    uint64_t product = 1, d, length;
    unsigned i, size = sws__size(n->dtype);
    int empty = 0, given = 1;
    n->unknown = n->coding > SWS__LOOKUP;
    SWS__NEED(++p->records <= (uint32_t)1 << 20, SWS_LIMIT);
    SWS__NEED(size || n->unknown, SWS_INDEX);
    for (i = 0; i < n->rank; i++) {
        d = sws__dim(n, i);
        if (!d) empty = 1;
        else if (size) {
            SWS__NEED(d <= (((uint64_t)1 << 63) - 1) / size / product, SWS_INDEX);
            product *= d;
        }
    }
    n->count = empty ? 0 : product;
    n->rows = n->rank ? sws__dim(n, 0) : 1;
    n->columns = n->rows ? n->count / n->rows : 0;
    SWS__NEED(!empty || n->coding == SWS__RAW || n->unknown, SWS_INDEX);
    length = 0;
    if (n->unknown) {
        const uint8_t *skipped;
        SWS__TRY(sws__varint(&p->in, &length));
        SWS__TRY(sws__bytes(&p->in, length, &skipped));
    } else switch (n->coding) {
    case SWS__RAW:
        length = n->count * size;
        given = 0;
        break;
    case SWS__NARROW: {
        unsigned storage;
        SWS__TRY(sws__byte(&p->in, &storage));
        SWS__NEED(sws__may_narrow(n->dtype, storage), SWS_INDEX);
        n->storage = (uint8_t)storage;
        length = n->count * sws__size(storage);
        given = 0;
        break;
    }
    case SWS__DENSE: SWS__TRY(sws__parse_dense(p, n)); break;
    case SWS__SPARSE:
        SWS__TRY(sws__parse_sparse(p, n));
        if (!n->entries) given = 0;
        break;
    case SWS__ADAPTIVE: SWS__TRY(sws__parse_adaptive(p, n)); break;
    case SWS__CLASSES: SWS__TRY(sws__parse_classes(p, n)); break;
    default: return sws__parse_parts(p, n);
    }
    if (given) SWS__TRY(sws__varint(&p->in, &length));
    n->length = length;
    if (length >= 256) {
        const uint8_t *crc;
        SWS__TRY(sws__bytes(&p->in, 4, &crc));
        n->crc = sws__u32(crc);
        n->payload = p->payload < p->file->size ? p->file->data + (size_t)p->payload : NULL;
        SWS__NEED(length <= ((uint64_t)1 << 63) - p->payload, SWS_TRUNCATED);
        p->payload += length;
    } else SWS__TRY(sws__bytes(&p->in, length, &n->payload));
    return SWS_OK;
}

/* Part k of a node: head and parameters. */
static sws_status sws__parse_part(sws__parser *p, const sws__node *parent, unsigned k, sws__node *n)
{
    unsigned head, dtype, usual = sws__usual(parent, k);
    uint64_t coding;
    memset(n, 0, sizeof *n);
    n->file = p->file;
    n->parent = parent;
    n->depth = (uint8_t)(parent->depth + 1);
    SWS__NEED(n->depth <= 4, SWS_INDEX);
    n->shape_kind = (uint8_t)sws__part_shape(parent, k);
    n->factor = (uint8_t)(k - 1);
    n->rank = n->shape_kind == SWS__VECTOR ? 1 : parent->rank;
    SWS__TRY(sws__byte(&p->in, &head));
    SWS__NEED(!(head & 0x70), SWS_INDEX);
    coding = head & 15;
    if (coding == 15) {
        SWS__TRY(sws__varint(&p->in, &coding));
        SWS__NEED(coding >= 15, SWS_INDEX);
    }
    SWS__NEED(coding != SWS__ALIAS, SWS_INDEX);
    n->coding = (uint16_t)(coding < 0xffff ? coding : 0xffff);
    dtype = usual;
    if (head & 128) {
        SWS__TRY(sws__byte(&p->in, &dtype));
        SWS__NEED(dtype != usual, SWS_INDEX);
    }
    n->dtype = (uint16_t)dtype;
    SWS__NEED(sws__part_dtype_allowed(parent, n, usual), SWS_INDEX);
    return sws__parse_body(p, n);
}
static sws_status sws__walk_parts(sws__parser *p, sws__node *n)
{
    unsigned k;
    for (k = 0; k < n->parts; k++) {
        sws__node part;
        SWS__TRY(sws__parse_part(p, n, k, &part));
        SWS__TRY(sws__walk_parts(p, &part));
        n->unknown |= part.unknown;
    }
    return SWS_OK;
}

/* A record from its head on; the number of the target for an alias. */
static sws_status sws__parse_record(sws__parser *p, unsigned *dtype, sws__node *n, uint64_t *target)
{
    unsigned head, i;
    uint64_t coding, rank, d;
    memset(n, 0, sizeof *n);
    n->file = p->file;
    SWS__TRY(sws__byte(&p->in, &head));
    coding = head & 15;
    if (coding == 15) {
        SWS__TRY(sws__varint(&p->in, &coding));
        SWS__NEED(coding >= 15, SWS_INDEX);
    }
    n->coding = (uint16_t)(coding < 0xffff ? coding : 0xffff);
    if (coding == SWS__ALIAS) {
        SWS__NEED(!(head >> 4), SWS_INDEX);
        SWS__NEED(++p->records <= (uint32_t)1 << 20, SWS_LIMIT);
        return sws__varint(&p->in, target);
    }
    if (head & 128) SWS__TRY(sws__byte(&p->in, dtype));
    n->dtype = (uint16_t)*dtype;
    rank = head >> 4 & 7;
    if (rank == 7) {
        SWS__TRY(sws__varint(&p->in, &rank));
        SWS__NEED(rank >= 7 && rank <= SWS_MAX_RANK, SWS_INDEX);
    }
    n->rank = (uint8_t)rank;
    n->dims = (uint32_t)p->in.at;
    for (i = 0; i < rank; i++) SWS__TRY(sws__varint(&p->in, &d));
    SWS__TRY(sws__parse_body(p, n));
    return SWS_OK;
}

static int sws__utf8(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        unsigned c = p[i++], more, least = 0x80, most = 0xbf;
        if (c < 0x80) continue;
        if (c < 0xc2 || c > 0xf4) return 0;
        more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        if (c == 0xe0) least = 0xa0;
        if (c == 0xed) most = 0x9f;
        if (c == 0xf0) least = 0x90;
        if (c == 0xf4) most = 0x8f;
        for (; more; more--, least = 0x80, most = 0xbf) if (i >= n || p[i] < least || p[i++] > most) return 0;
    }
    return 1;
}
static int sws__compare(const uint8_t *a, size_t n, const uint8_t *b, size_t m)
{
    int order = memcmp(a, b, n < m ? n : m);
    return order ? order : n < m ? -1 : n > m;
}
static sws_status sws__string(sws__in *in, const uint8_t **out, size_t *length)
{
    uint64_t n;
    SWS__TRY(sws__varint(in, &n));
    SWS__TRY(sws__bytes(in, n, out));
    *length = (size_t)n;
    SWS__NEED(sws__utf8(*out, *length), SWS_INDEX);
    return SWS_OK;
}

static int sws__by_name(const sws_file *f, uint32_t a, uint32_t b)
{
    return sws__compare(f->records[a].name, f->records[a].length, f->records[b].name, f->records[b].length);
}
/* Names must differ: their order by heapsort, then neighbours. */
static sws_status sws__names_differ(const sws_file *f, sws__arena arena)
{
    uint32_t n = (uint32_t)f->tensors, i, end, *heap;
    SWS__TRY(sws__alloc(&arena, n, sizeof *heap, &heap));
    for (i = 0; i < n; i++) heap[i] = i;
    for (i = n / 2, end = n; end > 1;) {
        uint32_t root, child, item;
        if (i) item = heap[--i];
        else {
            item = heap[--end];
            heap[end] = heap[0];
        }
        for (root = i; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && sws__by_name(f, heap[child], heap[child + 1]) < 0) child++;
            if (sws__by_name(f, item, heap[child]) >= 0) break;
            heap[root] = heap[child];
        }
        heap[root] = item;
    }
    for (i = 1; i < n; i++) SWS__NEED(sws__by_name(f, heap[i - 1], heap[i]), SWS_INDEX);
    return SWS_OK;
}

static sws_status sws__open_codebook(sws__parser *p)
{
    sws__book book;
    uint64_t count, last = 0, value;
    uint32_t i;
    const uint8_t *values;
    SWS__TRY(sws__byte(&p->in, &book.dtype));
    SWS__TRY(sws__byte(&p->in, &book.storage));
    SWS__NEED(sws__size(book.dtype) && sws__size(book.dtype) <= 8, SWS_INDEX);
    SWS__NEED(book.storage == book.dtype || sws__may_narrow(book.dtype, book.storage), SWS_INDEX);
    SWS__TRY(sws__varint(&p->in, &count));
    SWS__NEED(count >= 1 && count <= 4095, SWS_INDEX);
    SWS__TRY(sws__bytes(&p->in, count * sws__size(book.storage), &values));
    for (i = 0; i < count; i++, last = value) {
        SWS__NEED(sws__widen(values + (size_t)i * sws__size(book.storage), book.storage, book.dtype, &value), SWS_INDEX);
        if (sws__size(book.dtype) < 8) value &= ((uint64_t)1 << 8 * sws__size(book.dtype)) - 1;
        SWS__NEED(value > last, SWS_INDEX);
    }
    SWS__NEED(book.dtype != SWS_BOOL || (count == 1 && last == 1), SWS_INDEX);
    return SWS_OK;
}

static sws_status sws__open_index(sws__parser *p)
{
    sws_file *f = p->file;
    const uint8_t *key, *value, *last = NULL;
    size_t length, value_length, last_length = 0;
    uint64_t n, i, total = 0;
    unsigned dtype = SWS_F32;
    SWS__TRY(sws__varint(&p->in, &n));
    for (i = 0; i < n; i++) {
        SWS__TRY(sws__string(&p->in, &key, &length));
        SWS__NEED(!i || sws__compare(last, last_length, key, length) < 0, SWS_INDEX);
        SWS__TRY(sws__string(&p->in, &value, &value_length));
        last = key;
        last_length = length;
    }
    f->metadata = (uint32_t)n;
    SWS__TRY(sws__varint(&p->in, &n));
    SWS__NEED(n <= (p->in.end - p->in.at) / 4, SWS_INDEX);
    SWS__TRY(sws__alloc(p->arena, n, sizeof *f->codebook_at, &f->codebook_at));
    for (i = 0; i < n; i++) {
        f->codebook_at[i] = (uint32_t)p->in.at;
        SWS__TRY(sws__open_codebook(p));
    }
    f->codebooks = (uint32_t)n;
    SWS__TRY(sws__varint(&p->in, &n));
    SWS__NEED(n <= (p->in.end - p->in.at) / 3, SWS_INDEX);
    SWS__NEED(n <= (uint32_t)1 << 20, SWS_LIMIT);
    SWS__TRY(sws__alloc(p->arena, n, sizeof *f->records, &f->records));
    for (i = 0; i < n; i++) {
        sws__record *r = &f->records[i];
        const sws__record *before = i ? r - 1 : NULL;
        sws__node node;
        const uint8_t *suffix;
        uint8_t *name;
        uint64_t prefix, s, suffix_length, target;
        SWS__TRY(sws__varint(&p->in, &prefix));
        SWS__NEED(prefix <= (before ? before->length : 0), SWS_INDEX);
        SWS__TRY(sws__varint(&p->in, &s));
        if (s & 1) {
            SWS__NEED((s + 1) / 2 <= i, SWS_INDEX);
            suffix = f->records[i - (s + 1) / 2].name + f->records[i - (s + 1) / 2].prefix;
            suffix_length = (uint64_t)f->records[i - (s + 1) / 2].length - f->records[i - (s + 1) / 2].prefix;
        } else {
            suffix_length = s / 2;
            SWS__TRY(sws__bytes(&p->in, suffix_length, &suffix));
        }
        SWS__NEED(prefix + suffix_length <= 0xffff, SWS_LIMIT);
        total += prefix + suffix_length;
        SWS__NEED(total <= (uint64_t)1 << 24, SWS_LIMIT);
        r->prefix = (uint16_t)prefix;
        r->length = (uint16_t)(prefix + suffix_length);
        SWS__TRY(sws__alloc(p->arena, r->length, 1, &name));
        if (prefix) memcpy(name, before->name, (size_t)prefix);
        if (suffix_length) memcpy(name + prefix, suffix, (size_t)suffix_length);
        r->name = name;
        SWS__NEED(sws__utf8(name, r->length), SWS_INDEX);
        r->at = (uint32_t)p->in.at;
        r->dtype = (uint8_t)dtype;
        r->tables = p->tables;
        r->bitmaps = p->bitmaps;
        r->payload = p->payload;
        f->tensors = (size_t)i + 1;
        SWS__TRY(sws__parse_record(p, &dtype, &node, &target));
        if (node.coding == SWS__ALIAS) {
            SWS__NEED(target < i && (f->data[f->records[target].at] & 15) != SWS__ALIAS, SWS_INDEX);
        } else SWS__TRY(sws__walk_parts(p, &node));
    }
    f->tensors = (size_t)n;
    SWS__NEED(p->in.at == p->in.end, SWS_INDEX);
    f->table_count = p->tables;
    f->bitmap_count = p->bitmaps;
    return sws__names_differ(f, *p->arena);
}

sws_status sws_open(sws_file *file, const void *data, size_t size, void *memory, size_t memory_size)
{
    static const uint8_t signature[8] = {0x89, 'S', 'W', 'S', 0x0d, 0x0a, 0x1a, 0x0a};
    sws__arena arena = sws__arena_of(memory, memory_size);
    sws__parser p;
    uint64_t length;
    sws_status status;
    SWS_ASSERT(file && (data || !size) && (memory || !memory_size));
    memset(file, 0, sizeof *file);
    memset(&p, 0, sizeof p);
    file->limit = (uint64_t)1 << 34;
    file->data = data;
    file->size = size;
    SWS__NEED(size >= 8 && !memcmp(data, signature, 8), SWS_NOT_SWS);
    SWS__NEED(size >= 10, SWS_TRUNCATED);
    file->error_at = 8;
    SWS__NEED(file->data[8] == 1, file->data[8] ? SWS_VERSION : SWS_INDEX);
    p.in.data = data;
    p.in.at = 10;
    p.in.end = size;
    status = sws__varint(&p.in, &length);
    if (status != SWS_OK) return size < 19 && p.in.at == size && file->data[size - 1] > 127 ? SWS_TRUNCATED : size == 10 ? SWS_TRUNCATED : status;
    SWS__NEED(length <= (uint64_t)1 << 28, SWS_LIMIT);
    SWS__NEED(length + 4 <= size - p.in.at, SWS_TRUNCATED);
    file->index = p.in.at;
    p.in.end = p.in.at + (size_t)length;
    file->prefix = p.in.end + 4;
    file->error_at = p.in.end;
    SWS__NEED(sws__crc_right(file->data, p.in.end, sws__u32(file->data + p.in.end)), SWS_CHECKSUM);
    p.file = file;
    p.arena = &arena;
    p.payload = file->prefix;
    status = sws__open_index(&p);
    file->error_at = p.in.at;
    if (status == SWS_MEMORY) {
        file->needed = 2 * (arena.used > memory_size ? arena.used : memory_size) + 64;
        file->tensors = 0;
    }
    if (status != SWS_OK) return status;
    file->error_at = size;
    SWS__NEED(p.payload == size, SWS_TRUNCATED);
    file->error_at = 0;
    file->used = (size_t)(arena.base - (uint8_t *)memory) + arena.used;
    return SWS_OK;
}

/* ---------------------------------------------------------------------------------------------------- streams of symbols (6.3, 6.4) */

/* The symbols of a code in order, for decoding bit by bit: two bytes for each that is used. */
static sws_status sws__prepare(const sws_file *f, sws__code *code, sws__arena *a)
{
    sws__bits b;
    unsigned length, first = 0, total = 0;
    uint16_t offset[13];
    int one;
    if (code->one != -1) return SWS_OK;
    b.data = f->data;
    b.at = code->bit;
    b.end = (uint64_t)f->prefix * 8;
    memset(code->used, 0, sizeof code->used);
    (void)sws__code_table(&b, code->alphabet, &one, code->used, NULL, NULL);
    for (length = 1; length <= 12; length++) {
        first = (first + code->used[length - 1]) << 1;
        code->first[length] = (uint16_t)first;
        code->offset[length] = (uint16_t)total;
        total += code->used[length];
    }
    SWS__TRY(sws__alloc(a, total, sizeof *code->symbols, &code->symbols));
    if (!a->base) return SWS_OK;
    memcpy(offset, code->offset, sizeof offset);
    b.at = code->bit;
    {
        uint16_t again[13] = {0};
        (void)sws__code_table(&b, code->alphabet, &one, again, offset, code->symbols);
    }
    return SWS_OK;
}
static int sws__symbol(const sws__code *code, sws__bits *b, uint32_t *out)
{
    unsigned length, bits = 0;
    if (code->one >= 0) {
        *out = (uint32_t)code->one;
        return 1;
    }
    if (code->one == -2) return sws__field(b, code->width, out) && *out < code->alphabet;
    for (length = 1; length <= 12; length++) {
        int bit = sws__bit(b);
        if (bit < 0) return 0;
        bits = bits << 1 | (unsigned)bit;
        if (bits - code->first[length] < code->used[length]) {
            *out = code->symbols[code->offset[length] + bits - code->first[length]];
            return 1;
        }
    }
    return 0;
}

/* -------------------------------------------------------------------------------------------------------------------- decoders (5)
 * build: memory and parts. start: at the first element. pull: the next elements, to out. finish: is the payload at its end? */

static sws_status sws__build(sws__parser *p, sws__node *n, sws__arena *a);
static sws_status sws__start(sws__node *n);
static sws_status sws__pull(sws__node *n, uint8_t *out, size_t count);
static sws_status sws__finish(sws__node *n);

static sws__bits sws__payload(const sws__node *n)
{
    sws__bits b;
    b.data = n->payload;
    b.at = 0;
    b.end = n->length * 8;
    return b;
}
static sws_status sws__at_end(sws__bits *b)
{
    SWS__NEED(sws__pad(b) && b->at == b->end, SWS_PAYLOAD);
    return SWS_OK;
}
static void sws__put(const sws__book *book, uint8_t *out, uint32_t symbol)
{
    sws__store(out, sws__value(book, symbol), sws__size(book->dtype));
}

/* raw and narrow */
typedef struct { size_t at; } sws__plain;
static sws_status sws__pull_plain(sws__node *n, uint8_t *out, size_t count)
{
    sws__plain *s = n->state;
    size_t i, size = sws__size(n->dtype), step = n->coding == SWS__RAW ? size : sws__size(n->storage);
    const uint8_t *p = n->payload + s->at;
    s->at += count * step;
    if (n->coding == SWS__RAW) {
        if (count) memcpy(out, p, count * size);
        if (n->dtype == SWS_BOOL) for (i = 0; i < count; i++) SWS__NEED(p[i] <= 1, SWS_PAYLOAD);
        return SWS_OK;
    }
    for (i = 0; i < count; i++) {
        uint64_t v;
        SWS__NEED(sws__widen(p + i * step, n->storage, n->dtype, &v), SWS_PAYLOAD);
        sws__store(out + i * size, v, (unsigned)size);
    }
    return SWS_OK;
}

/* dense */
typedef struct { sws__bits symbols, table; uint64_t at, chunk_start; sws__book book; } sws__dense;
static sws_status sws__dense_chunk(sws__node *n, sws__dense *s) /* the chunk that is over has as many bits as its field says */
{
    uint32_t bits;
    if (!n->number) return SWS_OK;
    SWS__NEED(sws__field(&s->table, n->widths[0], &bits) && s->symbols.at - s->chunk_start == bits, SWS_PAYLOAD);
    s->chunk_start = s->symbols.at;
    return SWS_OK;
}
static sws_status sws__start_dense(sws__node *n)
{
    sws__dense *s = n->state;
    uint64_t bits = n->number ? ((n->count - 1) / n->number + 1) * n->widths[0] : 0;
    s->table = s->symbols = sws__payload(n);
    SWS__NEED(bits <= s->symbols.end, SWS_PAYLOAD);
    s->symbols.at = s->chunk_start = bits;
    s->at = 0;
    s->book = sws__book_of(n->file, n->codebook);
    return SWS_OK;
}
static sws_status sws__pull_dense(sws__node *n, uint8_t *out, size_t count)
{
    sws__dense *s = n->state;
    unsigned size = sws__size(n->dtype);
    uint32_t symbol;
    for (; count; count--, out += size) {
        if (n->number && s->at && s->at % n->number == 0) SWS__TRY(sws__dense_chunk(n, s));
        SWS__NEED(sws__symbol(&n->code, &s->symbols, &symbol), SWS_PAYLOAD);
        sws__put(&s->book, out, symbol);
        s->at++;
    }
    return SWS_OK;
}

/* sparse. All of it is checked by start, which goes through both streams; by columns it notes where each line begins in them. */
typedef struct { uint32_t gap, value, place, left, column; } sws__lane; /* bits; the place of the next entry, and how many there are */
typedef struct {
    sws__bits gaps, values;
    uint64_t cursor, line, entry, next, left, at; /* next: element of the next entry (by rows) */
    uint64_t row, column, live_row; /* of the next element that is pulled (by columns); of the line (by rows) */
    uint64_t lines, places, compact; /* compact: live columns up to `column` (by rows) */
    uint64_t pending_left;
    sws__lane *lanes;
    sws__book book;
} sws__sparse;

static int sws__live(const sws__bitmap *b, uint64_t i) { return !b || sws__bitmap_bit(b, (uint32_t)i); }
static uint32_t sws__line_count(const sws__node *n, uint64_t line)
{
    sws__bits b = sws__payload(n);
    uint32_t count = 0;
    b.at = line * n->widths[0];
    (void)sws__field(&b, n->widths[0], &count);
    return count;
}
/* The next entry: its place moves s->cursor behind it. `limit` is where the line or the matrix ends. */
static sws_status sws__gap(const sws__node *n, sws__bits *gaps, uint64_t *cursor, uint64_t limit, uint64_t *place)
{
    uint32_t gap;
    do {
        SWS__NEED(sws__symbol(&n->gaps, gaps, &gap), SWS_PAYLOAD);
        *cursor += gap;
        SWS__NEED(*cursor < limit, SWS_PAYLOAD);
    } while (gap == n->gaps.alphabet - 1u);
    *place = (*cursor)++;
    return SWS_OK;
}
static sws_status sws__start_sparse(sws__node *n)
{
    sws__sparse *s = n->state;
    sws__bits table;
    uint64_t i, line, left = 0, limit, chunk_gaps, chunk_cursor, chunk_values, place, line_now = (uint64_t)-1, R, C, before;
    uint32_t bits, advance, symbol;
    sws__lane *lanes = s->lanes;
    memset(s, 0, sizeof *s);
    s->lanes = lanes;
    if (!n->entries) return n->length ? SWS_PAYLOAD : SWS_OK;
    s->book = sws__book_of(n->file, n->codebook);
    R = n->live_rows ? n->live_rows->live : n->rows;
    C = n->live_columns ? n->live_columns->live : n->columns;
    s->lines = n->by_columns ? C : R;
    s->places = n->by_columns ? R : C;
    table = s->gaps = sws__payload(n);
    SWS__NEED(!lanes || n->length < (uint32_t)1 << 29, SWS_LIMIT);
    if (n->line_ends) {
        SWS__NEED(s->lines <= s->gaps.end / n->widths[0], SWS_PAYLOAD);
        s->gaps.at = s->lines * n->widths[0];
        for (i = 0; i < s->lines; i++) {
            uint32_t c = sws__line_count(n, i);
            SWS__NEED(c <= n->entries - left, SWS_PAYLOAD);
            left += c;
        }
        SWS__NEED(left == n->entries, SWS_PAYLOAD);
    }
    if (n->number) {
        uint64_t fields = (n->entries - 1) / n->number + 1, width = (uint64_t)n->widths[0] + n->widths[1] + n->widths[2];
        SWS__NEED(fields <= s->gaps.end / width, SWS_PAYLOAD);
        s->gaps.at += fields * width;
    }
    s->values = s->gaps;
    if (lanes) for (i = line = 0; i < n->columns; i++) if (sws__live(n->live_columns, i)) {
        memset(&lanes[line], 0, sizeof *lanes);
        lanes[line++].column = (uint32_t)i;
    }
    /* the gap stream */
    chunk_gaps = s->values.at;
    chunk_cursor = 0;
    limit = n->line_ends ? 0 : s->lines * s->places;
    for (i = line = left = 0; i < n->entries; i++) {
        while (n->line_ends && !left) {
            left = sws__line_count(n, line++);
            s->cursor = limit;
            limit += s->places;
        }
        before = s->values.at;
        SWS__TRY(sws__gap(n, &s->values, &s->cursor, limit, &place));
        (void)before;
        left--;
        if (lanes) {
            uint64_t l = place / s->places;
            if (l != line_now) {
                lanes[l].gap = (uint32_t)s->values.at;
                lanes[l].place = (uint32_t)(place - l * s->places);
                line_now = l;
            }
            lanes[l].left++;
        }
        if (n->number && ((i + 1) % n->number == 0 || i + 1 == n->entries)) {
            SWS__NEED(sws__field(&table, n->widths[0], &bits) && s->values.at - chunk_gaps == bits, SWS_PAYLOAD);
            table.at += n->widths[1];
            SWS__NEED(sws__field(&table, n->widths[2], &advance) && s->cursor - chunk_cursor == advance, SWS_PAYLOAD);
            chunk_gaps = s->values.at;
            chunk_cursor = s->cursor;
        }
    }
    /* the value stream */
    {
        sws__bits values = s->values;
        uint64_t l = 0, of_line = 0;
        chunk_values = values.at;
        table.at = 0;
        for (i = 0; i < n->entries; i++) {
            if (lanes) {
                while (of_line == lanes[l].left) {
                    l++;
                    of_line = 0;
                }
                if (!of_line++) lanes[l].value = (uint32_t)values.at;
            }
            SWS__NEED(sws__symbol(&n->code, &values, &symbol), SWS_PAYLOAD);
            if (n->number && n->widths[1] && ((i + 1) % n->number == 0 || i + 1 == n->entries)) {
                table.at = (i / n->number) * ((uint64_t)n->widths[0] + n->widths[1] + n->widths[2]) + n->widths[0];
                SWS__NEED(sws__field(&table, n->widths[1], &bits) && values.at - chunk_values == bits, SWS_PAYLOAD);
                chunk_values = values.at;
            }
        }
        SWS__TRY(sws__at_end(&values));
    }
    s->cursor = 0;
    s->left = 0;
    s->pending_left = 0;
    s->next = (uint64_t)-1;
    s->column = (uint64_t)-1;
    s->row = (uint64_t)-1;
    return SWS_OK;
}
/* By rows: the element of the next entry. Lines and places are counted on to, since entries ascend. */
static sws_status sws__next_entry(sws__node *n, sws__sparse *s)
{
    uint64_t place, line, limit = s->lines * s->places, row_before = s->row;
    if (s->entry == n->entries) {
        s->next = n->count;
        return SWS_OK;
    }
    if (n->line_ends) {
        while (!s->left) {
            s->left = sws__line_count(n, s->line);
            s->cursor = s->line++ * s->places;
        }
        limit = s->line * s->places;
        s->left--;
    }
    SWS__TRY(sws__gap(n, &s->gaps, &s->cursor, limit, &place));
    s->entry++;
    line = place / s->places;
    place %= s->places;
    if (!n->live_rows) s->row = line;
    else {
        if (s->row == (uint64_t)-1) {
            for (s->row = 0; !sws__live(n->live_rows, s->row);) s->row++;
            s->live_row = 0;
        }
        for (; s->live_row < line; s->live_row++) do s->row++; while (!sws__live(n->live_rows, s->row));
    }
    if (!n->live_columns) s->column = place;
    else {
        if (s->row != row_before) {
            for (s->column = 0; !sws__live(n->live_columns, s->column);) s->column++;
            s->compact = 0;
        }
        for (; s->compact < place; s->compact++) do s->column++; while (!sws__live(n->live_columns, s->column));
    }
    s->next = s->row * n->columns + s->column;
    return SWS_OK;
}
static sws_status sws__pull_sparse(sws__node *n, uint8_t *out, size_t count)
{
    sws__sparse *s = n->state;
    unsigned size = sws__size(n->dtype);
    uint32_t symbol;
    memset(out, 0, count * size);
    if (!n->entries) return SWS_OK;
    if (!s->lanes) {
        uint64_t end = s->at + count;
        if (s->next == (uint64_t)-1) SWS__TRY(sws__next_entry(n, s));
        while (s->next < end) {
            SWS__NEED(sws__symbol(&n->code, &s->values, &symbol), SWS_PAYLOAD);
            sws__put(&s->book, out + (size_t)(s->next - s->at) * size, symbol + 1);
            SWS__TRY(sws__next_entry(n, s));
        }
        s->at = end;
        return SWS_OK;
    }
    while (count) { /* by columns: row by row, what of the row is still to come or as much as is asked for */
        uint64_t row = s->at / n->columns, column = s->at % n->columns, take = n->columns - column, l;
        if (take > count) take = count;
        if (sws__live(n->live_rows, row)) {
            uint64_t lo = 0, hi = s->lines;
            while (lo < hi) { /* the first lane at or behind the column */
                l = (lo + hi) / 2;
                if (s->lanes[l].column < column) lo = l + 1;
                else hi = l;
            }
            for (l = lo; l < s->lines && s->lanes[l].column < column + take; l++) {
                sws__lane *lane = &s->lanes[l];
                sws__bits b = s->values;
                if (!lane->left || lane->place != s->live_row) continue;
                b.at = lane->value;
                SWS__NEED(sws__symbol(&n->code, &b, &symbol), SWS_PAYLOAD);
                lane->value = (uint32_t)b.at;
                sws__put(&s->book, out + (size_t)(lane->column - column) * size, symbol + 1);
                if (--lane->left) {
                    uint64_t cursor = (uint64_t)lane->place + 1, place;
                    b.at = lane->gap;
                    SWS__TRY(sws__gap(n, &b, &cursor, s->places, &place));
                    lane->gap = (uint32_t)b.at;
                    lane->place = (uint32_t)place;
                }
            }
        }
        if (column + take == n->columns && sws__live(n->live_rows, row)) s->live_row++;
        out += (size_t)take * size;
        s->at += take;
        count -= (size_t)take;
    }
    return SWS_OK;
}

/* The classes of rows and columns are read where they are asked for. */
static unsigned sws__class_of(const sws__node *n, uint64_t first, unsigned width, uint64_t i)
{
    sws__bits b = sws__payload(n);
    uint32_t class_ = 0;
    b.at = first + i * width;
    (void)sws__field(&b, width, &class_);
    return class_;
}
static unsigned sws__row_bits(const sws__node *n) { return sws__bit_length(n->R - 1u); }
static unsigned sws__column_bits(const sws__node *n) { return sws__bit_length(n->C - 1u); }
static unsigned sws__row_class(const sws__node *n, uint64_t row) { return sws__class_of(n, 0, sws__row_bits(n), row); }
static unsigned sws__column_class(const sws__node *n, uint64_t column)
{
    return sws__class_of(n, n->rows * sws__row_bits(n), sws__column_bits(n), column);
}
static sws_status sws__labels(const sws__node *n, sws__bits *b) /* checked, and behind them */
{
    unsigned wr = sws__row_bits(n), wc = sws__column_bits(n);
    uint64_t i;
    SWS__NEED((!wr || n->rows <= b->end / wr) && (!wc || n->columns <= b->end / wc) && n->rows * wr + n->columns * wc <= b->end, SWS_PAYLOAD);
    for (i = 0; wr && i < n->rows; i++) SWS__NEED(sws__row_class(n, i) < n->R, SWS_PAYLOAD);
    for (i = 0; wc && i < n->columns; i++) SWS__NEED(sws__column_class(n, i) < n->C, SWS_PAYLOAD);
    b->at = n->rows * wr + n->columns * wc;
    return SWS_OK;
}

/* adaptive (6.6) */
typedef struct {
    const uint8_t *p;
    size_t at, end;
    uint32_t low, high, c;
} sws__range;
typedef struct {
    uint32_t *slots[11]; /* probability * 256 + count */
    int32_t weights[11], values[11];
    uint32_t contexts[11], sizes[11], decisions;  /* sizes: slots of each input, or of each of its nodes */
    unsigned n;
} sws__model;
typedef struct {
    sws__range coder;
    sws__model zero_flags, values;
    sws__book book;
    uint32_t N, L, s, V[2], above, line, lines;   /* line: the next of the chunk's `lines` */
    uint64_t chunk, position, place, element;     /* position: of the next chunk in the payload */
    uint8_t *live_places, *live_lines, *level, *level1, *level2, *kind, *kind1;
    uint32_t *counts, *last, *slots, slot_count, pad;
    int16_t *sizes;                               /* with classes: of the entries of the line, by sign */
    const uint8_t *table;
    uint8_t *opened;                              /* nodes of values whose slots are filled: a chunk meets few of them */
    uint16_t *symbols;                            /* of a line */
    uint16_t *wide;                               /* by columns: of all elements, */
    uint8_t *narrow;                              /* in one of these */
    int16_t *stretch;
} sws__adaptive;

static int32_t sws__squash(int32_t x)
{
    static const uint16_t q[24] = {32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
        65523, 65528, 65531, 65533, 65534, 65535, 65535};
    int32_t a = x < 0 ? -x : x, i = a >> 7, f = a & 127, y;
    y = (q[i] * (128 - f) + (i < 23 ? q[i + 1] : 65536) * f) >> 7;
    return x < 0 ? 65536 - y : y;
}
static int32_t sws__stretch(uint32_t k) /* the largest x with squash(x) <= 16 k + 8 */
{
    int32_t low = -3071, high = 3071, limit = (int32_t)(16 * k + 8);
    while (low < high) {
        int32_t middle = low + (high - low + 1) / 2;
        if (sws__squash(middle) <= limit) low = middle;
        else high = middle - 1;
    }
    return low;
}
static unsigned sws__bucket(uint64_t n)
{
    static const uint8_t steps[11] = {1, 2, 3, 4, 6, 9, 14, 22, 40, 80, 200};
    unsigned b = 0;
    while (b < 11 && steps[b] <= n) b++;
    return b;
}
static unsigned sws__density(uint64_t c, uint64_t k) { return sws__bucket(64 * (4 * c + 1) / (4 * k + 2)); }

static void sws__range_byte(sws__range *r)
{
    r->c = r->c << 8 | (r->at < r->end ? r->p[r->at] : 0);
    r->at++;
}
static int sws__range_bit(sws__range *r, uint32_t p)
{
    uint32_t m = r->low + (uint32_t)((uint64_t)(r->high - r->low) * p >> 16);
    int bit = r->c <= m;
    if (bit) r->high = m;
    else r->low = m + 1;
    while (!((r->low ^ r->high) >> 24)) {
        r->low <<= 8;
        r->high = r->high << 8 | 255;
        sws__range_byte(r);
    }
    return bit;
}
/* The string must be the one that a writer makes. */
static sws_status sws__range_finish(const sws__range *r)
{
    uint64_t unit = (uint64_t)1 << 32, w;
    for (;; unit >>= 8) {
        w = (r->low + unit - 1) / unit * unit;
        if (w <= r->high) break;
    }
    SWS__NEED(r->c == w && r->end <= r->at && (!r->end || r->p[r->end - 1]), SWS_PAYLOAD);
    return SWS_OK;
}
/* With nodes their slots are filled by `sws__open`. */
static void sws__model_start(sws__model *m, unsigned n, const uint32_t *sizes, uint32_t nodes, uint32_t **slots)
{
    unsigned i;
    memset(m, 0, sizeof *m);
    m->n = n;
    for (i = 0; i < n; i++) {
        uint32_t k;
        m->slots[i] = *slots;
        m->sizes[i] = nodes ? sizes[i] / nodes : sizes[i];
        for (k = 0; !nodes && k < sizes[i]; k++) m->slots[i][k] = (uint32_t)1 << 29;
        *slots += sizes[i];
        m->weights[i] = (int32_t)(81920 / n);
    }
}
static void sws__open(sws__adaptive *s, uint32_t y)
{
    unsigned i;
    uint32_t k;
    for (i = 0; !s->opened[y] && i < s->values.n; i++) {
        for (k = 0; k < s->values.sizes[i]; k++) s->values.slots[i][y * s->values.sizes[i] + k] = (uint32_t)1 << 29;
    }
    s->opened[y] = 1;
}
static int sws__decide(sws__adaptive *s, sws__model *m)
{
    int64_t sum = 0, x;
    int32_t p, e, bit;
    unsigned i;
    for (i = 0; i < m->n; i++) {
        uint32_t slot = m->slots[i][m->contexts[i]];
        m->values[i] = slot & 255 ? s->stretch ? s->stretch[slot >> 18] : sws__stretch(slot >> 18) : 0;
        sum += (int64_t)m->weights[i] * m->values[i];
    }
    x = sum >> 16;
    p = sws__squash(x < -3071 ? -3071 : x > 3071 ? 3071 : (int32_t)x);
    p = p < 1 ? 1 : p > 65535 ? 65535 : p;
    bit = sws__range_bit(&s->coder, (uint32_t)p);
    e = (65536 * bit - p) * (int32_t)(640 + 7680 / (1 + (m->decisions >> 6)));
    if (m->decisions < (uint32_t)1 << 31) m->decisions++;
    for (i = 0; i < m->n; i++) {
        int64_t w = m->weights[i] + (((int64_t)m->values[i] * e + ((int64_t)1 << 25)) >> 26);
        uint32_t *slot = &m->slots[i][m->contexts[i]], count = *slot & 255, P = *slot >> 8, r = 131072 / (2 * count + 3);
        m->weights[i] = w < -1048576 ? -1048576 : w > 1048576 ? 1048576 : (int32_t)w;
        if (bit) P += (uint32_t)((uint64_t)(4194303 - P) * r >> 16);
        else P -= (uint32_t)((uint64_t)P * r >> 16);
        *slot = P << 8 | (count < 255 ? count + 1 : 255);
    }
    return bit;
}
static void sws__live_flags(sws__adaptive *s, uint8_t *flags, uint32_t count, uint32_t stride)
{
    static const uint32_t sizes[3] = {8, 36, 81};
    sws__model m;
    uint32_t j, r, ones = 0, *slots = s->slots;
    sws__model_start(&m, 3, sizes, 0, &slots);
#define SWS__F(d) ((uint32_t)(j >= (d) ? flags[j - (d)] : 0))
    for (j = r = 0; j < count; j++, r = r + 1 == stride ? 0 : r + 1) {
        uint32_t a = sws__bucket(r), b;
        if (!r) ones = 0;
        b = sws__bucket(ones);
        m.contexts[0] = 4 * SWS__F(1u) + 2 * SWS__F(2u) + SWS__F(3u);
        m.contexts[1] = 9 * (2 * SWS__F(1u) + SWS__F(stride)) + SWS__F(1u) + SWS__F(2u) + SWS__F(3u) + SWS__F(4u) + SWS__F(stride) + SWS__F(stride + 1)
            + (stride > 1 ? SWS__F(stride - 1) : 0) + SWS__F(2 * stride);
        m.contexts[2] = 9 * (a < 8 ? a : 8) + (b < 8 ? b : 8);
        flags[j] = (uint8_t)sws__decide(s, &m);
        ones += flags[j];
    }
}
static uint32_t sws__Y(const uint32_t V[2]) { return (uint32_t)2 << sws__bit_length((V[0] > V[1] ? V[0] : V[1]) - 1); }
static void sws__signs(const sws__book *book, uint32_t V[2])
{
    uint32_t v;
    V[0] = V[1] = 0;
    for (v = 1; v <= book->count; v++) V[sws__value(book, v) >> (8 * sws__size(book->dtype) - 1) & 1]++;
}
static unsigned sws__adaptive_sizes(const sws__node *n, uint32_t N, uint32_t Y, uint32_t zero[11], uint32_t value[10], uint32_t *total)
{
    static const uint16_t fixed[9] = {81, 144, 0, 1, 240, 432, 144, 36, 144}, times[6] = {17, 17, 1, 17, 17, 63};
    uint32_t i, zeros = n->light ? 3 : 9, values = n->light ? 3 : 6, pairs = (uint32_t)n->R * n->C;
    *total = 0;
    for (i = 0; i < zeros; i++) zero[i] = i == 2 ? N : fixed[i];
    for (i = 0; i < values; i++) value[i] = times[i] * Y;
    if (pairs) {
        zero[zeros++] = 289;
        zero[zeros++] = pairs;
        value[values++] = 289 * Y;
        value[values++] = 289 * Y;
        value[values++] = 17 * Y;
        value[values++] = pairs * Y;
    }
    for (i = 0; i < zeros; i++) *total += zero[i];
    for (i = 0; i < values; i++) *total += value[i];
    if (*total < 125) *total = 125; /* live flags use the same memory before */
    return values;
}
static sws_status sws__build_adaptive(sws__node *n, sws__arena *a)
{
    sws__adaptive *s, local;
    uint64_t lines = n->by_columns ? n->columns : n->rows;
    uint32_t zero[11], value[10], size;
    SWS__TRY(sws__alloc(a, 1, sizeof *s, &n->state));
    s = n->state ? n->state : &local;
    memset(s, 0, sizeof *s);
    s->book = sws__book_of(n->file, n->codebook);
    s->N = (uint32_t)(n->by_columns ? n->rows : n->columns);
    s->L = (uint32_t)(n->number < lines ? n->number : lines);
    s->s = n->by_columns ? 1 : n->stride;
    s->pad = s->s * 2 > 3 ? 2 * s->s : 3;
    size = s->N + 2 * s->pad;
    sws__signs(&s->book, s->V);
    (void)sws__adaptive_sizes(n, s->N, sws__Y(s->V), zero, value, &s->slot_count);
    SWS__TRY(sws__alloc(a, s->slot_count, sizeof *s->slots, &s->slots));
    SWS__TRY(sws__alloc(a, sws__Y(s->V), 1, &s->opened));
    if (!n->no_zeros) {
        SWS__TRY(sws__alloc(a, s->N, 1, &s->live_places));
        SWS__TRY(sws__alloc(a, s->L, 1, &s->live_lines));
    }
    SWS__TRY(sws__alloc(a, size, 1, &s->level));
    SWS__TRY(sws__alloc(a, size, 1, &s->level1));
    SWS__TRY(sws__alloc(a, size, 1, &s->level2));
    SWS__TRY(sws__alloc(a, size, 1, &s->kind));
    SWS__TRY(sws__alloc(a, size, 1, &s->kind1));
    SWS__TRY(sws__alloc(a, size, sizeof *s->counts, &s->counts));
    SWS__TRY(sws__alloc(a, s->N, sizeof *s->last, &s->last));
    SWS__TRY(sws__alloc(a, s->N, sizeof *s->symbols, &s->symbols));
    if (n->R) SWS__TRY(sws__alloc(a, size, sizeof *s->sizes, &s->sizes));
#ifndef SWS_SMALL /* a table of 8 kB, which a small machine can do without */
    SWS__TRY(sws__alloc(a, 4096, sizeof *s->stretch, &s->stretch));
    if (s->stretch) {
        uint32_t k;
        int32_t x = -3071;
        for (k = 0; k < 4096; k++) {
            while (x < 3071 && sws__squash(x + 1) <= (int32_t)(16 * k + 8)) x++;
            s->stretch[k] = (int16_t)x;
        }
    }
#endif
    if (n->by_columns) {
        if (s->book.count < 256) SWS__TRY(sws__alloc(a, n->count, 1, &s->narrow));
        else SWS__TRY(sws__alloc(a, n->count, 2, &s->wide));
    }
    return SWS_OK;
}
static sws_status sws__adaptive_finish_chunk(sws__node *n, sws__adaptive *s)
{
    uint32_t j;
    for (j = 0; j < s->N && !n->no_zeros; j++) SWS__NEED(!s->live_places[j] || s->counts[s->pad + j], SWS_PAYLOAD);
    return sws__range_finish(&s->coder);
}
static sws_status sws__adaptive_chunk(sws__node *n, sws__adaptive *s)
{
    uint64_t lines = n->by_columns ? n->columns : n->rows, chunks = (lines - 1) / n->number + 1, first = s->chunk * n->number, size;
    uint32_t zero[11], value[10], total, *slots, width = s->N + 2 * s->pad, i, values;
    if (!s->chunk) {
        s->position = 0;
        if (n->R) {
            sws__bits b = sws__payload(n);
            SWS__TRY(sws__labels(n, &b));
            SWS__NEED(sws__pad(&b), SWS_PAYLOAD);
            s->position = b.at / 8;
        }
        SWS__NEED(chunks - 1 <= (n->length - s->position) / 4, SWS_PAYLOAD);
        s->table = n->payload + (size_t)s->position;
        s->position += 4 * (chunks - 1);
    }
    size = s->chunk + 1 < chunks ? sws__u32(s->table + (size_t)s->chunk * 4) : n->length - s->position;
    SWS__NEED(size <= n->length - s->position, SWS_PAYLOAD);
    s->coder.p = n->payload + (size_t)s->position;
    s->coder.at = 0;
    s->coder.end = (size_t)size;
    s->coder.low = 0;
    s->coder.high = 0xffffffff;
    for (i = 0; i < 4; i++) sws__range_byte(&s->coder);
    s->position += size;
    s->chunk++;
    s->lines = (uint32_t)(lines - first < n->number ? lines - first : n->number);
    s->line = s->above = 0;
    if (!n->no_zeros) {
        sws__live_flags(s, s->live_places, s->N, n->by_columns ? 1 : n->stride);
        sws__live_flags(s, s->live_lines, s->lines, n->by_columns ? n->stride : 1);
    }
    values = sws__adaptive_sizes(n, s->N, sws__Y(s->V), zero, value, &total);
    slots = s->slots;
    sws__model_start(&s->zero_flags, (n->light ? 3u : 9u) + (n->R ? 2u : 0u), zero, 0, &slots);
    sws__model_start(&s->values, values, value, sws__Y(s->V), &slots);
    memset(s->opened, 0, sws__Y(s->V));
    memset(s->level1, 0, width);
    memset(s->level2, 0, width);
    memset(s->kind1, 0, width);
    memset(s->counts, 0, width * sizeof *s->counts);
    memset(s->last, 0, s->N * sizeof *s->last);
    return SWS_OK;
}
static uint32_t sws__kind_of_size(int32_t x)
{
    unsigned b = sws__bucket((uint32_t)(x < 0 ? -x : x) - 1);
    return x ? (x > 0 ? 1 : 9) + (b < 7 ? b : 7) : 0;
}
static int sws__zero_flag(const sws__node *n, sws__adaptive *s, uint32_t j, uint32_t m, uint32_t i, uint32_t z, uint32_t pair)
{
    uint32_t *c = s->zero_flags.contexts, d = s->s, a0;
    const uint8_t *l = s->level + s->pad + j, *u = s->level1 + s->pad + j;
    const uint32_t *counts = s->counts + s->pad + j;
    a0 = *counts;
    c[0] = 27u * l[-1] + 9u * l[-2] + 3u * l[-3] + l[-(ptrdiff_t)d];
    c[1] = 12 * sws__density(a0, s->above) + sws__density(m, i);
    c[2] = j;
    if (!n->light) {
        uint32_t far = counts[-(ptrdiff_t)d] + counts[d], b0 = sws__bucket(a0);
        uint32_t w = (uint32_t)((l[-1] > 0) + (l[-2] > 0) + (l[-(ptrdiff_t)d] > 0) + (l[-(ptrdiff_t)d - 1] > 0) + (l[1 - (ptrdiff_t)d] > 0) + (u[0] > 0) + (u[-1] > 0)
            + (u[1] > 0) + (s->level2[s->pad + j] > 0));
        c[3] = 0;
        c[4] = 20 * sws__bucket((uint64_t)far + counts[-1] + counts[1]) + 2 * w + (l[-1] > 0);
        c[5] = 36 * sws__bucket(far) + 3 * b0 + l[-(ptrdiff_t)d];
        c[6] = 12 * sws__bucket(m) + sws__bucket(i);
        c[7] = 3 * sws__bucket(z) + l[-1];
        c[8] = 12 * (a0 ? sws__bucket(s->above - s->last[j]) : 11) + b0;
    }
    if (n->R) {
        const uint8_t *k = s->kind + s->pad + j;
        c[s->zero_flags.n - 2] = 17u * k[-1] + k[-2];
        c[s->zero_flags.n - 1] = pair;
    }
    return sws__decide(s, &s->zero_flags);
}
static uint32_t sws__adaptive_value(const sws__node *n, sws__adaptive *s, uint32_t j, uint32_t pair)
{
    const uint8_t *k = s->kind + s->pad + j;
    ptrdiff_t d = s->s;
    uint8_t near[6];
    uint32_t *c = s->values.contexts, y = 0, q = 1, rank = 0, C = 0, i;
    int G = 0, sign, b, asked;
    uint32_t more = s->values.n - 4, leads = n->R ? sws__kind_of_size(2 * s->sizes[s->pad + j - 1] - s->sizes[s->pad + j - 2]) : 0;
    near[0] = k[-1];
    near[1] = k[-d];
    near[2] = k[1 - d];
    near[3] = k[-2];
    near[4] = k[-d - 1];
    near[5] = k[-2 * d];
    for (i = 0; i < 6; i++) if (near[i]) {
        C++;
        G += near[i] > 8 ? 1 : -1;
    }
    G = G < -4 ? -4 : G > 4 ? 4 : G;
    sign = s->V[0] ? 0 : 1;
    asked = s->V[0] && s->V[1];
    for (b = -1;;) {
        int bit = 0;
        if (asked) {
            c[0] = 17 * y + near[0];
            c[1] = 17 * y + near[1];
            c[2] = y;
            if (!n->light) {
                c[3] = 17 * y + s->kind1[s->pad + j];
                c[4] = 17 * y + near[2];
                c[5] = 63 * y + 7 * (uint32_t)(G + 4) + C;
            }
            if (n->R) {
                c[more] = 289 * y + 17u * near[0] + near[3];
                c[more + 1] = 289 * y + 17u * near[1] + near[5];
                c[more + 2] = 17 * y + leads;
                c[more + 3] = (uint32_t)n->R * n->C * y + pair;
            }
            sws__open(s, y);
            bit = sws__decide(s, &s->values);
        }
        if (b < 0) {
            if (asked) sign = bit;
            b = (int)sws__bit_length(s->V[sign] - 1);
        } else {
            rank |= (uint32_t)bit << b;
            q = 2 * q + (uint32_t)bit;
        }
        if (!b--) break;
        y = 2 * q + (uint32_t)sign;
        asked = (rank | (uint32_t)1 << b) < s->V[sign];
    }
    return 1 + rank + (sign ? s->V[0] : 0);
}
/* With classes, by magnitude: negative integers the other way round. */
static int sws__reversed(const sws__node *n, uint32_t sign) { return n->R && sign && sws__is_signed(n->dtype); }
/* The next line of symbols to s->symbols. */
static sws_status sws__adaptive_line(sws__node *n, sws__adaptive *s)
{
    uint32_t j, m = 0, i = 0, z = 0, width = s->N + 2 * s->pad;
    uint64_t l = (s->chunk - 1) * n->number + s->line;
    memset(s->symbols, 0, s->N * sizeof *s->symbols);
    if (n->no_zeros || s->live_lines[s->line]) {
        uint8_t *spare;
        memset(s->level, 0, width);
        memset(s->kind, 0, width);
        if (n->R) memset(s->sizes, 0, width * sizeof *s->sizes);
        for (j = 0; j < s->N; j++) {
            uint32_t pair = 0;
            if (!n->no_zeros && !s->live_places[j]) continue;
            if (n->R) pair = n->C * sws__row_class(n, n->by_columns ? j : l) + sws__column_class(n, n->by_columns ? l : j);
            if (n->no_zeros || sws__zero_flag(n, s, j, m, i, z, pair)) {
                uint32_t v = sws__adaptive_value(n, s, j, pair), sign = v > s->V[0], rank = v - 1 - (sign ? s->V[0] : 0), of = s->V[sign];
                s->symbols[j] = (uint16_t)(sws__reversed(n, sign) ? s->book.count - rank : v);
                s->level[s->pad + j] = (n->R ? !rank : 3 * rank < of) ? 1 : 2;
                s->kind[s->pad + j] = (uint8_t)(1 + 8 * sign + 8 * rank / (of > 8 ? of : 8));
                if (n->R) {
                    s->sizes[s->pad + j] = (int16_t)(sign ? -(int32_t)rank - 1 : (int32_t)rank + 1);
                    s->kind[s->pad + j] = (uint8_t)sws__kind_of_size(s->sizes[s->pad + j]);
                }
                s->counts[s->pad + j]++;
                s->last[j] = s->above + 1;
                m++;
                z = 0;
            } else z++;
            i++;
        }
        SWS__NEED(m, SWS_PAYLOAD);
        s->above++;
        spare = s->level2;
        s->level2 = s->level1;
        s->level1 = s->level;
        s->level = spare;
        spare = s->kind1;
        s->kind1 = s->kind;
        s->kind = spare;
    }
    s->line++;
    return SWS_OK;
}
static sws_status sws__start_adaptive(sws__node *n)
{
    sws__adaptive *s = n->state;
    uint64_t l;
    uint32_t j;
    s->chunk = s->element = 0;
    s->place = s->N;
    s->line = s->lines = 0;
    for (l = 0; n->by_columns && l < n->columns; l++) {
        if (s->line == s->lines) SWS__TRY(sws__adaptive_chunk(n, s));
        SWS__TRY(sws__adaptive_line(n, s));
        for (j = 0; j < s->N; j++) {
            if (s->narrow) s->narrow[(size_t)(j * n->columns + l)] = (uint8_t)s->symbols[j];
            else s->wide[(size_t)(j * n->columns + l)] = s->symbols[j];
        }
        if (s->line == s->lines) SWS__TRY(sws__adaptive_finish_chunk(n, s));
    }
    return SWS_OK;
}
static sws_status sws__pull_adaptive(sws__node *n, uint8_t *out, size_t count)
{
    sws__adaptive *s = n->state;
    unsigned size = sws__size(n->dtype);
    for (; count; count--, out += size, s->element++) {
        uint32_t symbol;
        if (n->by_columns) symbol = s->narrow ? s->narrow[(size_t)s->element] : s->wide[(size_t)s->element];
        else {
            if (s->place == s->N) {
                if (s->line == s->lines) SWS__TRY(sws__adaptive_chunk(n, s));
                SWS__TRY(sws__adaptive_line(n, s));
                if (s->line == s->lines) SWS__TRY(sws__adaptive_finish_chunk(n, s));
                s->place = 0;
            }
            symbol = s->symbols[(size_t)s->place++];
        }
        sws__put(&s->book, out, symbol);
    }
    return SWS_OK;
}

/* classes (6.8). A table is the starts of its symbols, so that it takes two bytes a symbol; the symbol of a slot is found by halving. The rows of a
 * chunk are coded class by class: with more than one class, a first pass notes the states with which each class begins. */
typedef struct { uint32_t word, lane, *x; } sws__rans;
typedef struct {
    sws__book book;
    uint16_t *starts;
    uint8_t *levels;
    sws__rans rans[8];
    const uint8_t *code, *table;
    uint64_t words, row, column, next, position, chunk;
} sws__classes;

static sws_status sws__build_classes(sws__node *n, sws__arena *a)
{
    sws__classes *s, local;
    unsigned i, alphabet, tables = (unsigned)n->R * n->C;
    SWS__TRY(sws__alloc(a, 1, sizeof *s, &n->state));
    s = n->state ? n->state : &local;
    memset(s, 0, sizeof *s);
    s->book = sws__book_of(n->file, n->codebook);
    alphabet = s->book.count + 1;
    SWS__TRY(sws__alloc(a, (uint64_t)tables * (alphabet + 1), sizeof *s->starts, &s->starts));
    SWS__TRY(sws__alloc(a, 3u * alphabet, 1, &s->levels));
    for (i = 0; i < n->R; i++) SWS__TRY(sws__alloc(a, n->lanes, sizeof(uint32_t), &s->rans[i].x));
    return SWS_OK;
}
static uint32_t sws__weight(unsigned u) { return u < 8 ? u : (4 + (u & 3)) << ((u >> 2) - 1); }
static sws_status sws__frequencies(const sws__node *n, sws__classes *s, sws__bits *b)
{
    unsigned t, i, alphabet = s->book.count + 1;
    uint8_t *first = s->levels, *before = s->levels + alphabet, *levels = s->levels + 2 * alphabet;
    memset(s->levels, 0, 3 * alphabet);
    for (t = 0; t < (unsigned)n->R * n->C; t++) {
        uint16_t *starts = s->starts + t * (alphabet + 1);
        uint64_t total = 0, sum = 0, used = 0, seen = 0, slots = (uint64_t)1 << n->M, g;
        if (t % n->C == 0) memcpy(before, first, alphabet);
        for (i = 0; i < alphabet; i++) {
            int left = i ? levels[i - 1] : 0, up = before[i], corner = i ? before[i - 1] : 0, f = left + up - corner;
            int64_t level;
            SWS__NEED(sws__gamma(b, &g), SWS_PAYLOAD);
            if (!left && !up) level = (int64_t)g - 1;
            else {
                if (f < left && f < up) f = left < up ? left : up;
                if (f > left && f > up) f = left > up ? left : up;
                level = g & 1 ? f - (int64_t)(g >> 1) : f + (int64_t)(g >> 1);
            }
            SWS__NEED(level >= 0 && level <= 48, SWS_PAYLOAD);
            levels[i] = (uint8_t)level;
            total += sws__weight((unsigned)level);
            used += level > 0;
        }
        SWS__NEED(used, SWS_PAYLOAD);
        starts[0] = 0;
        for (i = 0; i < alphabet; i++) {
            sum += sws__weight(levels[i]);
            seen += levels[i] > 0;
            starts[i + 1] = (uint16_t)(seen + (slots - used) * sum / total);
        }
        memcpy(before, levels, alphabet);
        if (t % n->C == 0) memcpy(first, levels, alphabet);
    }
    return SWS_OK;
}

/* One symbol of a column in a row of class r. */
static sws_status sws__rans_symbol(const sws__node *n, sws__classes *s, sws__rans *state, unsigned r, uint64_t column, uint32_t *out)
{
    unsigned c = sws__column_class(n, column);
    unsigned alphabet = s->book.count + 1, low = 0, high = alphabet;
    const uint16_t *starts = s->starts + (r * n->C + c) * (alphabet + 1);
    uint32_t *x = &state->x[state->lane], v = *x & (((uint32_t)1 << n->M) - 1);
    while (high - low > 1) { /* starts[low] <= v < starts[high] */
        unsigned middle = (low + high) / 2;
        if (starts[middle] <= v) low = middle;
        else high = middle;
    }
    *x = (uint32_t)(starts[low + 1] - starts[low]) * (*x >> n->M) + v - starts[low];
    if (*x < 65536) {
        SWS__NEED(state->word < s->words, SWS_PAYLOAD);
        *x = *x << 16 | s->code[2 * (size_t)state->word] | (uint32_t)s->code[2 * (size_t)state->word + 1] << 8;
        state->word++;
    }
    state->lane = (state->lane + 1) & (n->lanes - 1u);
    *out = low;
    return SWS_OK;
}
static sws_status sws__classes_end(const sws__node *n, const sws__classes *s, const sws__rans *state)
{
    unsigned k;
    SWS__NEED(state->word == s->words, SWS_PAYLOAD);
    for (k = 0; k < n->lanes; k++) SWS__NEED(state->x[k] == 65536, SWS_PAYLOAD);
    return SWS_OK;
}
static sws_status sws__classes_chunk(sws__node *n, sws__classes *s)
{
    uint64_t chunks = (n->rows - 1) / n->number + 1, size, row, last = s->row + n->number < n->rows ? s->row + n->number : n->rows, j;
    unsigned k, r;
    uint32_t symbol;
    size = s->chunk + 1 < chunks ? sws__u32(s->table + (size_t)s->chunk * 4) : n->length - s->position;
    SWS__NEED(size <= n->length - s->position && size % 2 == 0 && size >= 4u * n->lanes && size / 2 <= 0xffffffff, SWS_PAYLOAD);
    s->code = n->payload + (size_t)s->position;
    s->words = size / 2;
    s->position += size;
    s->chunk++;
    s->next = last;
    for (k = 0; k < n->lanes; k++) {
        s->rans[0].x[k] = sws__u32(s->code + 4 * k);
        SWS__NEED(s->rans[0].x[k] >= 65536, SWS_PAYLOAD);
    }
    s->rans[0].word = 2u * n->lanes;
    s->rans[0].lane = 0;
    if (n->R == 1) return SWS_OK;
    for (r = 0; r < n->R; r++) {
        /* goes on in the state of the next class, which so begins where this one ends; the last one uses the first's as it is put back */
        sws__rans now, *state = &s->rans[r];
        uint32_t lanes[64];
        now = *state;
        memcpy(lanes, state->x, n->lanes * sizeof *lanes);
        now.x = lanes;
        for (row = s->row; row < last; row++) if (sws__row_class(n, row) == r) {
            for (j = 0; j < n->columns; j++) SWS__TRY(sws__rans_symbol(n, s, &now, r, j, &symbol));
        }
        if (r + 1 == n->R) SWS__TRY(sws__classes_end(n, s, &now));
        else {
            memcpy(s->rans[r + 1].x, lanes, n->lanes * sizeof *lanes);
            s->rans[r + 1].word = now.word;
            s->rans[r + 1].lane = now.lane;
        }
    }
    return SWS_OK;
}
static sws_status sws__start_classes(sws__node *n)
{
    sws__classes *s = n->state;
    sws__bits b = sws__payload(n);
    uint64_t chunks = (n->rows - 1) / n->number + 1;
    SWS__TRY(sws__labels(n, &b));
    SWS__TRY(sws__frequencies(n, s, &b));
    SWS__NEED(sws__pad(&b), SWS_PAYLOAD);
    s->position = b.at / 8;
    SWS__NEED(chunks - 1 <= (n->length - s->position) / 4, SWS_PAYLOAD);
    s->table = n->payload + (size_t)s->position;
    s->position += 4 * (chunks - 1);
    s->row = s->column = s->chunk = s->next = 0;
    return SWS_OK;
}
static sws_status sws__pull_classes(sws__node *n, uint8_t *out, size_t count)
{
    sws__classes *s = n->state;
    unsigned size = sws__size(n->dtype), r = s->column ? sws__row_class(n, s->row) : 0;
    uint32_t symbol;
    for (; count; count--, out += size) {
        if (!s->column) {
            if (s->row == s->next) SWS__TRY(sws__classes_chunk(n, s));
            r = sws__row_class(n, s->row);
        }
        SWS__TRY(sws__rans_symbol(n, s, &s->rans[r], r, s->column, &symbol));
        sws__put(&s->book, out, symbol);
        if (++s->column == n->columns) {
            s->column = 0;
            if (++s->row == s->next && n->R == 1) SWS__TRY(sws__classes_end(n, s, &s->rans[0]));
        }
    }
    return SWS_OK;
}

/* Codings with parts. Blocks of elements of a part are on the stack. */
enum { SWS__BLOCK = 32 };

/* A whole part into memory: its elements. */
static sws_status sws__whole(sws__node *part, uint8_t *out)
{
    SWS__TRY(sws__start(part));
    SWS__TRY(sws__pull(part, out, (size_t)part->count));
    return sws__finish(part);
}

static sws_status sws__pull_planes(sws__node *n, uint8_t *out, size_t count)
{
    unsigned size = sws__size(n->dtype), k, bytes, width;
    const uint8_t *widths = n->file->data + n->blocks;
    uint8_t block[SWS__BLOCK * 2];
    uint64_t r[SWS__BLOCK], v;
    while (count) {
        size_t m = count < SWS__BLOCK ? count : SWS__BLOCK, i;
        memset(r, 0, sizeof r);
        for (k = 0; k < n->parts; k++) {
            width = widths[k];
            bytes = width > 8 ? 2 : 1;
            SWS__TRY(sws__pull(&n->children[k], block, m));
            for (i = 0; i < m; i++) {
                v = sws__load(block + i * bytes, bytes);
                SWS__NEED(!(v >> width), SWS_PAYLOAD);
                r[i] = r[i] << width | v;
            }
        }
        for (i = 0; i < m; i++, out += size) {
            if (sws__is_float(n->dtype)) r[i] = r[i] >> 1 | (r[i] & 1) << (8 * size - 1);
            sws__store(out, r[i], size);
        }
        count -= m;
    }
    return SWS_OK;
}

/* scaled (5.8) */
typedef struct { uint64_t at, coordinates[SWS_MAX_RANK]; uint8_t *factors[3]; } sws__scaled;

static uint32_t sws__to_half(uint32_t bits)
{
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff, exponent = magnitude >> 23, shift = 13, mantissa, rest, point, down;
    if (magnitude > 0x7f800000) return 0x7e00;
    if (magnitude >= 0x47800000) return sign | 0x7c00;
    if (magnitude < 0x33000000) return sign;
    if (exponent < 113) {
        shift = 126 - exponent;
        mantissa = (magnitude & 0x7fffff) | 0x800000;
    } else mantissa = magnitude - 0x38000000;
    rest = mantissa & (((uint32_t)1 << shift) - 1);
    point = (uint32_t)1 << (shift - 1);
    down = mantissa >> shift;
    return sign | (down + (rest > point || (rest == point && (down & 1))));
}
static uint32_t sws__to_bfloat(uint32_t bits)
{
    return (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
static uint32_t sws__shorten(uint32_t bits, unsigned dtype) /* of F32, rounded to F16 or BF16 */
{
    return dtype == SWS_F16 ? sws_half_to_float((uint16_t)sws__to_half(bits)) : sws__to_bfloat(bits) << 16;
}
/* Bits, of F32 or F64, of an element of a part. */
static uint64_t sws__number(uint64_t bits, unsigned dtype, int wide)
{
    int64_t integer;
    union { float f; uint32_t u; } single;
    union { double d; uint64_t u; } both;
    if (dtype >= SWS_F16) return sws__float_bits(bits, dtype, wide);
    integer = (int64_t)(sws__is_signed(dtype) ? sws__sign_extend(bits, sws__size(dtype)) : bits);
    if (wide) {
        both.d = (double)integer;
        return both.u;
    }
    single.f = (float)integer;
    return single.u;
}
static uint64_t sws__operate(uint64_t a, uint64_t b, char operation, int wide)
{
    /* volatile: each operation is rounded by itself, whatever the compiler likes to fuse */
    if (wide) {
        union { double d; uint64_t u; } x, y;
        volatile double r;
        x.u = a;
        y.u = b;
        r = operation == '*' ? x.d * y.d : operation == '-' ? x.d - y.d : x.d + y.d;
        x.d = r;
        return x.u;
    } else {
        union { float f; uint32_t u; } x, y;
        volatile float r;
        x.u = (uint32_t)a;
        y.u = (uint32_t)b;
        r = operation == '*' ? x.f * y.f : operation == '-' ? x.f - y.f : x.f + y.f;
        x.f = r;
        return x.u;
    }
}
static sws_status sws__pull_scaled(sws__node *n, uint8_t *out, size_t count)
{
    sws__scaled *s = n->state;
    unsigned size = sws__size(n->dtype), levels = sws__size(n->children[0].dtype), k, d;
    int wide = n->dtype == SWS_F64, each = n->form & 8;
    uint8_t block[SWS__BLOCK * 8];
    while (count) {
        size_t m = count < SWS__BLOCK ? count : SWS__BLOCK, i;
        SWS__TRY(sws__pull(&n->children[0], block, m));
        for (i = 0; i < m; i++, out += size) {
            uint64_t v = sws__number(sws__load(block + i * levels, levels), n->children[0].dtype, wide);
            if (each) v = sws__shorten((uint32_t)v, n->dtype);
            for (k = 0; k + 1 < n->parts; k++) {
                const sws__node *part = &n->children[k + 1];
                unsigned bytes = sws__size(part->dtype);
                uint64_t index = 0, f;
                for (d = 0; d < n->rank; d++) {
                    uint64_t b = sws__nth_varint(n->file, n->blocks, k * n->rank + d);
                    index = index * sws__dim(part, d) + (b ? s->coordinates[d] / b : 0);
                }
                f = sws__number(sws__load(s->factors[k] + (size_t)index * bytes, bytes), part->dtype, wide);
                if (each) f = sws__shorten((uint32_t)f, n->dtype);
                v = sws__operate(v, f, (char)n->operations[k], wide);
                if (each) v = sws__shorten((uint32_t)v, n->dtype);
            }
            if (n->dtype == SWS_F16) v = sws__to_half((uint32_t)v);
            else if (n->dtype == SWS_BF16) v = sws__to_bfloat((uint32_t)v);
            else if (sws__is_nan(v, n->dtype)) v = wide ? 0x7ff8000000000000u : 0x7fc00000u;
            sws__store(out, v, size);
            for (d = n->rank; d-- > 0;) {
                if (++s->coordinates[d] < sws__dim(n, d)) break;
                s->coordinates[d] = 0;
            }
        }
        count -= m;
    }
    return SWS_OK;
}
static sws_status sws__start_scaled(sws__node *n)
{
    sws__scaled *s = n->state;
    unsigned k;
    s->at = 0;
    memset(s->coordinates, 0, sizeof s->coordinates);
    SWS__TRY(sws__start(&n->children[0]));
    for (k = 0; k + 1 < n->parts; k++) SWS__TRY(sws__whole(&n->children[k + 1], s->factors[k]));
    return SWS_OK;
}

/* escape */
typedef struct { uint64_t values; } sws__escape;
static sws_status sws__pull_escape(sws__node *n, uint8_t *out, size_t count)
{
    sws__escape *s = n->state;
    unsigned size = sws__size(n->dtype);
    const uint8_t *mark = n->file->data + n->mark;
    uint8_t block[SWS__BLOCK * 8];
    while (count) {
        size_t m = count < SWS__BLOCK ? count : SWS__BLOCK, i;
        SWS__TRY(sws__pull(&n->children[0], block, m));
        for (i = 0; i < m; i++, out += size) {
            int stands = n->has_mark ? !memcmp(block + i * size, mark, size) : block[i];
            if (!stands) {
                if (n->has_mark) memcpy(out, block + i * size, size);
                else memset(out, 0, size);
                continue;
            }
            SWS__NEED(s->values < n->number, SWS_PAYLOAD);
            s->values++;
            SWS__TRY(sws__pull(&n->children[1], out, 1));
            SWS__NEED(n->has_mark || sws__load(out, size), SWS_PAYLOAD);
        }
        count -= m;
    }
    return SWS_OK;
}

/* lookup */
typedef struct { uint8_t *table; } sws__lookup;
static sws_status sws__start_lookup(sws__node *n)
{
    sws__lookup *s = n->state;
    unsigned size = sws__size(n->dtype);
    uint64_t value = 0, i, most = size == 8 ? (uint64_t)-1 : ((uint64_t)1 << 8 * size) - 1;
    SWS__TRY(sws__whole(&n->children[0], s->table));
    for (i = 0; i < n->number; i++) {
        uint64_t d = sws__load(s->table + (size_t)i * size, size);
        SWS__NEED((!i || d) && d <= most - value, SWS_PAYLOAD);
        value += d;
        sws__store(s->table + (size_t)i * size, value, size);
    }
    return sws__start(&n->children[1]);
}
static sws_status sws__pull_lookup(sws__node *n, uint8_t *out, size_t count)
{
    sws__lookup *s = n->state;
    unsigned size = sws__size(n->dtype);
    uint8_t block[SWS__BLOCK * 2];
    while (count) {
        size_t m = count < SWS__BLOCK ? count : SWS__BLOCK, i;
        SWS__TRY(sws__pull(&n->children[1], block, m));
        for (i = 0; i < m; i++, out += size) {
            size_t index = (size_t)sws__load(block + 2 * i, 2);
            SWS__NEED(index < n->number, SWS_PAYLOAD);
            memcpy(out, s->table + index * size, size);
        }
        count -= m;
    }
    return SWS_OK;
}

static sws_status sws__build(sws__parser *p, sws__node *n, sws__arena *a)
{
    const sws_file *f = n->file;
    unsigned k;
    SWS__NEED(n->coding <= SWS__LOOKUP, SWS_UNKNOWN);
    SWS__NEED(n->length <= SIZE_MAX / 8 && n->count <= SIZE_MAX / 16, SWS_LIMIT);
    if (n->length >= 256) SWS__NEED(n->payload && n->length <= (uint64_t)(f->data + f->size - n->payload), SWS_TRUNCATED);
    if (n->parts) SWS__TRY(sws__alloc(a, n->parts, sizeof *n->children, &n->children));
    for (k = 0; k < n->parts; k++) {
        sws__node local, *part = n->children ? &n->children[k] : &local;
        SWS__TRY(sws__parse_part(p, n, k, part));
        SWS__TRY(sws__build(p, part, a));
        if (n->coding == SWS__SCALED && k) {
            sws__scaled *s = n->state;
            uint8_t *factors;
            SWS__TRY(sws__alloc(a, part->count, sws__size(part->dtype), &factors));
            if (s) s->factors[k - 1] = factors;
        } else if (n->coding == SWS__SCALED) SWS__TRY(sws__alloc(a, 1, sizeof(sws__scaled), &n->state));
    }
    switch (n->coding) {
    case SWS__RAW: case SWS__NARROW: return sws__alloc(a, 1, sizeof(sws__plain), &n->state);
    case SWS__DENSE:
        SWS__TRY(sws__prepare(f, &n->code, a));
        return sws__alloc(a, 1, sizeof(sws__dense), &n->state);
    case SWS__SPARSE: {
        sws__lane *lanes = NULL;
        SWS__TRY(sws__alloc(a, 1, sizeof(sws__sparse), &n->state));
        if (!n->entries) return SWS_OK;
        SWS__TRY(sws__prepare(f, &n->gaps, a));
        SWS__TRY(sws__prepare(f, &n->code, a));
        if (n->by_columns) {
            SWS__NEED(n->columns <= 0xffffffff && n->rows <= 0xffffffff && n->entries <= 0xffffffff, SWS_LIMIT);
            SWS__TRY(sws__alloc(a, n->live_columns ? n->live_columns->live : n->columns, sizeof *lanes, &lanes));
        }
        if (n->state) ((sws__sparse *)n->state)->lanes = lanes;
        return SWS_OK;
    }
    case SWS__ADAPTIVE: return sws__build_adaptive(n, a);
    case SWS__CLASSES: return sws__build_classes(n, a);
    case SWS__ESCAPE: return sws__alloc(a, 1, sizeof(sws__escape), &n->state);
    case SWS__LOOKUP: {
        uint8_t *table;
        SWS__TRY(sws__alloc(a, 1, sizeof(sws__lookup), &n->state));
        SWS__TRY(sws__alloc(a, n->number, sws__size(n->dtype), &table));
        if (n->state) ((sws__lookup *)n->state)->table = table;
        return SWS_OK;
    }
    default: return SWS_OK;
    }
}
static sws_status sws__start(sws__node *n)
{
    unsigned k;
    if (n->length >= 256) SWS__NEED(sws__crc_right(n->payload, (size_t)n->length, n->crc), SWS_CHECKSUM);
    switch (n->coding) {
    case SWS__RAW: case SWS__NARROW: ((sws__plain *)n->state)->at = 0; return SWS_OK;
    case SWS__DENSE: return sws__start_dense(n);
    case SWS__SPARSE: return sws__start_sparse(n);
    case SWS__ADAPTIVE: return sws__start_adaptive(n);
    case SWS__CLASSES: return sws__start_classes(n);
    case SWS__SCALED: return sws__start_scaled(n);
    case SWS__LOOKUP: return sws__start_lookup(n);
    case SWS__ESCAPE: ((sws__escape *)n->state)->values = 0; break;
    default: break;
    }
    for (k = 0; k < n->parts; k++) SWS__TRY(sws__start(&n->children[k]));
    return SWS_OK;
}
static sws_status sws__pull(sws__node *n, uint8_t *out, size_t count)
{
    switch (n->coding) {
    case SWS__RAW: case SWS__NARROW: return sws__pull_plain(n, out, count);
    case SWS__DENSE: return sws__pull_dense(n, out, count);
    case SWS__SPARSE: return sws__pull_sparse(n, out, count);
    case SWS__ADAPTIVE: return sws__pull_adaptive(n, out, count);
    case SWS__PLANES: return sws__pull_planes(n, out, count);
    case SWS__SCALED: return sws__pull_scaled(n, out, count);
    case SWS__ESCAPE: return sws__pull_escape(n, out, count);
    case SWS__CLASSES: return sws__pull_classes(n, out, count);
    default: return sws__pull_lookup(n, out, count);
    }
}
static sws_status sws__finish(sws__node *n)
{
    switch (n->coding) {
    case SWS__DENSE: {
        sws__dense *s = n->state;
        SWS__TRY(sws__dense_chunk(n, s));
        return sws__at_end(&s->symbols);
    }
    case SWS__PLANES: {
        unsigned k;
        for (k = 0; k < n->parts; k++) SWS__TRY(sws__finish(&n->children[k]));
        return SWS_OK;
    }
    case SWS__SCALED: return sws__finish(&n->children[0]);
    case SWS__LOOKUP: return sws__finish(&n->children[1]);
    case SWS__ESCAPE:
        SWS__NEED(((sws__escape *)n->state)->values == n->number, SWS_PAYLOAD);
        SWS__TRY(sws__finish(&n->children[0]));
        return sws__finish(&n->children[1]);
    default: return SWS_OK; /* raw and narrow have the size that they must; sparse is checked by its start, the others with their last chunk */
    }
}

/* ------------------------------------------------------------------------------------------------------------------------ reading */

static size_t sws__target(const sws_file *f, size_t i) /* of an alias, or itself */
{
    const uint32_t at = f->records[i].at;
    return (f->data[at] & 15) == SWS__ALIAS ? (size_t)sws__nth_varint(f, at + 1, 0) : i;
}
static sws_status sws__find_node(const sws_file *f, size_t i, sws__parser *p, sws__node *n)
{
    const sws__record *r = &f->records[sws__target(f, i)];
    unsigned dtype = r->dtype;
    uint64_t target;
    sws_file *file;
    memset(p, 0, sizeof *p);
    memcpy(&file, &f, sizeof file); /* nothing is written where there is no arena */
    p->file = file;
    p->in.data = f->data;
    p->in.at = r->at;
    p->in.end = f->prefix - 4;
    p->payload = r->payload;
    p->tables = r->tables;
    p->bitmaps = r->bitmaps;
    return sws__parse_record(p, &dtype, n, &target);
}

sws_status sws_info(const sws_file *file, size_t i, sws_tensor *tensor)
{
    sws__parser p;
    sws__node n;
    unsigned k;
    SWS_ASSERT(file && tensor && i < file->tensors);
    SWS__TRY(sws__find_node(file, i, &p, &n));
    SWS__TRY(sws__walk_parts(&p, &n));
    memset(tensor, 0, sizeof *tensor);
    tensor->name = (const char *)file->records[i].name;
    tensor->name_length = file->records[i].length;
    tensor->tensor = sws__target(file, i);
    tensor->coding = n.coding;
    tensor->dtype = n.dtype;
    tensor->rank = n.rank;
    for (k = 0; k < n.rank; k++) tensor->shape[k] = sws__dim(&n, k);
    tensor->count = n.count;
    tensor->size = sws__size(n.dtype);
    tensor->row = n.rank ? n.columns : 1;
    tensor->unknown = n.unknown;
    return SWS_OK;
}
int sws_find(const sws_file *file, const char *name, size_t length, size_t *i)
{
    SWS_ASSERT(file && name && i);
    for (*i = 0; *i < file->tensors; ++*i) {
        const sws__record *r = &file->records[*i];
        if (r->length == length && !memcmp(r->name, name, length)) return 1;
    }
    return 0;
}
int sws_metadata(const sws_file *file, size_t i, const char **key, size_t *key_length, const char **value, size_t *value_length)
{
    sws__in in;
    uint64_t n;
    const uint8_t *k = NULL, *v = NULL;
    SWS_ASSERT(file && key && key_length && value && value_length);
    if (i >= file->metadata) return 0;
    in.data = file->data;
    in.at = file->index;
    in.end = file->prefix - 4;
    (void)sws__varint(&in, &n);
    do {
        (void)sws__string(&in, &k, key_length);
        (void)sws__string(&in, &v, value_length);
    } while (i--);
    *key = (const char *)k;
    *value = (const char *)v;
    return 1;
}

/* The tree of a tensor, built in an arena (or only counted in it). */
static sws_status sws__tree(const sws_file *f, size_t i, sws__arena *a, sws__node *root)
{
    sws__parser p;
    SWS__TRY(sws__find_node(f, i, &p, root));
    if (root->unknown) return SWS_UNKNOWN;
    SWS__NEED(root->count <= f->limit / sws__size(root->dtype), SWS_LIMIT);
    return sws__build(&p, root, a);
}
sws_status sws_decode_size(const sws_file *file, size_t i, size_t *size)
{
    sws__arena a = {NULL, 0, 0};
    sws__node root;
    SWS_ASSERT(file && size && i < file->tensors);
    SWS__TRY(sws__tree(file, i, &a, &root));
    *size = a.used + ((sizeof root + 7) & ~(size_t)7) + 7; /* and what aligns it */
    return SWS_OK;
}
sws_status sws_decode(const sws_file *file, size_t i, void *out, size_t out_size, void *memory, size_t memory_size)
{
    sws__arena a = sws__arena_of(memory, memory_size);
    sws__node root;
    sws_status status = sws__tree(file, i, &a, &root);
    SWS_ASSERT(file && i < file->tensors && (out || !out_size) && (memory || !memory_size));
    SWS__TRY(status);
    SWS__NEED(out_size / sws__size(root.dtype) >= root.count, SWS_MEMORY);
    status = sws__start(&root);
    if (status == SWS_OK) status = sws__pull(&root, out, (size_t)root.count);
    if (status == SWS_OK) status = sws__finish(&root);
    if (status != SWS_OK && out_size) memset(out, 0, out_size);
    return status;
}
sws_status sws_begin(sws_reader *reader, const sws_file *file, size_t i, void *memory, size_t memory_size)
{
    sws__arena a = sws__arena_of(memory, memory_size);
    sws__node *root;
    uint64_t left;
    SWS_ASSERT(reader && file && i < file->tensors && (memory || !memory_size));
    memset(reader, 0, sizeof *reader);
    SWS__TRY(sws__alloc(&a, 1, sizeof *root, &root));
    SWS__TRY(sws__tree(file, i, &a, root));
    SWS__TRY(sws__start(root));
    for (left = root->count; left;) {
        uint8_t block[SWS__BLOCK * 16];
        size_t m = left < SWS__BLOCK ? (size_t)left : SWS__BLOCK;
        SWS__TRY(sws__pull(root, block, m));
        left -= m;
    }
    SWS__TRY(sws__finish(root));
    SWS__TRY(sws__start(root));
    reader->node = root;
    reader->left = root->count;
    reader->row = root->rank ? root->columns : 1;
    reader->size = sws__size(root->dtype);
    return SWS_OK;
}
sws_status sws_rows(sws_reader *reader, void *out, size_t count)
{
    uint64_t n = count * reader->row;
    SWS_ASSERT(reader && reader->node && (out || !count) && n <= reader->left);
    SWS__NEED(n <= reader->left, SWS_LIMIT);
    reader->left -= n;
    return sws__pull(reader->node, out, (size_t)n);
}

#endif /* SWS_IMPLEMENTATION */
