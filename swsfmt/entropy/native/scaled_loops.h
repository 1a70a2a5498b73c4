/* One tile of levels and what is done to it, in floats of type REAL; included once for each, with names by NAME(). */

static void NAME(subtract)(REAL *x, size_t n, const REAL *f)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] - f[i];
}

static void NAME(multiply)(REAL *x, size_t n, const REAL *f)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] * f[i];
}

static void NAME(add)(REAL *x, size_t n, const REAL *f)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] + f[i];
}

static void NAME(subtract_one)(REAL *x, size_t n, REAL f)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] - f;
}

static void NAME(multiply_one)(REAL *x, size_t n, REAL f)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] * f;
}

static void NAME(add_one)(REAL *x, size_t n, REAL f)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] + f;
}

/* Elements `column` to column + n - 1 of a row, whose first one has the factor `at`. */
static void NAME(apply)(REAL *x, size_t n, const Factor *f, size_t at, size_t column)
{
    const REAL *values = (const REAL *)f->values + at;
    if (f->column_block == 1) {
        values += column;
        (f->operation == SUBTRACT ? NAME(subtract) : f->operation == MULTIPLY ? NAME(multiply) : NAME(add))(x, n,
                                                                                                           values);
        return;
    }
    while (n > 0) {
        size_t block = column / f->column_block, left = f->column_block - column % f->column_block;
        size_t m = left < n ? left : n;
        REAL value = values[block];
        if (f->operation == SUBTRACT)
            NAME(subtract_one)(x, m, value);
        else if (f->operation == MULTIPLY)
            NAME(multiply_one)(x, m, value);
        else
            NAME(add_one)(x, m, value);
        x += m;
        column += m;
        n -= m;
    }
}

#define LOAD(T)                                                                                                        \
    {                                                                                                                  \
        const T *in = (const T *)levels + at;                                                                          \
        for (size_t i = 0; i < n; i++)                                                                                 \
            x[i] = (REAL)in[i];                                                                                        \
    }                                                                                                                  \
    break

/* Levels at to at + n - 1 as floats. table: of all numbers of a byte, for the dtypes that are none here. */
static void NAME(load)(REAL *x, size_t n, const void *levels, int dtype, const REAL *table, size_t at)
{
    switch (dtype) {
    case U8: LOAD(uint8_t);
    case I8: LOAD(int8_t);
    case U16: LOAD(uint16_t);
    case I16: LOAD(int16_t);
    case U32: LOAD(uint32_t);
    case I32: LOAD(int32_t);
    case F32: LOAD(float);
    case F64: LOAD(double);
    case F16:
        for (size_t i = 0; i < n; i++)
            x[i] = (REAL)from_half(((const uint16_t *)levels + at)[i]);
        break;
    case BF16:
        for (size_t i = 0; i < n; i++)
            x[i] = (REAL)from_bfloat16(((const uint16_t *)levels + at)[i]);
        break;
    default:
        for (size_t i = 0; i < n; i++)
            x[i] = table[((const uint8_t *)levels + at)[i]];
    }
}

#undef LOAD
