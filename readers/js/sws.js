// Reader of .sws files, from the specification alone (spec/sws-1.0.md, whose sections the comments name). No dependencies.
//
//   read(bytes)      a whole file          stream(body)     tensor by tensor, from fetch or any async iterable
//   readIndex(bytes) names and places      toFloat32(tensor)

/** Everything that is refused. `kind` tells what is wrong, `tensor` and `offset` (bytes from the start of the file) where. */
export class SwsError extends Error {
  constructor(kind, message, offset, tensor) {
    super(message);
    this.name = "SwsError";
    this.kind = kind;
    this.offset = offset;
    this.tensor = tensor;
  }
}

const SIGNATURE = [0x89, 0x53, 0x57, 0x53, 0x0d, 0x0a, 0x1a, 0x0a];
const CODINGS = ["raw", "narrow", "alias", "dense", "sparse", "adaptive", "planes", "scaled", "escape", "classes", "lookup"];
const [RAW, NARROW, ALIAS, DENSE, SPARSE, ADAPTIVE, PLANES, SCALED, ESCAPE, CLASSES, LOOKUP] = CODINGS.keys();
const DTYPES = (
  "BOOL U8 I8 U16 I16 U32 I32 U64 I64 F16 BF16 F32 F64 C64 C128 C32 " +
  "F8_E4M3 F8_E5M2 F8_E4M3FNUZ F8_E5M2FNUZ F8_E8M0 F4_X2"
).split(" ");
const SIZES = [1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8, 8, 16, 4, 1, 1, 1, 1, 1, 1];
const [BOOL, U8, I8, U16, I16, U32, I32, U64, I64, F16, BF16, F32, F64, , , , E4M3, E5M2, E4M3FNUZ, E5M2FNUZ, E8M0] = SIZES.keys();
const VIEWS = {
  [I8]: Int8Array, [U16]: Uint16Array, [I16]: Int16Array, [U32]: Uint32Array, [I32]: Int32Array, [U64]: BigUint64Array, [I64]: BigInt64Array,
  9: Uint16Array, 10: Uint16Array, 11: Float32Array, 12: Float64Array, 13: Float32Array, 14: Float64Array, 15: Uint16Array,
};
// Section 8.
const [MAX_INDEX, MAX_RECORDS, MAX_NAME, MAX_NAMES, MAX_BITMAPS, MAX_SYMBOLS] = [2 ** 28, 2 ** 20, 2 ** 16 - 1, 2 ** 24, 2 ** 26, 2 ** 23];
const BLOCK = 4096;

// What they name is not what it has to be (or, of limits, more than there may be).
const indexError = (what, offset) => new SwsError("index", `invalid ${what}`, offset);
const payloadError = () => new SwsError("payload", "invalid payload");
const limitError = (offset, what = "more than a limit") => new SwsError("limit", what, offset);
/** The number of binary digits. */
const bitLength = (n) => (n ? Math.floor(Math.log2(n)) + 1 : 0);

// ---------------------------------------------------------------------------------------------- bytes and bits (1, 6.1, 6.2)

let crcTables;

/** CRC-32, eight bytes a step (Kounavis and Berry 2005, "slicing by 8"). */
function crc32(bytes) {
  if (!crcTables) {
    crcTables = Array.from({ length: 8 }, () => new Int32Array(256));
    for (let i = 0; i < 256; i++) {
      let c = i;
      for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
      crcTables[0][i] = c;
    }
    for (let k = 1; k < 8; k++) {
      for (let i = 0; i < 256; i++) crcTables[k][i] = (crcTables[k - 1][i] >>> 8) ^ crcTables[0][crcTables[k - 1][i] & 255];
    }
  }
  const [t0, t1, t2, t3, t4, t5, t6, t7] = crcTables;
  let crc = -1;
  let i = 0;
  for (; i < bytes.length && (bytes.byteOffset + i) % 4; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]) & 255];
  const words32 = new Int32Array(bytes.buffer, bytes.byteOffset + i, Math.floor((bytes.length - i) / 4));
  const pairs = words32.length - (words32.length % 2);
  for (let k = 0; k < pairs; k += 2) {
    const a = words32[k] ^ crc;
    const b = words32[k + 1];
    crc =
      t7[a & 255] ^ t6[(a >>> 8) & 255] ^ t5[(a >>> 16) & 255] ^ t4[a >>> 24] ^
      t3[b & 255] ^ t2[(b >>> 8) & 255] ^ t1[(b >>> 16) & 255] ^ t0[b >>> 24];
  }
  i += 4 * pairs;
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}

const u32At = (bytes, at) => (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;

/** The LEB128 integer at a place: [BigInt, bytes it takes], or undefined where the bytes end within it. */
function varintAt(bytes, at) {
  let value = 0n;
  for (let i = 0; i < 9; i++) {
    if (at + i >= bytes.length) return undefined;
    const byte = bytes[at + i];
    value |= BigInt(byte & 127) << BigInt(7 * i);
    if (byte < 128) {
      if (i && !byte) throw indexError("varint", at);
      return [value, i + 1];
    }
  }
  throw indexError("varint", at);
}

/** The index, byte by byte. */
class Bytes {
  constructor(bytes, at, end) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }
  need(n) {
    if (n > this.end - this.at) throw indexError("index length", this.at);
  }
  u8() {
    this.need(1);
    return this.bytes[this.at++];
  }
  take(n) {
    this.need(n);
    this.at += n;
    return this.bytes.subarray(this.at - n, this.at);
  }
  big() {
    const pair = varintAt(this.bytes.subarray(0, this.end), this.at);
    if (!pair) this.need(Infinity);
    this.at += pair[1];
    return pair[0];
  }
  varint() {
    const byte = this.bytes[this.at];
    return this.at < this.end && byte < 128 ? (this.at++, byte) : Number(this.big());
  }
  /** A varint that numbers something of which there are `count` so far. */
  reference(count, what) {
    const n = this.varint();
    if (n >= count) throw indexError(`number of a ${what}`, this.at);
    return n;
  }
  width() {
    const w = this.u8();
    if (w < 1 || w > 32) throw indexError("width", this.at - 1);
    return w;
  }
}

/** Bits of bytes, from the least significant one on. Reads past the end are refused. */
class Bits {
  constructor(bytes, fail) {
    this.bytes = bytes;
    this.fail = fail;
    this.at = 0;
    this.end = bytes.length * 8;
  }
  bit() {
    if (this.at >= this.end) throw this.fail("length of bits");
    return (this.bytes[Math.floor(this.at / 8)] >>> (this.at++ & 7)) & 1;
  }
  field(width) {
    let value = 0;
    for (let i = 0; i < width; i++) value += this.bit() * 2 ** i;
    return value;
  }
  gamma() {
    let z = 0;
    while (!this.bit()) if (++z > 32) throw this.fail("gamma code");
    return 2 ** z + this.field(z);
  }
  /** Steps over zero bits up to the next byte, and gives the number of bytes so far. */
  pad() {
    if (this.field(-this.at & 7)) throw this.fail("padding");
    return this.at / 8;
  }
}

// -------------------------------------------------------------------------------------------------- numbers of dtypes (3.2, 5.8)

/** Arrays of the words that elements are handled in: of their size; 16 bytes are four words. */
const words = (size, count) => (size === 16 ? new Uint32Array(4 * count) : new { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[size](count));
const raw = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);
const float32 = (bits) => ((scratchBits[0] = bits), scratch[0]);
const floatBits = (number) => ((scratch[0] = number), scratchBits[0]);
/** A float of few bits: exponent and mantissa bits and bias; NaN and infinities are the caller's. */
const small = (bits, mantissa, exponentMask, bias, sign) => {
  const e = (bits >>> mantissa) & exponentMask;
  const m = bits & ((1 << mantissa) - 1);
  const value = ((e ? 1 : 0) + m / 2 ** mantissa) * 2 ** ((e || 1) - bias);
  return bits & sign ? -value : value;
};
const half = (bits) =>
  (bits & 0x7c00) === 0x7c00 ? (bits & 0x3ff ? NaN : bits & 0x8000 ? -Infinity : Infinity) : small(bits, 10, 31, 15, 0x8000);
const NUMBERS = {
  [F16]: half,
  [BF16]: (bits) => float32(bits << 16),
  [E5M2]: (bits) => half(bits << 8),
  [E4M3]: (bits) => ((bits & 127) === 127 ? NaN : small(bits, 3, 15, 7, 128)),
  [E4M3FNUZ]: (bits) => (bits === 128 ? NaN : small(bits, 3, 15, 8, 128)),
  [E5M2FNUZ]: (bits) => (bits === 128 ? NaN : small(bits, 2, 31, 16, 128)),
  [E8M0]: (bits) => (bits === 255 ? NaN : 2 ** (bits - 127)),
};

/** The numbers of words of a dtype of at most 53 bits, as an array that can be indexed; other dtypes as they are. */
function numbers(array, dtype) {
  const convert = NUMBERS[dtype];
  if (array instanceof Float32Array) return array;
  if (!convert) return VIEWS[dtype] ? new VIEWS[dtype](array.buffer, array.byteOffset, array.byteLength / SIZES[dtype]) : array;
  return Float32Array.from(array, convert);
}

/** Which narrower dtypes may store values of a dtype (3.2). */
function mayNarrow(dtype, storage) {
  if (dtype === F32 || dtype === F64) return storage === F16 || storage === BF16 || (dtype === F64 && storage === F32);
  const integer = (d) => d >= U8 && d <= I64;
  if (!integer(dtype) || !integer(storage) || SIZES[storage] >= SIZES[dtype]) return false;
  return dtype === U16 || dtype === U32 || dtype === U64 ? storage !== I8 && storage !== I16 && storage !== I32 : true;
}

/** Bytes of storage to words of the dtype. Throws what `fail` makes where they hold a NaN. */
function widen(bytes, storage, dtype, fail) {
  const copy = words(SIZES[storage], bytes.length / SIZES[storage]);
  raw(copy).set(bytes);
  if (storage === dtype) return copy;
  const from = numbers(copy, storage);
  const out = words(SIZES[dtype], from.length);
  if (dtype === F32 || dtype === F64) {
    for (let i = 0; i < from.length; i++) if (from[i] !== from[i]) throw fail("NaN");
    new VIEWS[dtype](out.buffer).set(from);
  } else if (SIZES[dtype] < 8) out.set(from);
  else for (let i = 0; i < from.length; i++) out[i] = BigInt(from[i]);
  return out;
}

// ------------------------------------------------------------------------------------------------------------- the index (2 to 6)

/** Where index and prefix end, from the first 19 bytes, or all of a shorter file; undefined where it ends too early. */
function prefixLength(bytes) {
  for (let i = 0; i < 8; i++) {
    if (bytes[i] === SIGNATURE[i]) continue;
    throw new SwsError("not-sws", "this is no .sws file", 0);
  }
  if (bytes.length < 9) return undefined;
  if (bytes[8] === 0) throw indexError("version", 8);
  if (bytes[8] !== 1) throw new SwsError("version", `version ${bytes[8]} of the format`, 8);
  const pair = bytes.length < 10 ? undefined : varintAt(bytes, 10);
  if (!pair) return undefined;
  if (pair[0] > MAX_INDEX) throw limitError(10);
  return { start: 10 + pair[1], end: 10 + pair[1] + Number(pair[0]) + 4 };
}

class Parser {
  constructor(bytes, start, end) {
    this.input = new Bytes(bytes, start, end);
    this.codebooks = [];
    this.tables = [];
    this.bitmaps = [];
    this.bitmapLengths = 0;
    this.tableSymbols = 0;
    this.records = 0;
    this.position = end + 4;
    this.dtype = F32;
  }

  /** Rules of a coding have its name alone: the offset tells where. */
  refuse(wrong, what = `parameters of ${this.what}`) {
    if (wrong) throw indexError(what, this.input.at);
  }

  text(bytes) {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw indexError("UTF-8", this.input.at);
    }
  }

  string() {
    const n = this.input.varint();
    return this.input.take(n);
  }

  index() {
    const { input } = this;
    const metadata = new Map();
    let last;
    for (let n = input.varint(); n > 0; n--) {
      const key = this.string();
      this.refuse(last && compareBytes(last, key) >= 0, "metadata");
      last = key;
      metadata.set(this.text(key), this.text(this.string()));
    }
    for (let n = input.varint(); n > 0; n--) this.codebooks.push(this.codebook());
    const tensors = [];
    const names = new Map();
    const suffixes = [];
    let name = new Uint8Array();
    let total = 0;
    for (let n = input.varint(), i = 0; i < n; i++) {
      const shared = input.varint();
      this.refuse(shared > name.length, "name");
      const s = input.varint();
      let suffix;
      if (s % 2) {
        this.refuse((s + 1) / 2 > i, "name");
        suffix = suffixes[i - (s + 1) / 2];
      } else suffix = input.take(s / 2);
      if (shared + suffix.length > MAX_NAME || (total += shared + suffix.length) > MAX_NAMES) throw limitError(this.input.at);
      const joined = new Uint8Array(shared + suffix.length);
      joined.set(name.subarray(0, shared));
      joined.set(suffix, shared);
      name = joined;
      suffixes.push(suffix);
      const tensor = { name: this.text(name), at: input.at };
      this.refuse(names.has(tensor.name), "name");
      names.set(tensor.name, i);
      this.record(tensor, tensors);
      tensors.push(tensor);
    }
    this.refuse(input.at !== input.end, "index length");
    return { metadata, tensors };
  }

  /** Section 3.1: the words of all symbols, the zero of symbol 0 included. */
  codebook() {
    const { input } = this;
    const dtype = input.u8();
    const storage = input.u8();
    const size = SIZES[dtype];
    this.refuse(!size || size > 8 || (storage !== dtype && !mayNarrow(dtype, storage)), "dtype");
    const count = input.varint();
    this.refuse(count < 1 || count > 4095, "codebook");
    const values = widen(input.take(count * SIZES[storage]), storage, dtype, (m) => indexError(m, input.at));
    const table = words(size, count + 1);
    table.set(values, 1);
    for (let i = 1; i <= count; i++) this.refuse(table[i] <= table[i - 1], "codebook");
    this.refuse(dtype === BOOL && (count > 1 || table[1] !== 1), "codebook");
    return { dtype, size, table, count };
  }

  /** Section 4, from the head on. */
  record(tensor, tensors) {
    const { input } = this;
    const head = input.u8();
    this.coding(tensor, head);
    if (tensor.coding === ALIAS) {
      this.refuse(head >> 4, "head");
      const target = tensors[input.reference(tensors.length, "tensor")];
      this.refuse(target.coding === ALIAS, "alias");
      tensor.target = target;
      this.count();
      return;
    }
    if (head & 128) this.dtype = input.u8();
    tensor.dtype = this.dtype;
    let rank = (head >> 4) & 7;
    if (rank === 7) {
      rank = input.varint();
      this.refuse(rank < 7 || rank > 64, "rank");
    }
    tensor.shape = [];
    for (let i = 0; i < rank; i++) {
      const d = input.big();
      tensor.shape.push(d > Number.MAX_SAFE_INTEGER ? d : Number(d));
    }
    tensor.start = this.position;
    this.body(tensor, 0);
    tensor.end = this.position;
  }

  part(usual, shape, depth) {
    const { input } = this;
    const head = input.u8();
    const part = { shape, dtype: usual };
    this.refuse(head & 0x70, "head");
    this.coding(part, head);
    this.refuse(part.coding === ALIAS, "alias");
    this.refuse(head & 128 && (part.dtype = input.u8()) === usual, "dtype");
    this.refuse(depth > 4, "parts");
    this.body(part, depth);
    return part;
  }

  count() {
    if (++this.records > MAX_RECORDS) throw limitError(this.input.at);
  }

  coding(record, head) {
    record.coding = head & 15;
    this.refuse(record.coding === 15 && (record.coding = this.input.varint()) < 15, "coding");
  }

  /** Dtype and shape are known: what follows in a record or part. */
  body(record, depth) {
    const { input } = this;
    this.count();
    const { coding, dtype, shape } = record;
    this.what = CODINGS[coding];
    const size = SIZES[dtype];
    const unknown = coding > LOOKUP;
    this.refuse(!size && !unknown, "dtype");
    let product = 1n;
    let empty = false;
    for (const d of shape) d ? (product *= BigInt(d)) : (empty = true);
    this.refuse(size && product * BigInt(size) >= 2n ** 63n, "shape");
    record.count = empty ? 0 : Number(product);
    this.refuse(empty && coding !== RAW && !unknown, "coding");
    record.rows = shape.length ? Number(shape[0]) : 1;
    record.columns = record.count / record.rows || 0;
    let length;
    if (unknown) {
      input.take(input.varint());
      record.unknown = true;
    } else if (coding === RAW) length = record.count * size;
    else if (coding === NARROW) {
      record.storage = input.u8();
      this.refuse(!mayNarrow(dtype, record.storage), "dtype");
      length = record.count * SIZES[record.storage];
    } else length = this[CODINGS[coding]](record, depth);
    if (record.parts) {
      record.unknown = record.parts.some((p) => p.unknown);
      return;
    }
    record.length = length ?? input.varint();
    if (record.length >= 256) {
      record.crc = u32At(input.take(4), 0);
      record.place = this.position;
      this.position += record.length;
    } else {
      record.place = input.at;
      record.inline = input.take(record.length);
    }
  }

  book(record) {
    const book = this.codebooks[this.input.reference(this.codebooks.length, "codebook")];
    this.refuse(book.dtype !== record.dtype);
    record.book = book;
  }

  /** The packed parameters: calls `read` with their bits. */
  packed(read) {
    const { input } = this;
    const bits = new Bits(input.bytes.subarray(input.at, input.end), (m) => indexError(m, input.at));
    read(bits);
    input.at += bits.pad();
  }

  /** A stream of symbols: its table, if it has one. `number` is that of an earlier table. */
  symbols(kind, alphabet, number, bits) {
    if (kind === 0) return { alphabet, width: bitLength(alphabet - 1) };
    if (kind === 2) {
      const table = this.tables[number];
      this.refuse(table?.alphabet !== alphabet);
      return table;
    }
    if ((this.tableSymbols += alphabet) > MAX_SYMBOLS) throw limitError(this.input.at);
    const table = codeTable(bits, alphabet);
    this.tables.push(table);
    return table;
  }

  dense(record, depth) {
    const { input } = this;
    this.book(record);
    const layout = input.u8();
    const kind = layout & 3;
    const chunk = layout >> 4;
    this.refuse(kind === 3 || layout & 12);
    const number = kind === 2 ? input.varint() : 0;
    if (chunk) {
      record.chunk = 2 ** (chunk + 9);
      this.refuse(kind === 0 || record.count <= record.chunk);
      record.width = input.width();
    }
    const alphabet = record.book.count + 1;
    if (kind === 1) this.packed((bits) => (record.code = this.symbols(kind, alphabet, number, bits)));
    else record.code = this.symbols(kind, alphabet, number, undefined);
  }

  sparse(record, depth) {
    const { input } = this;
    this.refuse(SIZES[record.dtype] > 8);
    const n = (record.entries = input.varint());
    this.refuse(n > record.count);
    if (!n) return 0;
    this.book(record);
    const layout = input.u8() + input.u8() * 256;
    record.byColumns = layout & 1;
    record.lineEnds = (layout >> 1) & 1;
    const gapKind = (layout >> 2) & 3;
    const valueKind = (layout >> 4) & 3;
    const rowKind = (layout >> 6) & 7;
    const columnKind = (layout >> 9) & 7;
    const pbits = layout >> 12;
    this.refuse(gapKind === 3 || valueKind === 3 || rowKind === 7 || columnKind === 7 || pbits < 1 || pbits > 12);
    const chunk = n >= 4096 ? input.u8() : 0;
    if (chunk) {
      record.chunk = 2 ** (chunk + 9);
      this.refuse(chunk > 15 || record.lineEnds || n <= record.chunk);
    }
    const gapTable = gapKind === 2 ? input.varint() : 0;
    const valueTable = valueKind === 2 ? input.varint() : 0;
    const rowArgument = rowKind >= 3 ? input.varint() : 0;
    const columnArgument = columnKind >= 3 ? input.varint() : 0;
    if (record.lineEnds) record.width = input.width();
    if (chunk) {
      record.widths = [input.width(), input.u8(), 0];
      this.refuse(record.widths[1] > 32 || !record.widths[1] !== !valueKind);
      record.widths[2] = input.width();
    }
    this.packed((bits) => {
      record.liveRows = this.bitmap(rowKind, record.rows, rowArgument, bits);
      record.liveColumns = this.bitmap(columnKind, record.columns, columnArgument, bits);
      record.gaps = this.symbols(gapKind, 2 ** pbits, gapTable, bits);
      record.values = this.symbols(valueKind, record.book.count, valueTable, bits);
    });
    this.refuse(record.gaps.one === 2 ** pbits - 1);
    record.R = record.liveRows ? record.liveRows.live : record.rows;
    record.C = record.liveColumns ? record.liveColumns.live : record.columns;
    this.refuse(n > record.R * record.C);
  }

  /** Section 6.5: {bits, live}, or undefined where all are live. */
  bitmap(kind, length, argument, bits) {
    if (kind === 0) return undefined;
    if ((this.bitmapLengths += length) > MAX_BITMAPS) throw limitError(this.input.at);
    const map = new Uint8Array(length);
    if (kind < 4) {
      this.refuse(kind === 3 && (argument < 1 || argument >= length));
      fill(bits, map, kind === 1);
      if (kind === 3) for (let i = argument; i < length; i++) map[i] ^= map[i - argument];
    } else {
      const earlier = this.bitmaps[argument];
      this.refuse(!earlier);
      const stretch = length / earlier.bits.length;
      this.refuse(stretch % 1);
      for (let i = 0; i < length; i++) map[i] = earlier.bits[Math.floor(i / stretch)];
      if (kind > 4) {
        const mask = new Uint8Array(earlier.live * stretch);
        fill(bits, mask, kind === 5);
        for (let i = 0, k = 0; i < length; i++) if (map[i]) map[i] = mask[k++];
      }
    }
    let live = 0;
    for (let i = 0; i < length; i++) live += map[i];
    this.refuse(!live);
    const bitmap = { bits: map, live };
    this.bitmaps.push(bitmap);
    return bitmap;
  }

  adaptive(record, depth) {
    const { input } = this;
    this.book(record);
    const layout = input.u8();
    this.refuse(layout >> 6);
    record.byColumns = layout & 1;
    record.light = (layout >> 1) & 1;
    record.noZeros = (layout >> 2) & 1;
    record.stride = layout & 8 ? input.varint() : 1;
    this.refuse(layout & 8 && (record.stride < 2 || record.stride > 65536));
    const lines = record.byColumns ? record.columns : record.rows;
    this.refuse(record.count / lines > 2 ** 22);
    record.chunk = this.chunkLines(layout & 16, lines);
    if (layout & 32) this.refuse(this.classCounts(record));
  }

  /** Returns what stands above them. */
  classCounts(record) {
    const classes = this.input.u8();
    record.R = (classes & 7) + 1;
    record.C = ((classes >> 3) & 7) + 1;
    this.refuse(record.R > record.rows || record.C > record.columns);
    return classes >> 6;
  }

  chunkLines(given, lines) {
    const chunk = given ? this.input.varint() : lines;
    this.refuse((given && (chunk < 1 || chunk >= lines)) || chunk > 2 ** 31);
    return chunk;
  }

  classes(record, depth) {
    const { input } = this;
    this.book(record);
    this.refuse(record.book.count > 1023);
    const layout = input.u8();
    record.lanes = 1 << (layout & 7);
    this.refuse(layout >> 4 || record.lanes > 64);
    record.M = 12 - this.classCounts(record);
    this.refuse(record.M < 10);
    record.chunk = this.chunkLines(layout & 8, record.rows);
  }

  planes(record, depth) {
    const { dtype, shape } = record;
    this.refuse(dtype < U8 || dtype > F64);
    const bits = 8 * SIZES[dtype];
    record.fields = [];
    for (let sum = 0; sum < bits; ) {
      const width = this.input.u8();
      sum += width;
      this.refuse(width < 1 || width > 16 || sum > bits || width === bits);
      record.fields.push(width);
    }
    record.parts = record.fields.map((width) => this.only(width > 8 ? U16 : U8, shape, depth));
  }

  /** A part that has its usual dtype. */
  only(dtype, shape, depth) {
    const part = this.part(dtype, shape, depth + 1);
    this.refuse(part.dtype !== dtype);
    return part;
  }

  scaled(record, depth) {
    const { input } = this;
    const { dtype, shape } = record;
    this.refuse(dtype < F16 || dtype > F64);
    const form = input.u8();
    const shift = (form >> 1) & 3;
    this.refuse(form >> 4 || shift === 3 || (form & 8 && dtype > BF16));
    record.each = form & 8;
    record.operations = [...(shift === 1 ? "-" : ""), "*", ...(form & 1 ? "*" : ""), ...(shift === 2 ? "+" : "")];
    record.blocks = record.operations.map(() =>
      shape.map((d) => {
        const b = input.varint();
        this.refuse(b >= d);
        return b || d;
      }),
    );
    const shapes = record.blocks.map((blocks) => shape.map((d, i) => Math.ceil(Number(d) / Number(blocks[i]))));
    const usual = [I8, ...record.operations.map((o) => (o === "-" ? I8 : F32))];
    record.parts = [shape, ...shapes].map((s, i) => {
      const part = this.part(usual[i], s, depth + 1);
      const d = part.dtype;
      const allowed = (d >= U8 && d <= I32) || (d >= F16 && d <= F32) || (d >= E4M3 && d <= E8M0) || (d === F64 && dtype === F64);
      this.refuse(!allowed && !(part.coding > LOOKUP && !SIZES[d]));
      return part;
    });
  }

  escape(record, depth) {
    const { input } = this;
    const { dtype, shape } = record;
    this.refuse(dtype === BOOL || SIZES[dtype] > 8);
    const count = input.varint();
    record.values = Math.floor(count / 2);
    this.refuse(record.values < 1 || record.values > record.count);
    if (count % 2) record.mark = input.take(SIZES[dtype]);
    record.parts = [this.only(count % 2 ? dtype : BOOL, shape, depth), this.only(dtype, [record.values], depth)];
  }

  lookup(record, depth) {
    const { dtype, shape } = record;
    const size = SIZES[dtype];
    this.refuse(size < 2 || size > 8);
    const n = this.input.varint();
    this.refuse(n < 1 || n > 65536 || n > record.count);
    record.parts = [this.only({ 2: U16, 4: U32, 8: U64 }[size], [n], depth), this.only(U16, shape, depth)];
  }
}

function compareBytes(a, b) {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** Fills a map, with single bits or with runs (6.5). */
function fill(bits, map, single) {
  let value = single || bits.bit();
  for (let at = 0; at < map.length; value ^= 1) {
    const run = single ? 1 : bits.gamma();
    if (run > map.length - at) throw bits.fail("bitmap");
    if (single ? bits.bit() : value) map.fill(1, at, at + run);
    at += run;
  }
}

/** Section 6.4: {alphabet, one} for a table of one symbol, else {alphabet, lengths, longest}. */
function codeTable(bits, alphabet) {
  if (bits.bit()) {
    const one = bits.field(bitLength(alphabet - 1));
    if (one >= alphabet) throw bits.fail("code table");
    return { alphabet, one };
  }
  const lengths = new Uint8Array(alphabet);
  let p = bits.field(4);
  let longest = 0;
  const check = () => {
    if (p < 1 || p > 12) throw bits.fail("code table");
  };
  check();
  for (let sum = 0, symbol = 0; sum < 4096; ) {
    if (bits.bit()) {
      if (!bits.bit()) p += bits.bit() ? -1 : 1;
      else if (bits.bit()) p = bits.field(4);
      else {
        const r = bits.gamma();
        if (r > alphabet - symbol) throw bits.fail("code table");
        symbol += r;
        continue;
      }
      check();
    }
    if (symbol >= alphabet) throw bits.fail("code table");
    lengths[symbol++] = p;
    longest = Math.max(longest, p);
    if ((sum += 4096 >> p) > 4096) throw bits.fail("code table");
  }
  return { alphabet, lengths, longest };
}

// ------------------------------------------------------------------------------------------------------ streams of symbols (6.3)

/**
 * For the next 12 bits one symbol or two: the first in bits 0 to 11, the second in 12 to 23, the length of the first in 24 to 27, that of both (or
 * of the first, if a second one does not fit) in 28 to 31.
 */
function lookups(code) {
  if (code.slots) return code.slots;
  const { lengths, longest } = code;
  const one = new Uint16Array(4096); // symbol × 16 + length
  let next = 0;
  for (let length = 1; length <= longest; length++) {
    next <<= 1;
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      let reversed = 0;
      for (let i = 0, c = next; i < length; i++, c >>= 1) reversed = (reversed << 1) | (c & 1);
      for (let at = reversed; at < 4096; at += 1 << length) one[at] = symbol * 16 + length;
      next++;
    }
  }
  code.slots = new Int32Array(4096);
  for (let at = 0; at < 4096; at++) {
    const length = one[at] & 15;
    const second = one[at >>> length];
    const both = length + (second & 15);
    code.slots[at] = (one[at] >>> 4) | (length << 24) | (both > 12 ? length << 28 : ((second >>> 4) << 12) | (both << 28));
  }
  return code.slots;
}

/** Reads symbols of one code, a block at a time, from bit `at` of bytes. */
class Symbols {
  constructor(bytes, code, at) {
    this.bytes = bytes;
    this.code = code;
    this.at = at;
    this.end = bytes.length * 8;
  }
  read(out, n) {
    const { bytes, code } = this;
    const one = code.width === 0 ? 0 : code.one;
    if (one !== undefined) {
      out.fill(one, 0, n);
      return;
    }
    const base = Math.floor(this.at / 8); // bits are counted from here, in 31 bits
    let at = this.at - 8 * base;
    const next = () => ((bytes[base + (at >>> 3)] | (bytes[base + (at >>> 3) + 1] << 8) | (bytes[base + (at >>> 3) + 2] << 16)) >>> (at & 7)) & 4095;
    if (code.width) {
      const { width, alphabet } = code;
      const mask = (1 << width) - 1;
      for (let i = 0; i < n; i++, at += width) refuse((out[i] = next() & mask) >= alphabet);
    } else {
      const slots = lookups(code);
      let i = 0;
      for (const last = n - 1; i < last; ) {
        const slot = slots[next()];
        const both = slot >>> 28;
        out[i] = slot & 4095;
        out[i + 1] = (slot >>> 12) & 4095;
        i += 1 + ((((slot >>> 24) & 15) - both) >>> 31);
        at += both;
      }
      if (i < n) {
        const slot = slots[next()];
        out[i] = slot & 4095;
        at += (slot >>> 24) & 15;
      }
    }
    this.at = 8 * base + at;
    refuse(this.at > this.end);
  }
}

/** The end of a payload that is a bit stream. */
function finish(bytes, at) {
  const bits = new Bits(bytes, payloadError);
  bits.at = at;
  refuse(bits.pad() !== bytes.length);
}

// --------------------------------------------------------------------------------------------------------------- decoders (5)
// Each gives the elements of a record as words (see `words`) from `payload`, a function of its leaf records.

const refuse = (wrong) => {
  if (wrong) throw payloadError();
};

const DECODERS = {
  [RAW](record, bytes, part, want) {
    if (record.dtype === BOOL) for (let i = 0; i < bytes.length; i++) refuse(bytes[i] > 1);
    return want?.width && record.dtype === U8 ? bytes : widen(bytes, record.dtype, record.dtype);
  },

  [NARROW]: (record, bytes) => widen(bytes, record.storage, record.dtype, payloadError),

  [DENSE](record, bytes, part, want) {
    const { count } = record;
    const { out, book } = target(record, want);
    const bits = new Bits(bytes, payloadError);
    const chunk = record.chunk || count;
    const lengths = [];
    for (let i = 0; record.chunk && i < count; i += chunk) lengths.push(bits.field(record.width));
    const symbols = new Symbols(bytes, record.code, bits.at);
    const block = new Uint16Array(BLOCK);
    for (let start = 0; start < count; start += chunk) {
      const from = symbols.at;
      const end = Math.min(start + chunk, count);
      for (let at = start; at < end; at += BLOCK) {
        const n = Math.min(BLOCK, end - at);
        symbols.read(block, n);
        place(out, at, block, n, book);
      }
      refuse(record.chunk && symbols.at - from !== lengths[start / chunk]);
    }
    finish(bytes, symbols.at);
    return out;
  },

  [SPARSE](record, bytes, part, want) {
    const { entries } = record;
    if (!entries) return words(SIZES[record.dtype], record.count);
    const { out, book } = target(record, want?.width ? undefined : want);
    const { table } = book;
    const bits = new Bits(bytes, payloadError);
    const [lines, places] = record.byColumns ? [record.C, record.R] : [record.R, record.C];
    const [liveLines, livePlaces] = record.byColumns ? [record.liveColumns, record.liveRows] : [record.liveRows, record.liveColumns];
    const [lineStep, placeStep] = record.byColumns ? [1, record.columns] : [record.columns, 1];
    const plain = !record.byColumns && !liveLines && !livePlaces;
    const lineAt = plain ? undefined : offsets(lines, liveLines, lineStep);
    const placeAt = plain ? undefined : offsets(places, livePlaces, placeStep);
    const lineCounts = [];
    let sum = 0;
    if (record.lineEnds) for (let i = 0; i < lines; i++) sum += lineCounts[i] = bits.field(record.width);
    refuse(record.lineEnds && sum !== entries);
    const chunk = record.chunk || entries;
    const chunks = [];
    let gapBits = 0;
    for (let i = 0; record.chunk && i < entries; i += chunk) {
      chunks.push(record.widths.map((w) => bits.field(w)));
      gapBits += chunks.at(-1)[0];
    }
    const gaps = new Symbols(bytes, record.gaps, bits.at);
    const values = new Symbols(bytes, record.values, bits.at + gapBits);
    const targets = new (record.count < 2 ** 32 ? Uint32Array : Float64Array)(Math.min(chunk, entries));
    const block = new Uint16Array(BLOCK);
    const skip = record.gaps.alphabet - 1;
    const total = lines * places;
    let cursor = 0;
    let line = 0;
    let base = 0; // position of the line's first place
    let left = record.lineEnds ? lineCounts[0] : Infinity;
    let limit = record.lineEnds ? places : total;
    for (let first = 0; first < entries; first += chunk) {
      const n = Math.min(chunk, entries - first);
      const before = cursor;
      const from = gaps.at;
      for (let done = 0; done < n; ) {
        // No more symbols than entries that are left: the last one is an entry's, so none is read too much.
        const m = Math.min(BLOCK, n - done);
        gaps.read(block, m);
        for (let i = 0; i < m; i++) {
          while (left === 0) {
            base = limit;
            limit += places;
            cursor = base;
            left = lineCounts[++line];
          }
          const gap = block[i];
          cursor += gap;
          refuse(cursor >= limit);
          if (gap === skip) continue;
          if (plain) targets[done++] = cursor;
          else {
            while (cursor >= base + places) {
              base += places;
              line++;
            }
            targets[done++] = lineAt[line] + placeAt[cursor - base];
          }
          cursor++;
          left--;
        }
      }
      if (record.chunk) {
        const [g, , advance] = chunks[first / chunk];
        refuse(gaps.at - from !== g || cursor - before !== advance);
      } else values.at = gaps.at;
      const start = values.at;
      for (let at = 0; at < n; at += BLOCK) {
        const m = Math.min(BLOCK, n - at);
        values.read(block, m);
        for (let i = 0; i < m; i++) out[targets[at + i]] = table[block[i] + 1];
      }
      refuse(record.chunk && values.at - start !== (record.widths[1] ? chunks[first / chunk][1] : n * record.values.width));
    }
    finish(bytes, values.at);
    return out;
  },

  [ADAPTIVE](record, bytes, part, want) {
    const { rows, columns, chunk, R, C } = record;
    const { out, book } = target(record, want);
    const lines = record.byColumns ? columns : rows;
    const places = record.byColumns ? rows : columns;
    let table = 0;
    let classes = [];
    if (R) {
      const bits = new Bits(bytes, payloadError);
      classes = [labels(bits, rows, R).map((g) => g * C), labels(bits, columns, C)];
      if (record.byColumns) classes.reverse();
      table = bits.pad();
    }
    const line = new Uint16Array(places);
    eachChunk(bytes, table, lines, chunk, (own, first, n) => {
      adaptiveChunk(own, n, places, record, line, first, classes, (l) => {
        if (record.byColumns) place(out, l, line, places, book, columns);
        else place(out, l * places, line, places, book);
      });
    });
    return out;
  },

  [CLASSES](record, bytes, part, want) {
    const { rows, columns, chunk, R, C, M } = record;
    const { out, book } = target(record, want);
    const bits = new Bits(bytes, payloadError);
    const rowClass = labels(bits, rows, R);
    const columnClass = labels(bits, columns, C);
    const { steps, symbols } = frequencyTables(bits, R, C, record.book.count + 1, M);
    const states = new Int32Array(record.lanes);
    const line = new Uint16Array(columns);
    const bases = Int32Array.from(columnClass, (c) => c << M);
    eachChunk(bytes, bits.pad(), rows, chunk, (own, first, n) => {
      refuse(own.length % 2 || own.length < 4 * record.lanes);
      const code = new Uint16Array(own.length / 2 + 1);
      raw(code).set(own); // and a zero word, which is read where none is left
      for (let k = 0; k < record.lanes; k++) {
        states[k] = code[2 * k] | (code[2 * k + 1] << 16);
        refuse(!code[2 * k + 1]);
      }
      let word = 2 * record.lanes;
      let lane = 0;
      for (let r = 0; r < R; r++) {
        const step = steps.subarray((r * C) << M, ((r + 1) * C) << M);
        const symbol = symbols?.subarray((r * C) << M, ((r + 1) * C) << M);
        for (let row = first; row < first + n; row++) {
          if (rowClass[row] !== r) continue;
          word = rans(line, columns, states, lane, code, word, step, symbol, bases, M);
          lane = (lane + columns) & (record.lanes - 1);
          place(out, row * columns, line, columns, book);
        }
      }
      refuse(word !== code.length - 1);
      for (const x of states) refuse(x !== 65536);
    });
    return out;
  },

  [PLANES](record, bytes, part) {
    const { count, dtype, fields } = record;
    const size = 8 * SIZES[dtype];
    const out = words(SIZES[dtype], count);
    // Words of 32 bits at most; of the two of 8 bytes, the first has the low bits.
    const step = size > 32 ? 2 : 1;
    const view = step > 1 ? new Uint32Array(out.buffer) : out;
    let shift = size;
    fields.forEach((width, k) => {
      shift -= width;
      // Bits up (or down, below 0) to where the field belongs; of floats the lowest bit is the sign.
      const ups = dtype < F16 ? [shift] : shift ? [shift - 1] : [-1, size - 1];
      const plane = part(k, { out: step < 2 && view, width, ups });
      if (plane !== view) joinPlane(view, step, plane, width, ups);
    });
    return out;
  },

  [SCALED]: (record, bytes, part) => scale(record, part),

  [ESCAPE](record, bytes, part) {
    const main = part(0);
    const values = part(1);
    const out = record.mark ? main : words(SIZES[record.dtype], record.count);
    const mark = record.mark ? widen(record.mark, record.dtype, record.dtype)[0] : undefined;
    let k = 0;
    for (let i = 0; i < record.count; i++) {
      if (record.mark ? main[i] !== mark : !main[i]) continue;
      out[i] = values[k++];
      refuse(k > record.values || (!record.mark && !out[i]));
    }
    refuse(k !== record.values);
    return out;
  },

  [LOOKUP](record, bytes, part) {
    const table = part(0);
    // Sums that are too large begin again below the value before.
    for (let k = 1; k < table.length; k++) {
      table[k] += table[k - 1];
      refuse(table[k] <= table[k - 1]);
    }
    const indices = part(1);
    const out = words(SIZES[record.dtype], record.count);
    for (let i = 0; i < record.count; i++) {
      refuse(indices[i] >= table.length);
      out[i] = table[indices[i]];
    }
    return out;
  },
};

/** Calls `decode` with the bytes of each chunk, its first line and the number of its lines. Their sizes are at `table`. */
function eachChunk(bytes, table, lines, chunk, decode) {
  const last = Math.ceil(lines / chunk) - 1;
  let at = table + 4 * last;
  refuse(at > bytes.length);
  for (let i = 0; i <= last; i++) {
    const end = i < last ? at + u32At(bytes, table + 4 * i) : bytes.length;
    refuse(end > bytes.length);
    decode(bytes.subarray(at, end), i * chunk, Math.min(chunk, lines - i * chunk));
    at = end;
  }
}

/** The class of each of `count` lines. */
function labels(bits, count, classes) {
  const width = bitLength(classes - 1);
  refuse(width * count > bits.end);
  const map = new Uint8Array(count);
  if (width) for (let i = 0; i < count; i++) refuse((map[i] = bits.field(width)) >= classes);
  return map;
}

const move = (v, up) => (up < 0 ? v >>> -up : v << up);

/** Where the elements of a codebook go, and their values there: words, numbers if these are wanted, or fields of the words of planes. */
function target({ count, dtype, book }, want) {
  if (want === "numbers") return { out: new Float32Array(count), book: { size: want, table: Float32Array.from(numbers(book.table, dtype)) } };
  const { out, width, ups } = want ?? {};
  if (!out || book.table.some((v) => v >> width)) return { out: words(SIZES[dtype], count), book };
  const table = Int32Array.from(book.table, (v) => ups.reduce((word, up) => word | move(v, up), 0));
  return { out, book: { size: -out.BYTES_PER_ELEMENT, table } };
}

// A loop for each size of words: an engine is quick where a closure meets arrays of one type only.
const PLACE = {};
/** Puts n symbols' values into elements at, at + step, …; those of fields to what is there. */
function place(out, at, symbols, n, { size, table }, step = 1) {
  (PLACE[size] ??=
    size < 0
      ? (out, at, symbols, n, table, step) => {
          for (let i = 0; i < n; i++, at += step) out[at] |= table[symbols[i]];
        }
      : (out, at, symbols, n, table, step) => {
          for (let i = 0; i < n; i++, at += step) out[at] = table[symbols[i]];
        })(out, at, symbols, n, table, step);
}

/** Puts the fields of a plane to words, `step` for each element. */
function joinPlane(out, step, plane, width, ups) {
  let seen = 0;
  for (const up of ups) {
    for (let half = 0; half < step; half++) {
      const here = up - 32 * half;
      if (here < -15 || here > 31) continue;
      for (let i = 0, k = half; i < plane.length; i++, k += step) {
        seen |= plane[i];
        out[k] |= move(plane[i], here);
      }
    }
  }
  refuse(seen >> width);
}

/** Where the live lines or places of a matrix begin. */
function offsets(count, bitmap, step) {
  const out = new Float64Array(count);
  if (!bitmap) for (let i = 0; i < count; i++) out[i] = i * step;
  else for (let i = 0, k = 0; i < bitmap.bits.length; i++) if (bitmap.bits[i]) out[k++] = i * step;
  return out;
}

// -------------------------------------------------------------------------------------------------------- interleaved rANS (6.8)

/**
 * For each slot of each table its frequency − 1 in bits 20 to 31 of `steps`, the distance from the start in 8 to 19, and its symbol in 0 to 7; or
 * in `symbols` where there are too many.
 */
function frequencyTables(bits, R, C, alphabet, M) {
  const slots = 2 ** M;
  const steps = new Int32Array(R * C * slots);
  const symbols = alphabet > 256 ? new Uint16Array(R * C * slots) : undefined;
  const weight = (u) => (u < 8 ? u : (4 + (u % 4)) * 2 ** ((u >> 2) - 1));
  let before = new Uint8Array(alphabet);
  let first = before; // the table of the first class of columns
  for (let t = 0; t < R * C; t++) {
    if (t % C === 0) before = first;
    const levels = new Uint8Array(alphabet);
    let total = 0;
    let used = 0;
    for (let s = 0; s < alphabet; s++) {
      const left = s ? levels[s - 1] : 0;
      const up = before[s];
      const corner = s ? before[s - 1] : 0;
      const code = bits.gamma();
      let level = code - 1;
      if (left || up) {
        const f = Math.min(Math.max(left + up - corner, Math.min(left, up)), Math.max(left, up));
        level = code % 2 ? f - (code - 1) / 2 : f + code / 2;
      }
      refuse(level < 0 || level > 48);
      levels[s] = level;
      total += weight(level);
      if (level) used++;
    }
    refuse(!used);
    let start = t * slots;
    let sum = 0;
    let seen = 0;
    for (let s = 0; s < alphabet; s++) {
      sum += weight(levels[s]);
      if (levels[s]) seen++;
      const end = t * slots + seen + Math.floor(((slots - used) * sum) / total);
      for (let v = start; v < end; v++) {
        steps[v] = ((end - start - 1) << 20) | ((v - start) << 8) | (symbols ? 0 : s);
        if (symbols) symbols[v] = s;
      }
      start = end;
    }
    before = levels;
    if (t % C === 0) first = levels;
  }
  return { steps, symbols };
}

/** One row of symbols. Gives the number of the next word. Without branches that depend on the data, and four lanes side by side. */
function rans(line, n, states, lane, code, word, steps, symbols, bases, M) {
  const slot = (1 << M) - 1;
  const lanes = states.length - 1;
  let i = 0;
  for (const end = symbols || lanes < 3 ? 0 : n - 3; i < end; i += 4) {
    const l1 = (lane + 1) & lanes;
    const l2 = (lane + 2) & lanes;
    const l3 = (lane + 3) & lanes;
    const x0 = states[lane];
    const x1 = states[l1];
    const x2 = states[l2];
    const x3 = states[l3];
    const s0 = steps[bases[i] + (x0 & slot)];
    const s1 = steps[bases[i + 1] + (x1 & slot)];
    const s2 = steps[bases[i + 2] + (x2 & slot)];
    const s3 = steps[bases[i + 3] + (x3 & slot)];
    line[i] = s0 & 255;
    line[i + 1] = s1 & 255;
    line[i + 2] = s2 & 255;
    line[i + 3] = s3 & 255;
    const y0 = Math.imul((s0 >>> 20) + 1, x0 >>> M) + ((s0 >>> 8) & 4095);
    const y1 = Math.imul((s1 >>> 20) + 1, x1 >>> M) + ((s1 >>> 8) & 4095);
    const y2 = Math.imul((s2 >>> 20) + 1, x2 >>> M) + ((s2 >>> 8) & 4095);
    const y3 = Math.imul((s3 >>> 20) + 1, x3 >>> M) + ((s3 >>> 8) & 4095);
    const h0 = ((y0 >>> 16) - 1) >> 31; // −1 where a word follows, else 0
    const h1 = ((y1 >>> 16) - 1) >> 31;
    const h2 = ((y2 >>> 16) - 1) >> 31;
    const h3 = ((y3 >>> 16) - 1) >> 31;
    states[lane] = y0 ^ (((y0 << 16 | code[word]) ^ y0) & h0);
    states[l1] = y1 ^ (((y1 << 16 | code[(word -= h0)]) ^ y1) & h1);
    states[l2] = y2 ^ (((y2 << 16 | code[(word -= h1)]) ^ y2) & h2);
    states[l3] = y3 ^ (((y3 << 16 | code[(word -= h2)]) ^ y3) & h3);
    word -= h3;
    lane = (lane + 4) & lanes;
  }
  for (; i < n; i++) {
    const x = states[lane];
    const at = bases[i] + (x & slot);
    const step = steps[at];
    line[i] = symbols ? symbols[at] : step & 255;
    const y = Math.imul((step >>> 20) + 1, x >>> M) + ((step >>> 8) & 4095);
    states[lane] = y >>> 16 ? y : (y << 16) | code[word++];
    lane = (lane + 1) & lanes;
  }
  return word;
}

// ----------------------------------------------------------------------------------------------------- the adaptive coder (6.6)

const Q = [
  32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514, 65523, 65528, 65531,
  65533, 65534, 65535, 65535, 65536,
];
const EDGE = 3071;
let squash; // of x + EDGE
let stretch;

function adaptiveTables() {
  squash = new Int32Array(2 * EDGE + 1);
  for (let x = 0; x <= EDGE; x++) {
    squash[EDGE + x] = (Q[x >> 7] * (128 - (x & 127)) + Q[(x >> 7) + 1] * (x & 127)) >> 7;
    squash[EDGE - x] = 65536 - squash[EDGE + x];
  }
  squash[EDGE] = Q[0];
  stretch = new Int16Array(4096);
  for (let k = 0, x = -EDGE; k < 4096; k++) {
    while (x < EDGE && squash[EDGE + x + 1] <= 16 * k + 8) x++;
    stretch[k] = x;
  }
}

/** Decides with a probability; `finish` checks that the string is the one that a writer makes. */
function rangeDecoder(bytes) {
  let low = 0;
  let high = 2 ** 32 - 1;
  let at = 0;
  let c = 0;
  const next = () => (c = (c % 2 ** 24) * 256 + (bytes[at++] ?? 0));
  for (let i = 0; i < 4; i++) next();
  return {
    bit(p) {
      const m = low + Math.floor(((high - low) * p) / 65536);
      const bit = c <= m ? 1 : 0;
      if (bit) high = m;
      else low = m + 1;
      while ((low ^ high) >>> 24 === 0) {
        low = (low % 2 ** 24) * 256;
        high = (high % 2 ** 24) * 256 + 255;
        next();
      }
      return bit;
    },
    finish() {
      let w;
      for (let unit = 2 ** 32; ; unit /= 256) {
        w = Math.ceil(low / unit) * unit;
        if (w <= high) break;
      }
      refuse(c !== w || bytes.length > at || (bytes.length && !bytes.at(-1)));
    },
  };
}

/** A model of n inputs, each with a context below `size` at each node: a function that takes the contexts and the node and gives the decision. */
function model(decoder, n, size) {
  // Probability × 256 + count, one bit of it turned: memory of long lines that is zero need not be touched. Of a node when it is first met: a chunk may
  // be one element, all nodes are many megabytes.
  const nodes = [];
  const weights = new Float64Array(n).fill(Math.floor(81920 / n));
  const values = new Int32Array(n);
  let decisions = 0;
  return (contexts, node = 0) => {
    const slots = (nodes[node] ??= new Int32Array(n * size));
    let x = 0;
    for (let i = 0; i < n; i++) {
      const slot = slots[size * i + contexts[i]] ^ (2 ** 29);
      values[i] = slot & 255 ? stretch[slot >>> 18] : 0;
      x += weights[i] * values[i];
    }
    x = Math.max(-EDGE, Math.min(EDGE, Math.floor(x / 65536)));
    const p = Math.max(1, Math.min(65535, squash[EDGE + x]));
    const bit = decoder.bit(p);
    const e = (65536 * bit - p) * (640 + Math.floor(7680 / (1 + Math.floor(decisions++ / 64))));
    for (let i = 0; i < n; i++) {
      const w = weights[i] + Math.floor((values[i] * e + 2 ** 25) / 2 ** 26);
      weights[i] = Math.max(-1048576, Math.min(1048576, w));
      const at = size * i + contexts[i];
      const slot = slots[at] ^ (2 ** 29);
      const count = slot & 255;
      const rate = (131072 / (2 * count + 3)) | 0;
      const P = slot >>> 8;
      const next = bit ? P + Math.floor(((4194303 - P) * rate) / 65536) : P - Math.floor((P * rate) / 65536);
      slots[at] = (next * 256 + Math.min(count + 1, 255)) ^ (2 ** 29);
    }
    return bit;
  };
}

const BUCKETS = [1, 2, 3, 4, 6, 9, 14, 22, 40, 80, 200];
function B(n) {
  let b = 0;
  while (b < 11 && BUCKETS[b] <= n) b++;
  return b;
}
const D = (c, k) => B(Math.floor((64 * (4 * c + 1)) / (4 * k + 2)));

function liveFlags(decoder, count, s) {
  const decide = model(decoder, 3, 81);
  const flags = new Uint8Array(count);
  const f = (j) => (j >= 0 ? flags[j] : 0);
  let ones = 0;
  for (let j = 0; j < count; j++) {
    const r = j % s;
    if (r === 0) ones = 0;
    const near = f(j - s);
    ones += flags[j] = decide([
      4 * f(j - 1) + 2 * f(j - 2) + f(j - 3),
      9 * (2 * f(j - 1) + near) + f(j - 1) + f(j - 2) + f(j - 3) + f(j - 4) + near + f(j - s - 1) + (s > 1 ? f(j - s + 1) : 0) + f(j - 2 * s),
      9 * Math.min(B(r), 8) + Math.min(B(ones), 8),
    ]);
  }
  return flags;
}

const kindOfSize = (x) => x && (x > 0 ? 1 : 9) + Math.min(B(Math.abs(x) - 1), 7);

/** Decodes L lines of N symbols into `line`, one after the other, from line `first` on, and calls `emit` with the number of each. */
function adaptiveChunk(bytes, L, N, record, line, first, [lineClass, placeClass], emit) {
  if (!squash) adaptiveTables();
  const { book, byColumns, light, noZeros, stride, R, dtype } = record;
  const decoder = rangeDecoder(bytes);
  const livePlaces = noZeros ? undefined : liveFlags(decoder, N, byColumns ? 1 : stride);
  const liveLines = noZeros ? undefined : liveFlags(decoder, L, byColumns ? stride : 1);
  const s = byColumns ? 1 : stride;

  // Symbols by sign and rank. Values ascend as unsigned numbers, so those of sign 0 come first.
  const { table, count } = book;
  const top = 2 ** (8 * table.BYTES_PER_ELEMENT - 1);
  const V = [0, 0];
  for (let v = 1; v <= count; v++) V[table[v] >= top ? 1 : 0]++;
  const levelOf = new Uint8Array(count + 1);
  const kindOf = new Uint8Array(count + 1);
  const sizeOf = new Int16Array(count + 1);
  const reversed = R && dtype <= I64 && dtype % 2 === 0;
  for (let v = 1; v <= count; v++) {
    const sign = v > V[0] ? 1 : 0;
    const rank = v - 1 - (sign && V[0]);
    sizeOf[v] = sign ? -rank - 1 : rank + 1;
    levelOf[v] = (R ? !rank : 3 * rank < V[sign]) ? 1 : 2;
    kindOf[v] = R ? kindOfSize(sizeOf[v]) : 1 + 8 * sign + Math.floor((8 * rank) / Math.max(V[sign], 8));
  }
  // All contexts of a node have as much room as the largest one needs.
  const zeroFlags = model(decoder, (light ? 3 : 9) + (R ? 2 : 0), Math.max(N, 432));
  const values = model(decoder, (light ? 3 : 6) + (R ? 4 : 0), R ? 289 : 63);

  // What is known of places, with room on both sides so that nothing outside of the line has to be asked for.
  const pad = Math.max(2 * s, 3);
  const size = N + 2 * pad;
  let [now, up, upper] = Array.from({ length: 3 }, () => new Uint16Array(size)); // symbols, in the order of the coder
  const counts = new Int32Array(size);
  const lastLine = new Int32Array(N);
  let above = 0; // live lines before

  const zeroFlag = (j, at, m, i, z, pair) => {
    const level = (d) => levelOf[now[at - d]];
    const l1 = level(1);
    const ls = level(s);
    const a0 = counts[at];
    const contexts = [27 * l1 + 9 * level(2) + 3 * level(3) + ls, 12 * D(a0, above) + D(m, i), j];
    if (!light) {
      const b0 = B(a0);
      const far = counts[at - s] + counts[at + s];
      const w =
        !!l1 + !!now[at - 2] + !!ls + !!now[at - s - 1] + !!now[at - s + 1] + !!up[at] + !!up[at - 1] + !!up[at + 1] + !!upper[at];
      contexts.push(
        0,
        20 * B(far + counts[at - 1] + counts[at + 1]) + 2 * w + !!l1,
        36 * B(far) + 3 * b0 + ls,
        12 * B(m) + B(i),
        3 * B(z) + l1,
        12 * (a0 ? B(above - lastLine[j]) : 11) + b0,
      );
    }
    if (R) contexts.push(17 * kindOf[now[at - 1]] + kindOf[now[at - 2]], pair);
    return zeroFlags(contexts);
  };

  const value = (at, pair) => {
    const near = [1, s, s - 1, 2, s + 1, 2 * s].map((d) => kindOf[now[at - d]]);
    let C = 0;
    let G = 0;
    for (const k of near) {
      if (k) C++;
      if (k) G += k > 8 ? 1 : -1;
    }
    const contexts = [near[0], near[1], 0];
    if (!light) contexts.push(kindOf[up[at]], near[2], 7 * (Math.max(-4, Math.min(4, G)) + 4) + C);
    if (R) contexts.push(17 * near[0] + near[3], 17 * near[1] + near[5], kindOfSize(2 * sizeOf[now[at - 1]] - sizeOf[now[at - 2]]), pair);
    const decide = (y) => values(contexts, y);
    const sign = V[0] && V[1] ? decide(0) : V[0] ? 0 : 1;
    let rank = 0;
    let q = 1;
    for (let b = bitLength(V[sign] - 1) - 1; b >= 0; b--) {
      const bit = rank + 2 ** b < V[sign] ? decide(2 * q + sign) : 0;
      rank += bit * 2 ** b;
      q = 2 * q + bit;
    }
    return 1 + rank + (sign && V[0]);
  };

  for (let l = first; l < first + L; l++) {
    line.fill(0);
    if (noZeros || liveLines[l - first]) {
      now.fill(0);
      let m = 0;
      let i = 0;
      let z = 0;
      for (let j = 0, at = pad; j < N; j++, at++) {
        if (!noZeros && !livePlaces[j]) continue;
        const pair = R && lineClass[l] + placeClass[j];
        if (noZeros || zeroFlag(j, at, m, i, z, pair)) {
          const v = (now[at] = value(at, pair));
          line[j] = reversed && v > V[0] ? count + 1 + V[0] - v : v;
          counts[at]++;
          lastLine[j] = above + 1;
          m++;
          z = 0;
        } else z++;
        i++;
      }
      refuse(!m);
      above++;
      [now, up, upper] = [upper, now, up];
    }
    emit(l);
  }
  for (let j = 0; j < N; j++) refuse(!noZeros && livePlaces[j] && !counts[pad + j]);
  decoder.finish();
}

// --------------------------------------------------------------------------------------------------------- levels and scales (5.8)

/** The bits of a number of float32, rounded to F16 (to nearest, ties to even). */
function toHalf(bits) {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x33000000) return sign; // below half of the least subnormal number
  const exponent = magnitude >>> 23;
  const shift = exponent < 113 ? 126 - exponent : 13;
  const mantissa = exponent < 113 ? (magnitude & 0x7fffff) | 0x800000 : magnitude - 0x38000000;
  const rest = mantissa & ((1 << shift) - 1);
  const point = 1 << (shift - 1);
  const down = mantissa >>> shift;
  return sign | (down + (rest > point || (rest === point && down & 1) ? 1 : 0));
}
const toBfloat = (bits) => ((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);

const APPLY = {
  "*": (row, j, end, f) => {
    for (; j < end; j++) row[j] *= f;
  },
  "-": (row, j, end, f) => {
    for (; j < end; j++) row[j] -= f;
  },
  "+": (row, j, end, f) => {
    for (; j < end; j++) row[j] += f;
  },
};

function scale(record, part) {
  const { dtype, shape, blocks, operations, each, count } = record;
  const parts = record.parts.map((p, i) => numbers(part(i, !i && dtype !== F64 && "numbers"), p.dtype));
  const rank = shape.length;
  const n = rank ? shape[rank - 1] : 1;
  const levels = parts[0];
  // Levels that are float32 already, and nobody else's, become the result.
  const out = dtype === F32 && levels instanceof Float32Array ? new Uint32Array(levels.buffer) : words(SIZES[dtype], count);
  // Numbers of the dtype that is computed in, which round what is put there: all elements where that is the dtype, else a row.
  const whole = dtype > BF16;
  const row = whole ? new VIEWS[dtype](out.buffer) : new Float32Array(n);
  const round = dtype === F16 ? toHalf : toBfloat;
  const shorten = (from) => {
    const bits = new Uint32Array(from.buffer);
    for (let j = 0; j < bits.length; j++) bits[j] = dtype === BF16 ? toBfloat(bits[j]) << 16 : floatBits(half(toHalf(bits[j])));
  };
  const factors = operations.map((operation, k) => {
    const shapeOf = shape.map((d, i) => Math.ceil(d / blocks[k][i]));
    const values = row.constructor.from(parts[k + 1]);
    if (each) shorten(values);
    const strides = shapeOf.map((_, i) => shapeOf.slice(i + 1).reduce((a, b) => a * b, 1));
    return { operation, values, blocks: blocks[k], strides, block: rank ? blocks[k][rank - 1] : 1 };
  });
  const at = new Array(rank).fill(0);
  if (whole && levels.buffer !== row.buffer) row.set(levels);
  for (let start = 0; start < count; start += n) {
    const base = whole ? start : 0;
    if (!whole) row.set(levels.subarray(start, start + n));
    if (each) shorten(row);
    for (const { operation, values, blocks: b, strides, block } of factors) {
      let index = 0;
      for (let d = 0; d < rank - 1; d++) index += Math.floor(at[d] / b[d]) * strides[d];
      for (let j = base; j < base + n; j += block) APPLY[operation](row, j, Math.min(j + block, base + n), values[index++]);
      if (each) shorten(row);
    }
    if (!whole) for (let j = 0; j < n; j++) out[start + j] = round(floatBits(row[j]));
    for (let d = rank - 2; d >= 0 && ++at[d] === shape[d]; d--) at[d] = 0;
  }
  const nan = { [F32]: 0x7fc00000, [F64]: 0x7ff8n << 48n }[dtype];
  if (nan) for (let i = 0; i < count; i++) if (row[i] !== row[i]) out[i] = nan;
  return out;
}

// ---------------------------------------------------------------------------------------------------------------------- reading

/**
 * Elements as words of a record or part, whose payloads `payload` gives, with their CRCs checked. For planes, those of the
 * payload will do, or fields in the words of `want`; where "numbers" are wanted, a Float32Array of numbers.
 */
function decode(record, payload, want) {
  if (record.unknown && !record.parts) throw new SwsError("unknown-coding", "unknown coding");
  return DECODERS[record.coding](record, record.parts ? undefined : payload(record), (i, w) => decode(record.parts[i], payload, w), want);
}

function tensorOf(entry, elements) {
  const { dtype } = entry.record;
  const data = dtype in VIEWS ? new VIEWS[dtype](elements.buffer) : elements;
  return { name: entry.name, dtype: entry.dtype, shape: entry.shape, data };
}

class File {
  constructor(bytes, options = {}, whole) {
    const place = prefixLength(bytes);
    if (!place || bytes.length < place.end) throw new SwsError("truncated", "the file ends too early", bytes.length);
    if (crc32(bytes.subarray(0, place.end - 4)) !== u32At(bytes, place.end - 4)) {
      throw new SwsError("checksum", "damaged: another CRC-32", place.end - 4);
    }
    const parser = new Parser(bytes, place.start, place.end - 4);
    const { metadata, tensors } = parser.index();
    this.metadata = metadata;
    this.prefix = place.end;
    this.size = parser.position;
    this.limit = options.limit ?? 2 ** 32;
    this.entries = tensors.map((record) => {
      const own = record.target ?? record;
      const unknown = own.unknown;
      return {
        name: record.name,
        coding: CODINGS[own.coding] ?? own.coding,
        dtype: DTYPES[own.dtype] ?? own.dtype,
        shape: own.shape,
        bytes: unknown ? undefined : own.count * SIZES[own.dtype],
        alias: record.target?.name,
        start: own.start,
        end: own.end,
        record: own,
      };
    });
    for (const e of this.entries) Object.defineProperty(e, "record", { enumerable: false });
    this.names = new Map(this.entries.map((e) => [e.name, e]));
    if (whole && bytes.length !== this.size) throw new SwsError("truncated", "the file has another size", bytes.length);
    this.file = bytes;
  }

  get(name) {
    const { start, end } = this.entry(name);
    return this.decode(name, this.file.subarray(start, end));
  }

  /** All tensors of known codings by name; aliases share their data. */
  load() {
    const known = this.entries.filter((e) => !e.record.unknown);
    const total = known.reduce((sum, e) => sum + (e.alias === undefined ? e.bytes : 0), 0);
    if (total > this.limit) throw limitError();
    const tensors = new Map();
    for (const e of known) tensors.set(e.name, e.alias === undefined ? this.get(e.name) : { ...tensors.get(e.alias), name: e.name });
    return tensors;
  }

  entry(name) {
    const entry = this.names.get(name);
    if (!entry) throw new SwsError("no-tensor", `no tensor ${JSON.stringify(name)}`, undefined, name);
    return entry;
  }

  /** The tensor of a name, from bytes `start` to `end` of the file. */
  decode(name, bytes) {
    const entry = this.entry(name);
    const { record } = entry;
    try {
      if (!record.unknown && entry.bytes > this.limit) throw limitError();
      if (bytes.length !== entry.end - entry.start) throw new SwsError("truncated", "the file ends too early");
      const payload = (leaf) => {
        if (leaf.inline) return leaf.inline;
        const from = leaf.place - entry.start;
        const part = bytes.subarray(from, from + leaf.length);
        if (crc32(part) !== leaf.crc) throw new SwsError("checksum", "damaged: another CRC-32", leaf.place);
        return part;
      };
      if (record.unknown && record.parts) throw new SwsError("unknown-coding", "unknown coding");
      return tensorOf(entry, decode(record, payload));
    } catch (error) {
      const told = error instanceof SwsError ? error : limitError(undefined, error.message);
      throw new SwsError(told.kind, `tensor ${JSON.stringify(name)}: ${told.message}`, told.offset ?? record.place ?? record.start, name);
    }
  }
}

const toBytes = (source) => (source instanceof ArrayBuffer ? new Uint8Array(source) : raw(source));

/** The index alone, from bytes that begin as the file does and hold at least its prefix. */
export const readIndex = (bytes, options) => new File(toBytes(bytes), options);

/** A whole file. */
export const read = (bytes, options) => new File(toBytes(bytes), options, true);

/** Bytes of an iterable of Uint8Array, gathered in one buffer: an engine frees late what is dropped. */
class Feed {
  constructor(source) {
    const reader = source.getReader?.();
    this.iterator = reader ? { next: () => reader.read(), return: () => reader.cancel() } : (source[Symbol.asyncIterator] ?? source[Symbol.iterator]).call(source);
    this.rest = this.buffer = new Uint8Array();
    this.at = 0;
  }
  /** The next n bytes, or as many as there are, behind `have` that are in the buffer. The next call writes over them. `most`: a usual length. */
  async take(n, have = 0, most = n) {
    while (have < n) {
      if (!this.rest.length) {
        const { value, done } = await this.iterator.next();
        if (done) break;
        this.rest = toBytes(value);
      }
      if (have === this.buffer.length) {
        // What a file says alone takes no more than this.
        const larger = new Uint8Array(Math.max(Math.min(n, 2 * have), Math.min(most, 2 ** 26)));
        larger.set(this.buffer);
        this.buffer = larger;
      }
      const piece = this.rest.subarray(0, Math.min(n, this.buffer.length) - have);
      this.buffer.set(piece, have);
      have += piece.length;
      this.at += piece.length;
      this.rest = this.rest.subarray(piece.length);
    }
    return this.buffer.subarray(0, have);
  }
}

/**
 * Tensors one after the other while the bytes come in. An alias comes right after its tensor, with the same data, so that nothing has to be
 * kept. A tensor that cannot be read comes as {name, error}, and those behind it still come; the end of the file is checked too.
 */
export async function* stream(source, options = {}) {
  const feed = new Feed(source);
  try {
    const head = await feed.take(19);
    const place = prefixLength(head);
    // Which says so where that is too little. Payloads in the index stay.
    const index = new File((place ? await feed.take(place.end, head.length) : head).slice(), options);
    options.onIndex?.(index);
    const largest = index.entries.reduce((most, e) => Math.max(most, e.end - e.start), 0);
    const aliases = new Map();
    for (const e of index.entries) if (e.alias !== undefined) aliases.set(e.alias, [...(aliases.get(e.alias) ?? []), e.name]);
    for (const e of index.entries) {
      if (e.alias !== undefined) continue;
      const n = e.end - e.start;
      const bytes = await feed.take(n, 0, largest);
      if (bytes.length < n) throw new SwsError("truncated", "the file ends too early", feed.at, e.name);
      let tensor;
      try {
        tensor = index.decode(e.name, bytes);
      } catch (error) {
        if (options.skipErrors) tensor = { name: e.name, error };
        else throw error;
      }
      yield tensor;
      for (const name of aliases.get(e.name) ?? []) yield { ...tensor, name };
    }
    if ((await feed.take(1)).length) throw new SwsError("truncated", "the file has another size", feed.at - 1);
  } finally {
    await feed.iterator.return?.();
  }
}

/** Numbers of a tensor as a Float32Array (F64 is rounded; 64-bit integers too). Complex dtypes and F4_X2 have none. */
export function toFloat32(tensor) {
  const dtype = DTYPES.indexOf(tensor.dtype);
  if ((dtype >= 13 && dtype <= 15) || dtype === 21 || dtype < 0) throw new SwsError("dtype", `${tensor.dtype} has no numbers of float32`, undefined, tensor.name);
  const { data } = tensor;
  return dtype === F32 ? data : Float32Array.from(numbers(data, dtype), Number);
}
