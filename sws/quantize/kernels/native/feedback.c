/* The one loop of the quantiser that is no product of matrices: see protocol.py, and twin.py for the same in
 * Python. All numbers are floats, and every operation is rounded to float in the same order as there. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHTS, COLUMN_FACTOR, ROW_FACTOR, STEPS, RATES, ROW_CLASSES, COLUMN_CLASSES, LENGTHS, ZEROS, LEVELS, BUFFERS };

/* Beyond it an int32 would not hold a level. */
static const float LARGEST = 1073741824.0f;

typedef struct {
    const float *bits;
    long reach;
} Code;

/* What a level takes, in bits: one beyond the table as the last one there. */
static inline float length_of(const Code *code, float level)
{
    float reach = (float)code->reach;
    float index = level < -reach ? -reach : level > reach ? reach : level;
    return code->bits[(long)index + code->reach];
}

/* The level of least squared error and rate, among the three nearest and zero. The first of equals is taken. */
static inline float cheapest(float value, float rate, const Code *code)
{
    float near = rintf(value);
    if (rate == 0.0f)
        return near;
    float candidates[4] = {near, near - 1.0f, near + 1.0f, 0.0f};
    float best = near, least = INFINITY;
    for (int k = 0; k < 4; k++) {
        float error = value - candidates[k];
        float cost = error * error + rate * length_of(code, candidates[k]);
        if (cost < least) {
            least = cost;
            best = candidates[k];
        }
    }
    return best;
}

typedef struct {
    float *weights;
    /* Factors are NULL where there is no feedback. */
    const float *column_factor, *row_factor, *row_steps, *column_steps, *row_rates, *column_rates;
    const uint8_t *row_classes, *column_classes;
    const float *lengths;
    /* Weights that stay zero; NULL where none must. */
    const uint8_t *zeros;
    int32_t *levels;
    long rows, columns, column_kinds, reach, paths;
} Tile;

/* One way to round the first weights of a row: what the others become by it, and its whole error. */
typedef struct {
    float *weights, *error;
    int32_t *levels;
    float cost;
} Path;

/* A path and the level that it goes on with. */
typedef struct {
    float cost, level;
    long path;
} Branch;

/* Put a branch in its place among the best so far; of equals the first stays first. */
static inline long insert(Branch *best, long count, long most, Branch one)
{
    if (count == most && !(one.cost < best[count - 1].cost))
        return count;
    long k = count < most ? count++ : count - 1;
    for (; k > 0 && one.cost < best[k - 1].cost; k--)
        best[k] = best[k - 1];
    best[k] = one;
    return count;
}

static void copy_path(Path *to, const Path *from, long first, long columns)
{
    memcpy(to->levels, from->levels, (size_t)first * sizeof *to->levels);
    memcpy(to->weights + first, from->weights + first, (size_t)(columns - first) * sizeof *to->weights);
    memcpy(to->error, from->error, (size_t)columns * sizeof *to->error);
}

/* Round row i the way with the least cost, of squared errors over rates and bits, that is found when the best
 * `paths` ways are kept after each weight. `paths` and `next` have so many each. Returns 0 where a level does not fit. */
static int search(const Tile *t, long i, Path *paths, Path *next, Branch *best, float *error)
{
    long width = 2 * t->reach + 1, count = 1;
    float *own = t->weights + i * t->columns;
    memcpy(paths[0].weights, own, (size_t)t->columns * sizeof *own);
    memcpy(paths[0].error, own, (size_t)t->columns * sizeof *own);
    paths[0].cost = 0.0f;
    for (long k = 0; k < t->columns; k++) {
        float step = t->row_steps[i] * t->column_steps[k];
        float rate = t->row_rates[i] * t->column_rates[k];
        Code code = {t->lengths + (t->row_classes[i] * t->column_kinds + t->column_classes[k]) * width, t->reach};
        int is_zero = t->zeros != NULL && t->zeros[i * t->columns + k];
        long kept = 0;
        for (long p = 0; p < count; p++) {
            float value = paths[p].weights[k] / step, near = rintf(value);
            if (!(fabsf(near) < LARGEST))
                return 0;
            float candidates[4] = {near, near - 1.0f, near + 1.0f, 0.0f};
            int many = near >= -1.0f && near <= 1.0f ? 3 : 4;
            for (int c = is_zero ? 3 : 0; c < (is_zero ? 4 : many); c++) {
                float left = value - candidates[c];
                float cost = paths[p].cost + (left * left / rate + length_of(&code, candidates[c]));
                kept = insert(best, kept, t->paths, (Branch){cost, candidates[c], p});
            }
        }
        for (long p = 0; p < kept; p++) {
            Path *to = next + p;
            copy_path(to, paths + best[p].path, k, t->columns);
            float made = best[p].level * step;
            to->cost = best[p].cost;
            to->levels[k] = (int32_t)best[p].level;
            to->error[k] -= made;
            if (t->column_factor == NULL)
                continue;
            const float *of_column = t->column_factor + k * t->columns;
            float left = (to->weights[k] - made) / of_column[k];
            for (long j = k + 1; j < t->columns; j++)
                to->weights[j] -= left * of_column[j];
        }
        Path *swap = paths;
        paths = next, next = swap, count = kept;
    }
    memcpy(t->levels + i * t->columns, paths[0].levels, (size_t)t->columns * sizeof *t->levels);
    memcpy(error, paths[0].error, (size_t)t->columns * sizeof *error);
    return 1;
}

/* To each later row its share of the error of row i. */
static void feed_rows(const Tile *t, long i, const float *error)
{
    if (t->row_factor == NULL)
        return;
    const float *of_row = t->row_factor + i * t->rows;
    for (long a = i + 1; a < t->rows; a++) {
        float share = of_row[a] / of_row[i], *later = t->weights + a * t->columns;
        if (share != 0.0f)
            for (long k = 0; k < t->columns; k++)
                later[k] -= share * error[k];
    }
}

static int quantize_paths(const Tile *t, float *error)
{
    size_t many = 2 * (size_t)t->paths, c = (size_t)t->columns;
    char *memory = malloc(many * (sizeof(Path) + c * 12) + (size_t)t->paths * sizeof(Branch));
    if (memory == NULL)
        return -1;
    Path *paths = (Path *)memory;
    Branch *best = (Branch *)(paths + many);
    float *own = (float *)(best + t->paths);
    for (size_t p = 0; p < many; p++, own += 3 * c)
        paths[p] = (Path){own, own + c, (int32_t *)(own + 2 * c), 0.0f};
    int fits = 1;
    for (long i = 0; fits && i < t->rows; i++) {
        fits = search(t, i, paths, paths + t->paths, best, error);
        feed_rows(t, i, error);
    }
    free(memory);
    return fits;
}

/* Returns 0 where a level does not fit. */
static int quantize(const Tile *t, float *error)
{
    long width = 2 * t->reach + 1;
    for (long i = 0; i < t->rows; i++) {
        float *own = t->weights + i * t->columns;
        for (long k = 0; k < t->columns; k++)
            error[k] = own[k];
        for (long k = 0; k < t->columns; k++) {
            float step = t->row_steps[i] * t->column_steps[k];
            float rate = t->row_rates[i] * t->column_rates[k];
            Code code = {t->lengths + (t->row_classes[i] * t->column_kinds + t->column_classes[k]) * width, t->reach};
            int is_zero = t->zeros != NULL && t->zeros[i * t->columns + k];
            float level = is_zero ? 0.0f : cheapest(own[k] / step, rate, &code);
            if (!(fabsf(level) <= LARGEST))
                return 0;
            t->levels[i * t->columns + k] = (int32_t)level;
            float made = level * step;
            error[k] -= made;
            if (t->column_factor == NULL)
                continue;
            const float *of_column = t->column_factor + k * t->columns;
            float left = (own[k] - made) / of_column[k];
            for (long j = k + 1; j < t->columns; j++)
                own[j] -= left * of_column[j];
        }
        feed_rows(t, i, error);
    }
    return 1;
}

static int is_of(const Py_buffer *b, size_t itemsize, size_t count)
{
    return (size_t)b->len == itemsize * count && (uintptr_t)b->buf % itemsize == 0;
}

/* quantize_tile(weights, column_factor, row_factor, steps, rates, row_classes, column_classes, lengths, zeros, shape,
 *               levels) -> whether they fit */
static PyObject *py_quantize_tile(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer b[BUFFERS];
    Py_ssize_t rows, columns, column_kinds, reach, paths;
    if (!PyArg_ParseTuple(args, "w*y*y*y*y*y*y*y*y*(nnnnn)w*", &b[WEIGHTS], &b[COLUMN_FACTOR], &b[ROW_FACTOR], &b[STEPS],
                          &b[RATES], &b[ROW_CLASSES], &b[COLUMN_CLASSES], &b[LENGTHS], &b[ZEROS], &rows, &columns,
                          &column_kinds, &reach, &paths, &b[LEVELS]))
        return NULL;
    enum { MOST = 1 << 15 };
    int sound = rows >= 1 && rows <= MOST && columns >= 1 && columns <= MOST && column_kinds >= 1 &&
                column_kinds <= 256 && reach >= 1 && reach <= MOST && paths >= 1 && paths <= 64;
    size_t r = (size_t)rows, c = (size_t)columns, width = 2 * (size_t)reach + 1;
    sound = sound && is_of(&b[WEIGHTS], 4, r * c) && is_of(&b[LEVELS], 4, r * c) &&
            (b[COLUMN_FACTOR].len == 0 || is_of(&b[COLUMN_FACTOR], 4, c * c)) &&
            (b[ROW_FACTOR].len == 0 || is_of(&b[ROW_FACTOR], 4, r * r)) && is_of(&b[STEPS], 4, r + c) &&
            is_of(&b[RATES], 4, r + c) && is_of(&b[ROW_CLASSES], 1, r) && is_of(&b[COLUMN_CLASSES], 1, c) &&
            (b[ZEROS].len == 0 || is_of(&b[ZEROS], 1, r * c)) && b[LENGTHS].len > 0 && (size_t)b[LENGTHS].len % (4 * width * (size_t)column_kinds) == 0;
    size_t row_kinds = sound ? (size_t)b[LENGTHS].len / (4 * width * (size_t)column_kinds) : 0;
    for (size_t i = 0; sound && i < r; i++)
        sound = ((const uint8_t *)b[ROW_CLASSES].buf)[i] < row_kinds;
    for (size_t k = 0; sound && k < c; k++)
        sound = ((const uint8_t *)b[COLUMN_CLASSES].buf)[k] < column_kinds;
    PyObject *result = NULL;
    if (sound) {
        const float *steps = b[STEPS].buf, *rates = b[RATES].buf;
        Tile t = {b[WEIGHTS].buf, b[COLUMN_FACTOR].len ? b[COLUMN_FACTOR].buf : NULL,
                  b[ROW_FACTOR].len ? b[ROW_FACTOR].buf : NULL, steps, steps + rows, rates, rates + rows,
                  b[ROW_CLASSES].buf, b[COLUMN_CLASSES].buf, b[LENGTHS].buf, b[ZEROS].len ? b[ZEROS].buf : NULL, b[LEVELS].buf, (long)rows, (long)columns,
                  (long)column_kinds, (long)reach, (long)paths};
        float *error = PyMem_Malloc(c * sizeof *error);
        if (error == NULL) {
            PyErr_NoMemory();
        } else {
            int fits;
            Py_BEGIN_ALLOW_THREADS
            fits = paths > 1 ? quantize_paths(&t, error) : quantize(&t, error);
            Py_END_ALLOW_THREADS
            result = fits < 0 ? PyErr_NoMemory() : PyBool_FromLong(fits);
            PyMem_Free(error);
        }
    } else {
        PyErr_SetString(PyExc_ValueError, "quantize_tile: sizes do not fit");
    }
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&b[i]);
    return result;
}

static PyMethodDef methods[] = {{"quantize_tile", py_quantize_tile, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot slots[] = {
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_native", "The kernel of the quantiser in C; see protocol.py.", 0, methods, slots, NULL, NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&module);
}
