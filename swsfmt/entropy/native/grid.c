/* The steps of floats that are whole multiples of one, block by block (see twin/grid.py, which explains it). */
#include "kernels.h"
#include "reals.h"

#include <fenv.h>
#include <math.h>

enum { MAGNITUDES = 1 << 15, MAX_MISSING = 8, MAX_FIRST = 16, LARGE = 256 };

/* What rounding of these numbers here must not decide. */
static const double SLACK = 1 + 1.0 / (1 << 20), LESS = 1 - 1.0 / (1LL << 40), MORE = 1 + 1.0 / (1LL << 40);

/* low, high: what the step is between. */
typedef struct {
    double low, high, largest;
} Range;

/* A block of magnitudes, or of differences to `base`. digits: of the mantissa. */
typedef struct {
    const void *elements;
    size_t count;
    int kind, digits, affine;
    double base;
} Block;

static inline double value_at(const Block *b, size_t i)
{
    switch (b->kind) {
    case F16: return from_half(((const uint16_t *)b->elements)[i]);
    case BF16: return from_bfloat16(((const uint16_t *)b->elements)[i]);
    default: return ((const float *)b->elements)[i];
    }
}

/* Half of the distance of a number to its neighbours. */
static inline double half_at(double x, int digits)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= 0x7FF0000000000000;
    double power;
    memcpy(&power, &bits, sizeof power);
    return power / (double)(1 << digits);
}

/* The number below a power of two is nearer. */
static inline int is_power(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x000FFFFFFFFFFFFF) == 0;
}

static inline void item(const Block *b, size_t i, double *v, double *h)
{
    double x = value_at(b, i);
    if (b->affine) {
        *v = x - b->base;
        *h = half_at(x, b->digits) + half_at(b->base, b->digits) + half_at(*v, b->digits);
    } else {
        *v = fabs(x);
        *h = half_at(*v, b->digits);
    }
}

/* Takes one value into the common divisor g, which is right up to e. Returns 0 where there is none. */
static int divide(double *g, double *e, double v, double h)
{
    if (*g == 0) {
        *g = v;
        *e = h;
        return 1;
    }
    double q = rint(v / *g), r = fabs(v - q * *g), bound = h + q * *e;
    if (16 * bound > *g)
        return 1;
    if (r <= bound * SLACK) {
        if (q > 0 && h < *e * q) {
            *g = v / q;
            *e = h / q;
        }
        return 1;
    }
    double a = *g, b = r, of_a = *e, of_b = bound;
    while (b > of_b * SLACK) {
        double times = rint(a / b), c = fabs(a - times * b), of_c = of_a + times * of_b;
        a = b;
        of_a = of_b;
        b = c;
        of_b = of_c;
        if (16 * of_b > a)
            return 0;
    }
    /* Both of the numbers that it divides know it better. */
    double first = rint(*g / a), second = rint(v / a), before = *g, of_before = *e;
    *g = a;
    *e = of_a;
    if (second > 0 && 16 * second * of_a < a && h < *e * second) {
        *g = v / second;
        *e = h / second;
    }
    if (first > 0 && 16 * first * of_a < a && of_before < *e * first) {
        *g = before / first;
        *e = of_before / first;
    }
    return 1;
}

/* in most: the greatest level. parts: the largest value over each of these; values up to that are taken before others. */
static int divisor(const Block *b, double most, const double *parts, int sweeps, Range *range)
{
    double g = 0, e = 0, largest = 0, taken = 0;
    for (size_t i = 0; i < b->count; i++) {
        double v, h;
        item(b, i, &v, &h);
        if (!(v < INFINITY))
            return 0;
        largest = v > largest ? v : largest;
    }
    for (int sweep = 0; sweep < sweeps; sweep++) {
        double limit = largest / parts[sweep];
        for (size_t i = 0; i < b->count; i++) {
            double v, h;
            item(b, i, &v, &h);
            if (v == 0 || v <= taken || v > limit)
                continue;
            if (!divide(&g, &e, v, h) || largest > g * (most + 0.5))
                return 0;
        }
        taken = limit;
    }
    *range = (Range){g - e * SLACK, g + e * SLACK, largest};
    return 1;
}

/* What all values leave of the range. Returns 0 where nothing is left, or where a level could be two. */
static int narrow(const Block *b, Range *range)
{
    int open = 1;
    for (int sweep = 0; open && sweep < 3; sweep++) {
        open = 0;
        for (size_t i = 0; i < b->count; i++) {
            double v, h;
            item(b, i, &v, &h);
            if (v == 0)
                continue;
            double below = v - (b->affine || !is_power(v) ? h : h / 2);
            double least = ceil(below / range->high * LESS), greatest = floor((v + h) / range->low * MORE);
            if (greatest < 1 || greatest < least)
                return 0;
            if (greatest > least) {
                open = 1;
                continue;
            }
            double low = below / least * LESS, high = (v + h) / least * MORE;
            range->low = low > range->low ? low : range->low;
            range->high = high < range->high ? high : range->high;
            if (range->low > range->high)
                return 0;
        }
    }
    return !open;
}

/* The float of 32 bits with the fewest digits of low <= x <= high, both above 0. Returns 0 where there is none. */
static int simplest(double low, double high, float *out)
{
    if (!(low > 0) || !(high < 3.0e38))
        return 0;
    float a = (float)low, b = (float)high;
    uint32_t first = bits_of(a) + (a < low), last = bits_of(b) - (b > high);
    if (first > last)
        return 0;
    for (int zeros = 31; zeros >= 0; zeros--) {
        uint32_t x = last >> zeros << zeros;
        if (x >= first) {
            *out = float_of(x);
            return 1;
        }
    }
    return 0;
}

static uint32_t rounded_bits(float x, int kind)
{
    return kind == F16 ? to_half(x) : kind == BF16 ? to_bfloat16(x) : bits_of(x);
}

/* Whether step and offset give every element. shift: added to the levels. */
static int verify(const Block *b, float step, float offset, double shift, double most)
{
    for (size_t i = 0; i < b->count; i++) {
        double x = value_at(b, i), v = b->affine ? x - b->base : fabs(x), k = rint(v / step) + shift;
        float y = (float)(k * step);
        if (b->affine)
            y = (float)((double)y + (double)offset);
        if (k > most || rounded_bits(y, b->kind) != rounded_bits((float)(b->affine ? x : fabs(x)), b->kind))
            return 0;
    }
    return 1;
}

/* An offset where no element has level 0. */
static int find_offset(const Block *b, float step, double shift, float *offset)
{
    double low = -INFINITY, high = INFINITY;
    for (size_t i = 0; i < b->count; i++) {
        double x = value_at(b, i), h = half_at(x, b->digits), y = (rint((x - b->base) / step) + shift) * step;
        low = x - h - y > low ? x - h - y : low;
        high = x + h - y < high ? x + h - y : high;
    }
    if (low > high)
        return 0;
    if (low > 0)
        return simplest(low, high, offset);
    if (high >= 0) {
        *offset = 0;
        return 1;
    }
    int there = simplest(-high, -low, offset);
    *offset = -*offset;
    return there;
}

/* Ascending magnitudes of few digits: the step is the first over a small number. */
static int find_of_few_digits(const Block *b, double most, float *step)
{
    double first, largest, h, of_largest;
    size_t start = 0;
    item(b, b->count - 1, &largest, &of_largest);
    if (!(largest < INFINITY))
        return 0;
    for (*step = 0; start < b->count; start++) {
        item(b, start, &first, &h);
        if (first > 0)
            break;
    }
    if (start == b->count)
        return 1;
    for (int times = 1; times <= MAX_FIRST && largest * times <= first * (most + 1); times++) {
        Range range = {(first - h) / times, (first + h) / times, largest};
        if (narrow(b, &range) && simplest(range.low, range.high, step) && verify(b, *step, 0, 0, most))
            return 1;
    }
    return 0;
}

/* Returns 0 where a block has no step; a step of 0 stands for a block without any. */
static int find(const Block *b, double most, float *step, float *offset)
{
    Range range;
    *step = 0;
    *offset = (float)b->base;
    if (b->kind != F32 && !b->affine)
        return find_of_few_digits(b, most, step);
    static const double all[] = {1}, ascending[] = {256, 16, 1};
    if (!divisor(b, most, all, 1, &range) && (b->count < LARGE || !divisor(b, most, ascending, 3, &range)))
        return 0;
    if (range.largest == 0)
        return 1;
    if (!(range.low > 0) || !narrow(b, &range) || !simplest(range.low, range.high, step))
        return 0;
    if (verify(b, *step, *offset, 0, most))
        return 1;
    if (b->affine)
        for (int shift = 1; shift < MAX_MISSING; shift++)
            if (find_offset(b, *step, shift, offset) && verify(b, *step, *offset, shift, most))
                return 1;
    return 0;
}

/* The distinct magnitudes of floats of 16 bits, ascending. */
static size_t distinct_magnitudes(const uint16_t *in, size_t n, uint64_t *seen, uint16_t *out)
{
    size_t count = 0;
    memset(seen, 0, MAGNITUDES / 8);
    for (size_t i = 0; i < n; i++)
        seen[(in[i] & 0x7FFF) >> 6] |= (uint64_t)1 << (in[i] & 63);
    for (size_t word = 0; word < MAGNITUDES / 64; word++)
        for (uint64_t left = seen[word]; left; left &= left - 1) {
            uint64_t lowest = left & (~left + 1);
            int bit = 0;
            while (lowest >>= 1)
                bit++;
            out[count++] = (uint16_t)(word << 6 | (size_t)bit);
        }
    return count;
}

static double least_of(const Block *b)
{
    double least = INFINITY;
    for (size_t i = 0; i < b->count; i++) {
        double x = value_at(b, i);
        if (x != x)
            return x;
        least = x < least ? x : least;
    }
    return least;
}

typedef struct {
    const char *elements;
    int kind, affine;
    size_t rows, columns, block;
    double most;
    float *steps, *offsets;
    uint64_t *seen;
    uint16_t *magnitudes;
} Search;

/* Returns how many blocks have a step, before the first that has none. */
static size_t search(const Search *s)
{
    size_t size = s->kind == F32 ? 4 : 2, done = 0;
    int digits = s->kind == F32 ? 24 : s->kind == F16 ? 11 : 8;
    for (size_t row = 0; row < s->rows; row++)
        for (size_t column = 0; column < s->columns; column += s->block, done++) {
            size_t n = s->columns - column < s->block ? s->columns - column : s->block;
            Block b = {s->elements + (row * s->columns + column) * size, n, s->kind, digits, s->affine, 0};
            if (s->affine) {
                /* Of -0.0 and 0.0 it is 0.0. */
                b.base = least_of(&b) + 0.0;
                if (!(fabs(b.base) < INFINITY))
                    return done;
            } else if (size == 2) {
                b.count = distinct_magnitudes(b.elements, n, s->seen, s->magnitudes);
                b.elements = s->magnitudes;
            }
            if (!find(&b, s->most, &s->steps[done], &s->offsets[done]))
                return done;
        }
    return done;
}

/* grid_steps(elements, kind, columns, block, affine, most, steps, offsets) */
PyObject *py_grid_steps(PyObject *self, PyObject *args)
{
    (void)self;
    enum { ELEMENTS, STEPS, OFFSETS, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t columns, block;
    int most;
    Search s = {0};
    if (!PyArg_ParseTuple(args, "y*innpiw*w*", &b[ELEMENTS], &s.kind, &columns, &block, &s.affine, &most, &b[STEPS],
                          &b[OFFSETS]))
        return NULL;
    size_t size = s.kind == F32 ? 4 : 2, count = 0;
    int sound = (s.kind == F32 || s.kind == F16 || s.kind == BF16) && columns > 0 && block > 0 && most > 0 &&
                holds(&b[ELEMENTS], size) && count_of(&b[ELEMENTS], size) % (size_t)columns == 0;
    if (sound) {
        s.rows = count_of(&b[ELEMENTS], size) / (size_t)columns;
        count = s.rows * (((size_t)columns - 1) / (size_t)block + 1);
        sound = holds_exactly(&b[STEPS], 4, count) && holds_exactly(&b[OFFSETS], 4, count);
    }
    PyObject *result = NULL;
    s.seen = sound ? PyMem_Malloc(MAGNITUDES / 8) : NULL;
    s.magnitudes = sound ? PyMem_Malloc(MAGNITUDES * sizeof(uint16_t)) : NULL;
    if (!sound) {
        refuse("grid_steps");
    } else if (s.seen == NULL || s.magnitudes == NULL) {
        PyErr_NoMemory();
    } else {
        s.elements = b[ELEMENTS].buf;
        s.columns = (size_t)columns;
        s.block = (size_t)block;
        s.most = most;
        s.steps = b[STEPS].buf;
        s.offsets = b[OFFSETS].buf;
        size_t (*volatile run)(const Search *) = search;
        fenv_t before;
        Py_BEGIN_ALLOW_THREADS
        fegetenv(&before);
        fesetenv(FE_DFL_ENV);
        count = run(&s);
        fesetenv(&before);
        Py_END_ALLOW_THREADS
        result = PyLong_FromSize_t(count);
    }
    PyMem_Free(s.seen);
    PyMem_Free(s.magnitudes);
    release(b, BUFFERS);
    return result;
}

typedef struct {
    Block block;
    size_t columns, first, row_block, column_block, of_row;
    const float *steps, *offsets;
    int32_t *out;
} Levels;

static void levels(const Levels *l)
{
    size_t row = l->first / l->columns, column = l->first % l->columns;
    for (size_t i = 0; i < l->block.count; row++, column = 0) {
        size_t at = row / l->row_block * l->of_row;
        for (; i < l->block.count && column < l->columns; column++, i++) {
            size_t number = at + column / l->column_block;
            double x = value_at(&l->block, i), step = l->steps[number];
            double k = step > 0 ? rint((l->offsets ? x - (double)l->offsets[number] : x) / step) : 0;
            l->out[i] = k > -2147483648.0 && k < 2147483647.0 ? (int32_t)k : 0;
        }
    }
}

/* grid_levels(elements, kind, columns, row_block, column_block, steps, offsets, first, out) */
PyObject *py_grid_levels(PyObject *self, PyObject *args)
{
    (void)self;
    enum { ELEMENTS, STEPS, OFFSETS, OUT, BUFFERS };
    Py_buffer b[BUFFERS];
    Py_ssize_t columns, row_block, column_block, first;
    Levels l = {0};
    if (!PyArg_ParseTuple(args, "y*innny*y*nw*", &b[ELEMENTS], &l.block.kind, &columns, &row_block, &column_block,
                          &b[STEPS], &b[OFFSETS], &first, &b[OUT]))
        return NULL;
    int kind = l.block.kind, sound = (kind == F32 || kind == F16 || kind == BF16) && columns > 0 && row_block > 0 &&
                                     column_block > 0 && first >= 0 && first < PY_SSIZE_T_MAX / 4 &&
                                     holds(&b[OUT], sizeof(int32_t)) && holds(&b[STEPS], 4);
    l.block.count = sound ? count_of(&b[OUT], sizeof(int32_t)) : 0;
    sound = sound && holds_exactly(&b[ELEMENTS], kind == F32 ? 4 : 2, l.block.count);
    if (sound && l.block.count > 0) {
        l.columns = (size_t)columns;
        l.first = (size_t)first;
        l.row_block = (size_t)row_block;
        l.column_block = (size_t)column_block;
        l.of_row = (l.columns - 1) / l.column_block + 1;
        size_t rows = (l.first + l.block.count - 1) / l.columns / l.row_block + 1;
        sound = count_of(&b[STEPS], 4) / l.of_row >= rows &&
                (b[OFFSETS].len == 0 || holds_exactly(&b[OFFSETS], 4, count_of(&b[STEPS], 4)));
    }
    PyObject *result = NULL;
    if (!sound) {
        refuse("grid_levels");
    } else {
        l.block.elements = b[ELEMENTS].buf;
        l.steps = b[STEPS].buf;
        l.offsets = b[OFFSETS].len ? b[OFFSETS].buf : NULL;
        l.out = b[OUT].buf;
        void (*volatile run)(const Levels *) = levels;
        fenv_t before;
        Py_BEGIN_ALLOW_THREADS
        fegetenv(&before);
        fesetenv(FE_DFL_ENV);
        run(&l);
        fesetenv(&before);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    release(b, BUFFERS);
    return result;
}
