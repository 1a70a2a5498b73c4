/* Levels with their scales, zeros and offsets, to the bit (spec 5.8). */
#include "kernels.h"
#include "reals.h"

#include <fenv.h>

/* Products and sums are rounded one by one: no compiler may make one operation of two. */
#if defined(__clang__) || defined(_MSC_VER)
#pragma STDC FP_CONTRACT OFF
#endif

enum { SUBTRACT, MULTIPLY, ADD };
enum { MAX_FACTORS = 3, MAX_DIMENSIONS = 64, TILE = 1024 };

/* column_block: of the last dimension. strides: in factors, of a step of each dimension's block. */
typedef struct {
    int operation;
    const void *values;
    size_t column_block;
    size_t blocks[MAX_DIMENSIONS], strides[MAX_DIMENSIONS];
} Factor;

/* first: the element that the first level is. kind: dtype of `out`. each: whether each operation is rounded to it. */
typedef struct {
    const void *levels, *table;
    void *out;
    int dtype, kind, each, rank, factors;
    size_t shape[MAX_DIMENSIONS], first, count;
    Factor factor[MAX_FACTORS];
} Job;

#define REAL float
#define NAME(f) f##_32
#include "scaled_loops.h"
#undef REAL
#undef NAME
#define REAL double
#define NAME(f) f##_64
#include "scaled_loops.h"
#undef REAL
#undef NAME

static void round_to(float *x, size_t n, int kind)
{
    if (kind == BF16)
        for (size_t i = 0; i < n; i++)
            x[i] = from_bfloat16(to_bfloat16(x[i]));
    else
        for (size_t i = 0; i < n; i++)
            x[i] = from_half(to_half(x[i]));
}

static void store(const float *x, size_t n, int kind, void *out, size_t at)
{
    if (kind == F32) {
        uint32_t *to = (uint32_t *)out + at;
        for (size_t i = 0; i < n; i++) {
            uint32_t bits = bits_of(x[i]);
            to[i] = (int32_t)(bits & 0x7FFFFFFF) > 0x7F800000 ? NAN_32 : bits;
        }
    } else if (kind == BF16) {
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)out + at)[i] = to_bfloat16(x[i]);
    } else {
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)out + at)[i] = to_half(x[i]);
    }
}

static void store_64(const double *x, size_t n, void *out, size_t at)
{
    uint64_t *to = (uint64_t *)out + at;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        to[i] = x[i] != x[i] ? NAN_64 : bits;
    }
}

/* Part of a row: n elements from `column` on, which are number `at` of the levels. places: of its first factors. */
static void tile(const Job *job, size_t n, size_t column, size_t at, const size_t *places)
{
    union {
        float single[TILE];
        double wide[TILE];
    } x;
    if (job->kind == F64) {
        load_64(x.wide, n, job->levels, job->dtype, job->table, at);
        for (int f = 0; f < job->factors; f++)
            apply_64(x.wide, n, &job->factor[f], places[f], column);
        store_64(x.wide, n, job->out, at);
        return;
    }
    load_32(x.single, n, job->levels, job->dtype, job->table, at);
    if (job->each)
        round_to(x.single, n, job->kind);
    for (int f = 0; f < job->factors; f++) {
        apply_32(x.single, n, &job->factor[f], places[f], column);
        if (job->each)
            round_to(x.single, n, job->kind);
    }
    store(x.single, n, job->kind, job->out, at);
}

static void work(const Job *job)
{
    size_t columns = job->shape[job->rank - 1], row = job->first / columns, column = job->first % columns;
    for (size_t at = 0; at < job->count; row++, column = 0) {
        size_t places[MAX_FACTORS] = {0};
        for (size_t d = (size_t)job->rank - 1, rest = row; d-- > 0; rest /= job->shape[d])
            for (int f = 0; f < job->factors; f++)
                places[f] += rest % job->shape[d] / job->factor[f].blocks[d] * job->factor[f].strides[d];
        size_t end = job->count - at < columns - column ? at + (job->count - at) : at + (columns - column);
        while (at < end) {
            size_t n = end - at < TILE ? end - at : TILE;
            tile(job, n, column, at, places);
            at += n;
            column += n;
        }
    }
}

/* A thread may round otherwise, or take small numbers for zero: not here. */
static void work_exactly(const Job *job)
{
    void (*volatile run)(const Job *) = work;
    fenv_t before;
    fegetenv(&before);
    fesetenv(FE_DFL_ENV);
    run(job);
    fesetenv(&before);
}

/* Reads one factor: (operation, values, blocks). Returns whether it fits. */
static int read_factor(Job *job, PyObject *tuple, Py_buffer *values, Py_buffer *blocks, int *taken)
{
    Factor *factor = &job->factor[job->factors++];
    size_t real = job->kind == F64 ? sizeof(double) : sizeof(float), count = 1;
    if (!PyTuple_Check(tuple) || !PyArg_ParseTuple(tuple, "iy*y*", &factor->operation, values, blocks))
        return 0;
    *taken += 1;
    if (factor->operation < SUBTRACT || factor->operation > ADD ||
        !holds_exactly(blocks, sizeof(int64_t), (size_t)job->rank))
        return 0;
    for (int d = job->rank - 1; d >= 0; d--) {
        int64_t block = ((const int64_t *)blocks->buf)[d];
        if (block < 1 || (size_t)block > job->shape[d])
            return 0;
        factor->blocks[d] = (size_t)block;
        factor->strides[d] = count;
        count *= (job->shape[d] - 1) / (size_t)block + 1;
    }
    factor->column_block = factor->blocks[job->rank - 1];
    factor->values = values->buf;
    return holds_exactly(values, real, count);
}

static size_t size_of(int dtype)
{
    switch (dtype) {
    case U16:
    case I16:
    case F16:
    case BF16: return 2;
    case U32:
    case I32:
    case F32: return 4;
    case F64: return 8;
    default: return 1;
    }
}

/* Reads the shape, and checks levels, table and result against it. */
static int fits(Job *job, const Py_buffer *levels, const Py_buffer *table, const Py_buffer *shape, const Py_buffer *out,
                Py_ssize_t first)
{
    size_t real = job->kind == F64 ? sizeof(double) : sizeof(float), size = size_of(job->kind), total = 1;
    if (!holds(shape, sizeof(int64_t)) || !holds(out, size) || first < 0 || size == 1 || job->kind == U16 ||
        job->kind == I16 || job->kind == U32 || job->kind == I32)
        return 0;
    job->rank = (int)count_of(shape, sizeof(int64_t));
    if (job->rank < 1 || job->rank > MAX_DIMENSIONS || shape->len > MAX_DIMENSIONS * (Py_ssize_t)sizeof(int64_t))
        return 0;
    for (int d = 0; d < job->rank; d++) {
        int64_t length = ((const int64_t *)shape->buf)[d];
        if (length < 1 || (uint64_t)length > (SIZE_MAX >> 4) / total)
            return 0;
        job->shape[d] = (size_t)length;
        total *= (size_t)length;
    }
    job->first = (size_t)first;
    job->count = count_of(out, size);
    int is_here = job->dtype == U8 || job->dtype == I8 || size_of(job->dtype) > 1;
    return job->count <= total && job->first <= total - job->count &&
           holds_exactly(levels, size_of(job->dtype), job->count) && (is_here || holds_exactly(table, real, 256));
}

/* dequantize(levels, dtype, table, shape, first, factors, kind, each, out) */
PyObject *py_dequantize(PyObject *self, PyObject *args)
{
    (void)self;
    enum { LEVELS, TABLE, SHAPE, OUT, BUFFERS };
    Py_buffer b[BUFFERS], values[MAX_FACTORS], blocks[MAX_FACTORS];
    PyObject *factors, *result = NULL;
    Py_ssize_t first;
    Job job = {0};
    int taken = 0;
    if (!PyArg_ParseTuple(args, "y*iy*y*nO!ipw*", &b[LEVELS], &job.dtype, &b[TABLE], &b[SHAPE], &first, &PyTuple_Type,
                          &factors, &job.kind, &job.each, &b[OUT]))
        return NULL;
    int sound = fits(&job, &b[LEVELS], &b[TABLE], &b[SHAPE], &b[OUT], first) && PyTuple_Size(factors) <= MAX_FACTORS;
    for (Py_ssize_t f = 0; sound && f < PyTuple_Size(factors); f++)
        sound = read_factor(&job, PyTuple_GetItem(factors, f), &values[f], &blocks[f], &taken);
    if (sound) {
        job.levels = b[LEVELS].buf;
        job.table = b[TABLE].buf;
        job.out = b[OUT].buf;
        Py_BEGIN_ALLOW_THREADS
        work_exactly(&job);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    } else if (!PyErr_Occurred()) {
        refuse("dequantize");
    }
    release(values, taken);
    release(blocks, taken);
    release(b, BUFFERS);
    return result;
}
