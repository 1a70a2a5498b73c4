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
const LIMITS = { index: 2 ** 28, records: 2 ** 20, name: 2 ** 16 - 1, names: 2 ** 24, rank: 64, bitmaps: 2 ** 26, symbols: 2 ** 23 };
const BLOCK = 4096;

const indexError = (message, offset) => new SwsError("index", message, offset);
const payloadError = (message) => new SwsError("payload", message);
const limitError = (message, offset) => new SwsError("limit", message, offset);
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
      if (i && !byte) throw indexError("a number that is not written in the fewest bytes", at);
      return [value, i + 1];
    }
  }
  throw indexError("a number of 2^63 or more", at);
}

/** The index, byte by byte. */
class Bytes {
  constructor(bytes, at, end) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }
  need(n) {
    if (n > this.end - this.at) throw indexError("the index ends too early", this.at);
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
    if (!pair) throw indexError("the index ends too early", this.at);
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
    if (n >= count) throw indexError(`${what} ${n} is not there`, this.at);
    return n;
  }
  width() {
    const w = this.u8();
    if (w < 1 || w > 32) throw indexError("a width that is not 1 to 32", this.at - 1);
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
    if (this.at >= this.end) throw this.fail("bits end too early");
    return (this.bytes[this.at >>> 3] >>> (this.at++ & 7)) & 1;
  }
  field(width) {
    if (width > this.end - this.at) throw this.fail("bits end too early");
    let value = 0;
    for (let done = 0; done < width; ) {
      const shift = this.at & 7;
      const n = Math.min(8 - shift, width - done);
      value += ((this.bytes[Math.floor(this.at / 8)] >>> shift) & ((1 << n) - 1)) * 2 ** done;
      done += n;
      this.at += n;
    }
    return value;
  }
  gamma() {
    let z = 0;
    while (!this.bit()) if (++z > 32) throw this.fail("a gamma code of more than 32 zeros");
    return 2 ** z + this.field(z);
  }
  /** Steps over zero bits up to the next byte, and gives the number of bytes so far. */
  pad() {
    if (this.field(-this.at & 7)) throw this.fail("padding bits that are not zero");
    return this.at / 8;
  }
}

// -------------------------------------------------------------------------------------------------- numbers of dtypes (3.2, 5.8)

/** The words that elements are handled in: of 8, 16 or 32 bits, several of these for 8 and 16 bytes. */
const words = (size, count) => new (size === 1 ? Uint8Array : size === 2 ? Uint16Array : Uint32Array)(size > 4 ? (size / 4) * count : count);
const raw = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);
const float32 = (bits) => ((scratchBits[0] = bits), scratch[0]);
const floatBits = (number) => ((scratch[0] = number), scratchBits[0]);
/** A float of few bits: exponent and mantissa bits and bias; NaN and infinities are the caller's. */
const small = (bits, mantissa, exponentMask, bias, sign) => {
  const e = (bits >>> mantissa) & exponentMask;
  const m = bits & ((1 << mantissa) - 1);
  const value = e ? (1 + m / 2 ** mantissa) * 2 ** (e - bias) : (m / 2 ** mantissa) * 2 ** (1 - bias);
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
  const table = array.length > 70000 && SIZES[dtype] === 2 ? Float32Array.from({ length: 65536 }, (_, i) => convert(i)) : undefined;
  const out = new Float32Array(array.length);
  if (table) for (let i = 0; i < out.length; i++) out[i] = table[array[i]];
  else for (let i = 0; i < out.length; i++) out[i] = convert(array[i]);
  return out;
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
    for (let i = 0; i < from.length; i++) if (from[i] !== from[i]) throw fail("a NaN in narrower storage");
    new VIEWS[dtype](out.buffer).set(from);
  } else if (SIZES[dtype] < 8) out.set(from);
  else {
    for (let i = 0; i < from.length; i++) {
      out[2 * i] = from[i];
      out[2 * i + 1] = from[i] < 0 ? -1 : 0;
    }
  }
  return out;
}

// ------------------------------------------------------------------------------------------------------------- the index (2 to 6)

/** Where index and prefix end, from the first 19 bytes or fewer; undefined where these are too few. `more`: there may come others. */
function prefixLength(bytes, more) {
  for (let i = 0; i < 8; i++) {
    if (bytes[i] === SIGNATURE[i]) continue;
    if (bytes[i] === undefined && more) return undefined;
    throw new SwsError("not-sws", "this is no .sws file: it has another signature", 0);
  }
  if (bytes.length < 9) return undefined;
  if (bytes[8] === 0) throw indexError("version 0 of the format, which there is not", 8);
  if (bytes[8] !== 1) throw new SwsError("version", `version ${bytes[8]} of the format; this reader knows version 1`, 8);
  const pair = bytes.length < 10 ? undefined : varintAt(bytes, 10);
  if (!pair) return undefined;
  if (pair[0] > LIMITS.index) throw limitError(`an index of ${pair[0]} bytes`, 10);
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

  text(bytes, at) {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw indexError("text that is not valid UTF-8", at);
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
      const at = input.at;
      const key = this.string();
      if (last && compareBytes(last, key) >= 0) throw indexError("metadata keys that do not ascend", at);
      last = key;
      metadata.set(this.text(key, at), this.text(this.string(), at));
    }
    for (let n = input.varint(); n > 0; n--) this.codebooks.push(this.codebook());
    const tensors = [];
    const names = new Map();
    const suffixes = [];
    let name = new Uint8Array(0);
    let total = 0;
    for (let n = input.varint(), i = 0; i < n; i++) {
      const at = input.at;
      const shared = input.varint();
      if (shared > name.length) throw indexError("a prefix that is longer than the name before", at);
      const s = input.varint();
      let suffix;
      if (s % 2) {
        if ((s + 1) / 2 > i) throw indexError("the suffix of a record that is not there", at);
        suffix = suffixes[i - (s + 1) / 2];
      } else suffix = input.take(s / 2);
      if (shared + suffix.length > LIMITS.name) throw limitError("a name that is too long", at);
      if ((total += shared + suffix.length) > LIMITS.names) throw limitError("names that are too long together", at);
      const joined = new Uint8Array(shared + suffix.length);
      joined.set(name.subarray(0, shared));
      joined.set(suffix, shared);
      name = joined;
      suffixes.push(suffix);
      const tensor = { name: this.text(name, at), at };
      if (names.has(tensor.name)) throw indexError("a name that an earlier record has", at);
      names.set(tensor.name, i);
      this.record(tensor, tensors);
      tensors.push(tensor);
    }
    if (input.at !== input.end) throw indexError("the index goes on after its last record", input.at);
    return { metadata, tensors };
  }

  /** Section 3.1: the words of all symbols, the zero of symbol 0 included. */
  codebook() {
    const { input } = this;
    const at = input.at;
    const dtype = input.u8();
    const storage = input.u8();
    const size = SIZES[dtype];
    if (!size || size > 8) throw indexError("a codebook of a dtype that can have none", at);
    if (storage !== dtype && !mayNarrow(dtype, storage)) throw indexError("a storage type that the dtype does not allow", at);
    const count = input.varint();
    if (count < 1 || count > 4095) throw indexError("a codebook whose count is not 1 to 4095", at);
    const values = widen(input.take(count * SIZES[storage]), storage, dtype, (m) => indexError(m, at));
    const table = words(size, count + 1);
    const wide = size === 8 ? 2 : 1;
    table.set(values, wide);
    for (let i = 1; i <= count; i++) {
      const ascends =
        wide === 1 ? table[i] > table[i - 1]
        : table[2 * i + 1] > table[2 * i - 1] || (table[2 * i + 1] === table[2 * i - 1] && table[2 * i] > table[2 * i - 2]);
      if (!ascends) throw indexError("values of a codebook that do not ascend", at);
    }
    if (dtype === BOOL && (count > 1 || table[1] !== 1)) throw indexError("a codebook of BOOL with another value than 1", at);
    return { dtype, size, table, count };
  }

  /** Section 4, from the head on. */
  record(tensor, tensors) {
    const { input } = this;
    const at = input.at;
    const head = input.u8();
    this.coding(tensor, head, at);
    if (tensor.coding === ALIAS) {
      if (head >> 4) throw indexError("an alias with a rank or dtype", at);
      const target = tensors[input.reference(tensors.length, "tensor")];
      if (target.coding === ALIAS) throw indexError("an alias of an alias", at);
      tensor.target = target;
      this.count(at);
      return;
    }
    if (head & 128) this.dtype = input.u8();
    tensor.dtype = this.dtype;
    let rank = (head >> 4) & 7;
    if (rank === 7) {
      rank = input.varint();
      if (rank < 7) throw indexError("a rank that is not written in the head", at);
      if (rank > LIMITS.rank) throw indexError(`a tensor of rank ${rank}`, at);
    }
    tensor.shape = [];
    for (let i = 0; i < rank; i++) {
      const d = input.big();
      tensor.shape.push(d > Number.MAX_SAFE_INTEGER ? d : Number(d));
    }
    tensor.start = this.position;
    this.body(tensor, 0, at);
    tensor.end = this.position;
  }

  part(usual, shape, depth) {
    const { input } = this;
    const at = input.at;
    const head = input.u8();
    const part = { shape, dtype: usual };
    if (head & 0x70) throw indexError("a part with a rank", at);
    this.coding(part, head, at);
    if (part.coding === ALIAS) throw indexError("a part that is an alias", at);
    if (head & 128 && (part.dtype = input.u8()) === usual) throw indexError("a part whose usual dtype is written", at);
    if (depth > 4) throw indexError("parts that are more than 4 deep", at);
    this.body(part, depth, at);
    return part;
  }

  count(at) {
    if (++this.records > LIMITS.records) throw limitError("more records than 2^20", at);
  }

  coding(record, head, at) {
    record.coding = head & 15;
    if (record.coding === 15 && (record.coding = this.input.varint()) < 15) throw indexError("a coding that is not written in the head", at);
  }

  /** Dtype and shape are known: what follows in a record or part. */
  body(record, depth, at) {
    const { input } = this;
    this.count(at);
    const { coding, dtype, shape } = record;
    const size = SIZES[dtype];
    const unknown = coding > LOOKUP;
    if (!size && !unknown) throw indexError(`dtype ${dtype} is not known`, at);
    let product = 1n;
    let empty = false;
    for (const d of shape) d ? (product *= BigInt(d)) : (empty = true);
    if (size && product * BigInt(size) >= 2n ** 63n) throw indexError("a tensor of 2^63 bytes or more", at);
    record.count = empty ? 0 : Number(product);
    if (empty && coding !== RAW && !unknown) throw indexError("a tensor without elements that is not raw", at);
    record.rows = shape.length ? Number(shape[0]) : 1;
    record.columns = record.count / record.rows || 0;
    let length;
    if (unknown) {
      input.take(input.varint());
      record.unknown = true;
    } else if (coding === RAW) length = record.count * size;
    else if (coding === NARROW) {
      record.storage = input.u8();
      if (!mayNarrow(dtype, record.storage)) throw indexError("a storage type that the dtype does not allow", at);
      length = record.count * SIZES[record.storage];
    } else length = this[CODINGS[coding]](record, depth, at);
    if (record.parts) {
      record.unknown = record.parts.some((p) => p.unknown);
      return;
    }
    record.length = length ?? input.varint();
    if (record.length >= 256) {
      record.crc = u32At(input.take(4), 0);
      record.start = this.position;
      this.position += record.length;
    } else {
      record.start = input.at;
      record.inline = input.take(record.length);
    }
  }

  book(record, at) {
    const book = this.codebooks[this.input.reference(this.codebooks.length, "codebook")];
    if (book.dtype !== record.dtype) throw indexError("a codebook of another dtype", at);
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
  symbols(kind, alphabet, number, bits, at) {
    if (kind === 0) return { alphabet, width: bitLength(alphabet - 1) };
    if (kind === 2) {
      const table = this.tables[number];
      if (!table) throw indexError(`code table ${number} is not there`, at);
      if (table.alphabet !== alphabet) throw indexError("a code table of another alphabet", at);
      return table;
    }
    if ((this.tableSymbols += alphabet) > LIMITS.symbols) throw limitError("code tables that are too large together", at);
    const table = codeTable(bits, alphabet);
    this.tables.push(table);
    return table;
  }

  dense(record, depth, at) {
    const { input } = this;
    this.book(record, at);
    const layout = input.u8();
    const kind = layout & 3;
    const chunk = layout >> 4;
    if (kind === 3 || layout & 12) throw indexError("a reserved layout", at);
    const number = kind === 2 ? input.varint() : 0;
    if (chunk) {
      if (kind === 0) throw indexError("chunks of symbols of a fixed width", at);
      if (record.count <= 2 ** (chunk + 9)) throw indexError("a chunk table for one chunk", at);
      record.width = input.width();
    }
    record.chunk = chunk ? 2 ** (chunk + 9) : 0;
    const alphabet = record.book.count + 1;
    if (kind === 1) this.packed((bits) => (record.code = this.symbols(kind, alphabet, number, bits, at)));
    else record.code = this.symbols(kind, alphabet, number, undefined, at);
  }

  sparse(record, depth, at) {
    const { input } = this;
    if (SIZES[record.dtype] > 8) throw indexError("a sparse tensor of elements of 16 bytes", at);
    const n = (record.entries = input.varint());
    if (n > record.count) throw indexError("more entries than elements", at);
    if (!n) return 0;
    this.book(record, at);
    const layout = input.u8() + input.u8() * 256;
    record.byColumns = layout & 1;
    record.lineEnds = (layout >> 1) & 1;
    const gapKind = (layout >> 2) & 3;
    const valueKind = (layout >> 4) & 3;
    const rowKind = (layout >> 6) & 7;
    const columnKind = (layout >> 9) & 7;
    const pbits = layout >> 12;
    if (gapKind === 3 || valueKind === 3 || rowKind === 7 || columnKind === 7) throw indexError("a reserved kind", at);
    if (pbits < 1 || pbits > 12) throw indexError("pbits that are not 1 to 12", at);
    const chunk = n >= 4096 ? input.u8() : 0;
    if (chunk > 15) throw indexError("a chunk code above 15", at);
    if (chunk && record.lineEnds) throw indexError("chunks with line ends", at);
    if (chunk && n <= 2 ** (chunk + 9)) throw indexError("a chunk table for one chunk", at);
    record.chunk = chunk ? 2 ** (chunk + 9) : 0;
    const gapTable = gapKind === 2 ? input.varint() : 0;
    const valueTable = valueKind === 2 ? input.varint() : 0;
    const rowArgument = rowKind >= 3 ? input.varint() : 0;
    const columnArgument = columnKind >= 3 ? input.varint() : 0;
    if (record.lineEnds) record.width = input.width();
    if (chunk) {
      record.widths = [input.width(), input.u8(), 0];
      if (record.widths[1] > 32 || !record.widths[1] !== !valueKind) throw indexError("a value width that does not fit", at);
      record.widths[2] = input.width();
    }
    this.packed((bits) => {
      record.liveRows = this.bitmap(rowKind, record.rows, rowArgument, bits, at);
      record.liveColumns = this.bitmap(columnKind, record.columns, columnArgument, bits, at);
      record.gaps = this.symbols(gapKind, 2 ** pbits, gapTable, bits, at);
      record.values = this.symbols(valueKind, record.book.count, valueTable, bits, at);
    });
    if (record.gaps.one === 2 ** pbits - 1) throw indexError("gaps that are skips alone", at);
    record.R = record.liveRows ? record.liveRows.live : record.rows;
    record.C = record.liveColumns ? record.liveColumns.live : record.columns;
    if (n > record.R * record.C) throw indexError("more entries than live places", at);
  }

  /** Section 6.5: {bits, live}, or undefined where all are live. */
  bitmap(kind, length, argument, bits, at) {
    if (kind === 0) return undefined;
    if ((this.bitmapLengths += length) > LIMITS.bitmaps) throw limitError("bitmaps that are too long together", at);
    const map = new Uint8Array(length);
    if (kind === 1) for (let i = 0; i < length; i++) map[i] = bits.bit();
    else if (kind === 2) runs(bits, map, length);
    else if (kind === 3) {
      if (argument < 1 || argument >= length) throw indexError("a stride that is not below the length", at);
      runs(bits, map, length);
      for (let i = argument; i < length; i++) map[i] ^= map[i - argument];
    } else {
      const earlier = this.bitmaps[argument];
      if (!earlier) throw indexError(`bitmap ${argument} is not there`, at);
      const stretch = length / earlier.bits.length;
      if (stretch !== Math.floor(stretch)) throw indexError("a bitmap whose length does not divide", at);
      for (let i = 0; i < length; i++) map[i] = earlier.bits[Math.floor(i / stretch)];
      if (kind > 4) {
        const mask = new Uint8Array(earlier.live * stretch);
        if (kind === 5) for (let i = 0; i < mask.length; i++) mask[i] = bits.bit();
        else runs(bits, mask, mask.length);
        for (let i = 0, k = 0; i < length; i++) if (map[i]) map[i] = mask[k++];
      }
    }
    let live = 0;
    for (let i = 0; i < length; i++) live += map[i];
    if (!live) throw indexError("a bitmap without a live bit", at);
    const bitmap = { bits: map, live };
    this.bitmaps.push(bitmap);
    return bitmap;
  }

  adaptive(record, depth, at) {
    const { input } = this;
    this.book(record, at);
    const layout = input.u8();
    if (layout >> 5) throw indexError("a reserved layout", at);
    record.byColumns = layout & 1;
    record.light = (layout >> 1) & 1;
    record.noZeros = (layout >> 2) & 1;
    record.stride = layout & 8 ? input.varint() : 1;
    if (layout & 8 && (record.stride < 2 || record.stride > 65536)) throw indexError("a stride that is not 2 to 2^16", at);
    const lines = record.byColumns ? record.columns : record.rows;
    if (record.count / lines > 2 ** 22) throw indexError("lines of more than 2^22 elements", at);
    record.chunk = this.chunkLines(layout & 16, lines, at);
  }

  chunkLines(given, lines, at) {
    const chunk = given ? this.input.varint() : lines;
    if (given && (chunk < 1 || chunk >= lines)) throw indexError("chunks of a number of lines that does not fit", at);
    if (chunk > 2 ** 31) throw indexError("chunks of more than 2^31 lines", at);
    return chunk;
  }

  classes(record, depth, at) {
    const { input } = this;
    this.book(record, at);
    if (record.book.count > 1023) throw indexError("a codebook of more than 1023 values", at);
    const layout = input.u8();
    record.lanes = 1 << (layout & 7);
    if (layout >> 4 || record.lanes > 64) throw indexError("a reserved layout", at);
    const classes = input.u8();
    record.R = (classes & 7) + 1;
    record.C = ((classes >> 3) & 7) + 1;
    record.M = 12 - (classes >> 6);
    if (record.M < 10) throw indexError("frequencies of 9 bits", at);
    if (record.R > record.rows || record.C > record.columns) throw indexError("more classes than lines", at);
    record.chunk = this.chunkLines(layout & 8, record.rows, at);
  }

  planes(record, depth, at) {
    const { dtype, shape } = record;
    if (SIZES[dtype] < 2 || dtype < U16 || dtype > F64) throw indexError("planes of a dtype that has none", at);
    record.parts = [];
    for (let i = 0; i < SIZES[dtype]; i++) record.parts.push(this.only(U8, shape, depth, at));
  }

  /** A part that has its usual dtype. */
  only(dtype, shape, depth, at) {
    const part = this.part(dtype, shape, depth + 1);
    if (part.dtype !== dtype) throw indexError("a part of another dtype than it must have", at);
    return part;
  }

  scaled(record, depth, at) {
    const { input } = this;
    const { dtype, shape } = record;
    if (dtype < F16 || dtype > F64) throw indexError("a scaled tensor of a dtype that can be none", at);
    const form = input.u8();
    const shift = (form >> 1) & 3;
    if (form >> 4 || shift === 3 || (form & 8 && dtype > BF16)) throw indexError("a reserved form", at);
    record.each = form & 8;
    record.operations = [...(shift === 1 ? "-" : ""), "*", ...(form & 1 ? "*" : ""), ...(shift === 2 ? "+" : "")];
    record.blocks = record.operations.map(() =>
      shape.map((d) => {
        const b = input.varint();
        if (b >= d) throw indexError("a block that is not shorter than its dimension", at);
        return b || d;
      }),
    );
    const shapes = record.blocks.map((blocks) => shape.map((d, i) => Math.ceil(Number(d) / Number(blocks[i]))));
    const usual = [I8, ...record.operations.map((o) => (o === "-" ? I8 : F32))];
    record.parts = [shape, ...shapes].map((s, i) => {
      const part = this.part(usual[i], s, depth + 1);
      const d = part.dtype;
      const allowed = (d >= U8 && d <= I32) || (d >= F16 && d <= F32) || (d >= E4M3 && d <= E8M0) || (d === F64 && dtype === F64);
      if (!allowed && !(part.coding > LOOKUP && !SIZES[d])) throw indexError("levels or factors of a dtype that is not allowed", at);
      return part;
    });
  }

  escape(record, depth, at) {
    const { input } = this;
    const { dtype, shape } = record;
    if (dtype === BOOL || SIZES[dtype] > 8) throw indexError("a dtype whose values cannot stand apart", at);
    const count = input.varint();
    record.values = Math.floor(count / 2);
    if (record.values < 1 || record.values > record.count) throw indexError("a number of values that cannot be", at);
    if (count % 2) record.mark = input.take(SIZES[dtype]);
    record.parts = [this.only(count % 2 ? dtype : BOOL, shape, depth, at), this.only(dtype, [record.values], depth, at)];
  }

  lookup(record, depth, at) {
    const { dtype, shape } = record;
    const size = SIZES[dtype];
    if (size < 2 || size > 8) throw indexError("a lookup of elements of 1 or 16 bytes", at);
    const n = this.input.varint();
    if (n < 1 || n > 65536 || n > record.count) throw indexError("a number of values that cannot be", at);
    record.parts = [this.only({ 2: U16, 4: U32, 8: U64 }[size], [n], depth, at), this.only(U16, shape, depth, at)];
  }
}

function compareBytes(a, b) {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

/** Runs (6.5) that fill the first `length` places of a map. */
function runs(bits, map, length) {
  let value = bits.bit();
  for (let at = 0; at < length; value ^= 1) {
    const run = bits.gamma();
    if (run > length - at) throw bits.fail("runs that go past the end of a bitmap");
    if (value) map.fill(1, at, at + run);
    at += run;
  }
}

/** Section 6.4: {alphabet, one} for a table of one symbol, else {alphabet, lengths, longest}. */
function codeTable(bits, alphabet) {
  if (bits.bit()) {
    const one = bits.field(bitLength(alphabet - 1));
    if (one >= alphabet) throw bits.fail("the symbol of a code table is outside of its alphabet");
    return { alphabet, one };
  }
  const lengths = new Uint8Array(alphabet);
  let p = bits.field(4);
  let longest = 0;
  const check = () => {
    if (p < 1 || p > 12) throw bits.fail("a code length that is not 1 to 12");
  };
  check();
  for (let sum = 0, symbol = 0; sum < 4096; ) {
    if (bits.bit()) {
      if (!bits.bit()) p += bits.bit() ? -1 : 1;
      else if (bits.bit()) p = bits.field(4);
      else {
        const r = bits.gamma();
        if (r > alphabet - symbol) throw bits.fail("a code table that runs past its alphabet");
        symbol += r;
        continue;
      }
      check();
    }
    if (symbol >= alphabet) throw bits.fail("a code table that runs past its alphabet");
    lengths[symbol++] = p;
    longest = Math.max(longest, p);
    if ((sum += 4096 >> p) > 4096) throw bits.fail("a code table with more codes than there are");
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
    if (code.one !== undefined) {
      out.fill(code.one, 0, n);
      return;
    }
    if (code.width === 0) {
      out.fill(0, 0, n);
      return;
    }
    const base = Math.floor(this.at / 8); // bits are counted from here, in 31 bits
    let at = this.at - 8 * base;
    const next = () => ((bytes[base + (at >>> 3)] | (bytes[base + (at >>> 3) + 1] << 8) | (bytes[base + (at >>> 3) + 2] << 16)) >>> (at & 7)) & 4095;
    if (code.width) {
      const { width, alphabet } = code;
      const mask = (1 << width) - 1;
      for (let i = 0; i < n; i++, at += width) if ((out[i] = next() & mask) >= alphabet) throw payloadError("a symbol outside of its alphabet");
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
    if (this.at > this.end) throw payloadError("a stream of symbols that ends too early");
  }
}

/** The end of a payload that is a bit stream. */
function finish(bytes, at) {
  const bits = new Bits(bytes, payloadError);
  bits.at = at;
  if (bits.pad() !== bytes.length) throw payloadError("a payload that goes on after its streams");
}

// --------------------------------------------------------------------------------------------------------------- decoders (5)
// Each gives the elements of a record as words (see `words`) from `payload`, a function of its leaf records.

const DECODERS = {
  [RAW](record, bytes, part, want) {
    if (record.dtype === BOOL) for (let i = 0; i < bytes.length; i++) if (bytes[i] > 1) throw payloadError("a BOOL that is not 0 or 1");
    return want === "bytes" && record.dtype === U8 ? bytes : widen(bytes, record.dtype, record.dtype);
  },

  [NARROW]: (record, bytes) => widen(bytes, record.storage, record.dtype, payloadError),

  [DENSE](record, bytes, part, want) {
    const { count } = record;
    const { out, book } = target(record, want);
    const bits = new Bits(bytes, payloadError);
    const chunk = record.chunk || count;
    const lengths = [];
    if (record.chunk) for (let i = 0; i < count; i += chunk) lengths.push(bits.field(record.width));
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
      if (record.chunk && symbols.at - from !== lengths[start / chunk]) throw payloadError("a chunk that does not end where the next one starts");
    }
    finish(bytes, symbols.at);
    return out;
  },

  [SPARSE](record, bytes, part, want) {
    const { entries } = record;
    if (!entries) return words(SIZES[record.dtype], record.count);
    const { out, book } = target(record, want);
    const { table } = book;
    const wide = book.size === 8;
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
    if (record.lineEnds && sum !== entries) throw payloadError("line counts whose sum is not the number of entries");
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
          if (cursor >= limit) throw payloadError("an entry outside of the matrix or its line");
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
        if (gaps.at - from !== g || cursor - before !== advance) throw payloadError("a chunk that does not end where the next one starts");
      } else values.at = gaps.at;
      const start = values.at;
      for (let at = 0; at < n; at += BLOCK) {
        const m = Math.min(BLOCK, n - at);
        values.read(block, m);
        for (let i = 0; i < m; i++) {
          const target = targets[at + i];
          const symbol = block[i] + 1;
          if (wide) {
            out[2 * target] = table[2 * symbol];
            out[2 * target + 1] = table[2 * symbol + 1];
          } else out[target] = table[symbol];
        }
      }
      if (record.chunk && values.at - start !== (record.widths[1] ? chunks[first / chunk][1] : n * record.values.width)) {
        throw payloadError("a chunk that does not end where the next one starts");
      }
    }
    finish(bytes, values.at);
    return out;
  },

  [ADAPTIVE](record, bytes, part, want) {
    const { rows, columns, chunk } = record;
    const { out, book } = target(record, want);
    const lines = record.byColumns ? columns : rows;
    const places = record.byColumns ? rows : columns;
    const chunks = Math.ceil(lines / chunk);
    let at = 4 * (chunks - 1);
    if (at > bytes.length) throw payloadError("a payload that ends within its chunk table");
    const line = new Uint16Array(places);
    for (let i = 0; i < chunks; i++) {
      const end = i < chunks - 1 ? at + u32At(bytes, 4 * i) : bytes.length;
      if (end > bytes.length) throw payloadError("a chunk that goes past the end of the payload");
      const first = i * chunk;
      const n = Math.min(chunk, lines - first);
      adaptiveChunk(bytes.subarray(at, end), n, places, record, line, (l) => {
        if (record.byColumns) place(out, first + l, line, places, book, columns);
        else place(out, (first + l) * places, line, places, book);
      });
      at = end;
    }
    return out;
  },

  [CLASSES](record, bytes, part, want) {
    const { rows, columns, chunk, R, C, M } = record;
    const { out, book } = target(record, want);
    const bits = new Bits(bytes, payloadError);
    const classOf = (count, classes) => {
      const width = bitLength(classes - 1);
      if (width * count > bits.end) throw payloadError("a payload that ends within its classes");
      const map = new Uint8Array(count);
      if (width) for (let i = 0; i < count; i++) if ((map[i] = bits.field(width)) >= classes) throw payloadError("a class that is not there");
      return map;
    };
    const rowClass = classOf(rows, R);
    const columnClass = classOf(columns, C);
    const { steps, symbols } = frequencyTables(bits, R, C, record.book.count + 1, M);
    let at = bits.pad();
    const chunks = Math.ceil(rows / chunk);
    const table = at;
    if ((at += 4 * (chunks - 1)) > bytes.length) throw payloadError("a payload that ends within its chunk table");
    const states = new Int32Array(record.lanes);
    const line = new Uint16Array(columns);
    const bases = Int32Array.from(columnClass, (c) => c << M);
    for (let i = 0; i < chunks; i++) {
      const end = i < chunks - 1 ? at + u32At(bytes, table + 4 * i) : bytes.length;
      if (end > bytes.length || (end - at) % 2 || end - at < 4 * record.lanes) throw payloadError("a chunk of another size than it can have");
      const code = new Uint16Array((end - at) / 2 + 1);
      raw(code).set(bytes.subarray(at, end)); // and a zero word, which is read where none is left
      for (let k = 0; k < record.lanes; k++) {
        states[k] = code[2 * k] | (code[2 * k + 1] << 16);
        if (!code[2 * k + 1]) throw payloadError("a state below 2^16");
      }
      let word = 2 * record.lanes;
      let lane = 0;
      const last = Math.min((i + 1) * chunk, rows);
      for (let r = 0; r < R; r++) {
        const step = steps.subarray((r * C) << M, ((r + 1) * C) << M);
        const symbol = symbols?.subarray((r * C) << M, ((r + 1) * C) << M);
        for (let row = i * chunk; row < last; row++) {
          if (rowClass[row] !== r) continue;
          word = rans(line, columns, states, lane, code, word, step, symbol, bases, M);
          lane = (lane + columns) & (record.lanes - 1);
          place(out, row * columns, line, columns, book);
        }
      }
      if (word !== code.length - 1) throw payloadError("words that are left over, or too few");
      for (const x of states) if (x !== 65536) throw payloadError("a state that does not end at 2^16");
      at = end;
    }
    return out;
  },

  [PLANES](record, bytes, part) {
    const { count, dtype } = record;
    const size = SIZES[dtype];
    const out = words(size, count);
    const planes = record.parts.map((_, k) => part(k, "bytes"));
    const join = JOIN[Math.min(size, 4) + (dtype < F16 ? "" : "f")];
    if (size < 8) join(out, planes, 0, 1, planes[size - 1]);
    else {
      join(out, planes, 1, 2, planes[7]);
      join(out, planes.slice(4), 0, 2, planes[3]);
    }
    return out;
  },

  [SCALED]: (record, bytes, part) => scale(record, part),

  [ESCAPE](record, bytes, part) {
    const main = part(0);
    const values = part(1);
    const size = SIZES[record.dtype];
    const wide = size === 8 ? 2 : 1;
    const out = record.mark ? main : words(size, record.count);
    const mark = record.mark ? widen(record.mark, record.dtype, record.dtype) : undefined;
    let k = 0;
    for (let i = 0; i < record.count; i++) {
      const stands = mark ? main[i * wide] === mark[0] && (wide === 1 || main[2 * i + 1] === mark[1]) : main[i];
      if (!stands) continue;
      if (k === record.values) throw payloadError("more places than values");
      out[i * wide] = values[k * wide];
      if (wide === 2) out[2 * i + 1] = values[2 * k + 1];
      if (!mark && !out[i * wide] && (wide === 1 || !out[2 * i + 1])) throw payloadError("a value of zero beside a mask");
      k++;
    }
    if (k !== record.values) throw payloadError("fewer places than values");
    return out;
  },

  [LOOKUP](record, bytes, part) {
    const table = part(0);
    const size = SIZES[record.dtype];
    const wide = size === 8 ? 2 : 1;
    const n = table.length / wide;
    for (let k = 1; k < n; k++) {
      let low = table[k * wide] + table[(k - 1) * wide];
      let sum = low;
      const modulus = size === 2 ? 65536 : 2 ** 32;
      if (wide === 2) {
        sum = table[2 * k + 1] + table[2 * k - 1] + (low >= modulus ? 1 : 0);
        low %= modulus;
      }
      if (sum >= modulus || (!table[k * wide] && (wide === 1 || !table[2 * k + 1]))) throw payloadError("values of a lookup that do not ascend");
      table[k * wide] = low;
      if (wide === 2) table[2 * k + 1] = sum;
    }
    const indices = part(1);
    const out = words(size, record.count);
    for (let i = 0; i < record.count; i++) {
      const index = indices[i];
      if (index >= n) throw payloadError("an index that no value has");
      out[i * wide] = table[index * wide];
      if (wide === 2) out[2 * i + 1] = table[2 * index + 1];
    }
    return out;
  },
};

/** Where the elements of a codebook go, and their values there: words, or numbers if these are wanted. */
function target({ count, dtype, book }, want) {
  if (want !== "numbers") return { out: words(SIZES[dtype], count), book };
  return { out: new Float32Array(count), book: { size: "number", table: Float32Array.from(numbers(book.table, dtype)) } };
}

// Loops over elements, one for each size of words: an engine is quick where a loop meets arrays of one type only.

const PLACE = {
  1: (out, at, symbols, n, table, step) => {
    for (let i = 0; i < n; i++, at += step) out[at] = table[symbols[i]];
  },
  2: (out, at, symbols, n, table, step) => {
    for (let i = 0; i < n; i++, at += step) out[at] = table[symbols[i]];
  },
  4: (out, at, symbols, n, table, step) => {
    for (let i = 0; i < n; i++, at += step) out[at] = table[symbols[i]];
  },
  number: (out, at, symbols, n, table, step) => {
    for (let i = 0; i < n; i++, at += step) out[at] = table[symbols[i]];
  },
  8: (out, at, symbols, n, table, step) => {
    for (let i = 0; i < n; i++, at += step) {
      out[2 * at] = table[2 * symbols[i]];
      out[2 * at + 1] = table[2 * symbols[i] + 1];
    }
  },
};
/** Puts n symbols' values into elements at, at + step, … */
const place = (out, at, symbols, n, book, step = 1) => PLACE[book.size](out, at, symbols, n, book.table, step);

/** Elements of two or four planes, the highest byte first, in every word from `at` on, `step` apart; floats are turned right by a bit, that of `last`. */
const JOIN = {
  2: (out, [a, b]) => {
    for (let i = 0; i < out.length; i++) out[i] = (a[i] << 8) | b[i];
  },
  4: (out, [a, b, c, d], at, step) => {
    for (let i = 0, k = at; k < out.length; i++, k += step) out[k] = (a[i] << 24) | (b[i] << 16) | (c[i] << 8) | d[i];
  },
  "2f": (out, [a, b]) => {
    for (let i = 0; i < out.length; i++) out[i] = (((a[i] << 8) | b[i]) >>> 1) | (b[i] << 15);
  },
  "4f": (out, [a, b, c, d], at, step, last) => {
    for (let i = 0, k = at; k < out.length; i++, k += step) out[k] = (((a[i] << 24) | (b[i] << 16) | (c[i] << 8) | d[i]) >>> 1) | (last[i] << 31);
  },
};

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
      if (level < 0 || level > 48) throw payloadError("a level that is not 0 to 48");
      levels[s] = level;
      total += weight(level);
      if (level) used++;
    }
    if (!used) throw payloadError("a table of frequencies without a symbol");
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
let rates;

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
  rates = Int32Array.from({ length: 256 }, (_, c) => Math.floor(131072 / (2 * c + 3)));
}

class RangeDecoder {
  constructor(bytes) {
    this.bytes = bytes;
    this.low = 0;
    this.high = 2 ** 32 - 1;
    this.at = 0;
    this.c = 0;
    for (let i = 0; i < 4; i++) this.next();
  }
  next() {
    this.c = (this.c % 2 ** 24) * 256 + (this.at < this.bytes.length ? this.bytes[this.at] : 0);
    this.at++;
  }
  bit(p) {
    const m = this.low + Math.floor(((this.high - this.low) * p) / 65536);
    const bit = this.c <= m ? 1 : 0;
    if (bit) this.high = m;
    else this.low = m + 1;
    while ((this.low ^ this.high) >>> 24 === 0) {
      this.low = (this.low % 2 ** 24) * 256;
      this.high = (this.high % 2 ** 24) * 256 + 255;
      this.next();
    }
    return bit;
  }
  /** The string must be the one that a writer makes. */
  finish() {
    const { bytes, low, high } = this;
    let w;
    for (let unit = 2 ** 32; ; unit /= 256) {
      w = Math.ceil(low / unit) * unit;
      if (w <= high) break;
    }
    if (this.c !== w || bytes.length > this.at || (bytes.length && !bytes.at(-1))) throw payloadError("an adaptive code that no writer makes");
  }
}

class Model {
  constructor(decoder, sizes) {
    this.decoder = decoder;
    this.slots = sizes.map((n) => new Int32Array(n).fill(2 ** 29)); // probability × 256 + count
    this.weights = new Float64Array(sizes.length).fill(Math.floor(81920 / sizes.length));
    this.values = new Int32Array(sizes.length);
    this.contexts = new Int32Array(sizes.length);
    this.decisions = 0;
  }
  decide() {
    const { slots, weights, values, contexts } = this;
    const n = values.length;
    let x = 0;
    for (let i = 0; i < n; i++) {
      const slot = slots[i][contexts[i]];
      values[i] = slot & 255 ? stretch[slot >>> 18] : 0;
      x += weights[i] * values[i];
    }
    x = Math.max(-EDGE, Math.min(EDGE, Math.floor(x / 65536)));
    const p = Math.max(1, Math.min(65535, squash[EDGE + x]));
    const bit = this.decoder.bit(p);
    const e = (65536 * bit - p) * (640 + Math.floor(7680 / (1 + Math.floor(this.decisions++ / 64))));
    for (let i = 0; i < n; i++) {
      const w = weights[i] + Math.floor((values[i] * e + 2 ** 25) / 2 ** 26);
      weights[i] = Math.max(-1048576, Math.min(1048576, w));
      const slot = slots[i][contexts[i]];
      const count = slot & 255;
      let P = slot >>> 8;
      if (bit) P += Math.floor(((4194303 - P) * rates[count]) / 65536);
      else P -= Math.floor((P * rates[count]) / 65536);
      slots[i][contexts[i]] = P * 256 + Math.min(count + 1, 255);
    }
    return bit;
  }
}

const BUCKETS = [1, 2, 3, 4, 6, 9, 14, 22, 40, 80, 200];
function B(n) {
  let b = 0;
  while (b < 11 && BUCKETS[b] <= n) b++;
  return b;
}
const D = (c, k) => B(Math.floor((64 * (4 * c + 1)) / (4 * k + 2)));

function liveFlags(decoder, count, s) {
  const model = new Model(decoder, [8, 36, 81]);
  const { contexts } = model;
  const flags = new Uint8Array(count);
  const f = (j) => (j >= 0 ? flags[j] : 0);
  let ones = 0;
  for (let j = 0; j < count; j++) {
    const r = j % s;
    if (r === 0) ones = 0;
    const near = f(j - s);
    contexts[0] = 4 * f(j - 1) + 2 * f(j - 2) + f(j - 3);
    contexts[1] =
      9 * (2 * f(j - 1) + near) + f(j - 1) + f(j - 2) + f(j - 3) + f(j - 4) + near + f(j - s - 1) + (s > 1 ? f(j - s + 1) : 0) + f(j - 2 * s);
    contexts[2] = 9 * Math.min(B(r), 8) + Math.min(B(ones), 8);
    ones += flags[j] = model.decide();
  }
  return flags;
}

/** Decodes L lines of N symbols into `line`, one after the other, and calls `emit` with the number of each. */
function adaptiveChunk(bytes, L, N, record, line, emit) {
  if (!squash) adaptiveTables();
  const { book, byColumns, light, noZeros, stride } = record;
  const decoder = new RangeDecoder(bytes);
  const livePlaces = noZeros ? undefined : liveFlags(decoder, N, byColumns ? 1 : stride);
  const liveLines = noZeros ? undefined : liveFlags(decoder, L, byColumns ? stride : 1);
  const s = byColumns ? 1 : stride;

  // Symbols by sign and rank. Values ascend as unsigned numbers, so those of sign 0 come first.
  const { table, count } = book;
  const wide = table.length === count + 1 ? 1 : 2;
  const top = wide === 2 ? 2 ** 31 : 2 ** (8 * table.BYTES_PER_ELEMENT - 1);
  const V = [0, 0];
  for (let v = 1; v <= count; v++) V[table[wide * v + wide - 1] >= top ? 1 : 0]++;
  const levelOf = new Uint8Array(count + 1);
  const kindOf = new Uint8Array(count + 1);
  for (let v = 1; v <= count; v++) {
    const sign = v > V[0] ? 1 : 0;
    const rank = v - 1 - (sign ? V[0] : 0);
    levelOf[v] = 3 * rank < V[sign] ? 1 : 2;
    kindOf[v] = 1 + 8 * sign + Math.floor((8 * rank) / Math.max(V[sign], 8));
  }
  const Y = 2 ** (bitLength(Math.max(V[0], V[1]) - 1) + 1);
  const zeroFlags = new Model(decoder, [81, 144, N, 1, 240, 432, 144, 36, 144].slice(0, light ? 3 : 9));
  const values = new Model(decoder, [17 * Y, 17 * Y, Y, 17 * Y, 17 * Y, 63 * Y].slice(0, light ? 3 : 6));

  // What is known of places, with room on both sides so that nothing outside of the line has to be asked for.
  const pad = Math.max(2 * s, 3);
  const size = N + 2 * pad;
  let [levels, levels1, levels2, kinds, kinds1] = Array.from({ length: 5 }, () => new Uint8Array(size));
  const counts = new Int32Array(size);
  const lastLine = new Int32Array(N);
  let above = 0; // live lines before

  const zeroFlag = (j, at, m, i, z) => {
    const c = zeroFlags.contexts;
    const l1 = levels[at - 1];
    const a0 = counts[at];
    c[0] = 27 * l1 + 9 * levels[at - 2] + 3 * levels[at - 3] + levels[at - s];
    c[1] = 12 * D(a0, above) + D(m, i);
    c[2] = j;
    if (!light) {
      const b0 = B(a0);
      const far = counts[at - s] + counts[at + s];
      const w =
        (l1 > 0) + (levels[at - 2] > 0) + (levels[at - s] > 0) + (levels[at - s - 1] > 0) + (levels[at - s + 1] > 0) +
        (levels1[at] > 0) + (levels1[at - 1] > 0) + (levels1[at + 1] > 0) + (levels2[at] > 0);
      c[3] = 0;
      c[4] = 20 * B(far + counts[at - 1] + counts[at + 1]) + 2 * w + (l1 > 0);
      c[5] = 36 * B(far) + 3 * b0 + levels[at - s];
      c[6] = 12 * B(m) + B(i);
      c[7] = 3 * B(z) + l1;
      c[8] = 12 * (a0 ? B(above - lastLine[j]) : 11) + b0;
    }
    return zeroFlags.decide();
  };

  const value = (at) => {
    const c = values.contexts;
    const near = [kinds[at - 1], kinds[at - s], kinds[at - s + 1], kinds[at - 2], kinds[at - s - 1], kinds[at - 2 * s]];
    let C = 0;
    let G = 0;
    for (const k of near) {
      if (k) C++;
      if (k) G += k > 8 ? 1 : -1;
    }
    const signs = 7 * (Math.max(-4, Math.min(4, G)) + 4) + C;
    const decide = (y) => {
      c[0] = 17 * y + near[0];
      c[1] = 17 * y + near[1];
      c[2] = y;
      if (!light) {
        c[3] = 17 * y + kinds1[at];
        c[4] = 17 * y + near[2];
        c[5] = 63 * y + signs;
      }
      return values.decide();
    };
    const sign = V[0] && V[1] ? decide(0) : V[0] ? 0 : 1;
    let rank = 0;
    let q = 1;
    for (let b = bitLength(V[sign] - 1) - 1; b >= 0; b--) {
      const bit = rank + 2 ** b < V[sign] ? decide(2 * q + sign) : 0;
      rank += bit * 2 ** b;
      q = 2 * q + bit;
    }
    return 1 + rank + (sign ? V[0] : 0);
  };

  for (let l = 0; l < L; l++) {
    line.fill(0);
    if (noZeros || liveLines[l]) {
      levels.fill(0);
      kinds.fill(0);
      let m = 0;
      let i = 0;
      let z = 0;
      for (let j = 0, at = pad; j < N; j++, at++) {
        if (!noZeros && !livePlaces[j]) continue;
        if (noZeros || zeroFlag(j, at, m, i, z)) {
          const v = value(at);
          line[j] = v;
          levels[at] = levelOf[v];
          kinds[at] = kindOf[v];
          counts[at]++;
          lastLine[j] = above + 1;
          m++;
          z = 0;
        } else z++;
        i++;
      }
      if (!m) throw payloadError("a live line of zeros alone");
      above++;
      [levels, levels1, levels2] = [levels2, levels, levels1];
      [kinds, kinds1] = [kinds1, kinds];
    }
    emit(l);
  }
  for (let j = 0; j < N; j++) if (!noZeros && livePlaces[j] && !counts[pad + j]) throw payloadError("a live place of zeros alone");
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
  if (dtype === F32) for (let i = 0; i < count; i++) if (row[i] !== row[i]) out[i] = 0x7fc00000;
  if (dtype === F64) for (let i = 0; i < count; i++) if (row[i] !== row[i]) ((out[2 * i] = 0), (out[2 * i + 1] = 0x7ff80000));
  return out;
}

// ---------------------------------------------------------------------------------------------------------------------- reading

/**
 * Elements as words of a record or part, whose payloads `payload` gives, with their CRCs checked. Where "bytes" are wanted, those of the payload
 * will do; where "numbers" are, a Float32Array of numbers.
 */
function decode(record, payload, want) {
  if (record.unknown && !record.parts) throw new SwsError("unknown-coding", `coding ${record.coding} is not known to this reader`);
  return DECODERS[record.coding](record, record.parts ? undefined : payload(record), (i, w) => decode(record.parts[i], payload, w), want);
}

function tensorOf(entry, elements) {
  const { dtype } = entry.record;
  const data = dtype in VIEWS ? new VIEWS[dtype](elements.buffer) : elements;
  return { name: entry.name, dtype: entry.dtype, shape: entry.shape, data };
}

class Index {
  constructor(bytes, options = {}) {
    const place = prefixLength(bytes);
    if (!place || bytes.length < place.end) throw new SwsError("truncated", "the file ends within its index", bytes.length);
    if (crc32(bytes.subarray(0, place.end - 4)) !== u32At(bytes, place.end - 4)) {
      throw new SwsError("checksum", "the index has another CRC-32 than it should: the file is damaged", place.end - 4);
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
  }

  entry(name) {
    const entry = this.names.get(name);
    if (!entry) throw new SwsError("no-tensor", `there is no tensor of the name ${JSON.stringify(name)}`, undefined, name);
    return entry;
  }

  /** The tensor of a name, from bytes `start` to `end` of the file. */
  decode(name, bytes) {
    const entry = this.entry(name);
    const { record } = entry;
    try {
      if (!record.unknown && entry.bytes > this.limit) throw limitError(`${entry.bytes} bytes are more than the limit of ${this.limit}`);
      if (bytes.length !== entry.end - entry.start) throw new SwsError("truncated", "the payload has another size than the index says");
      const payload = (leaf) => {
        if (leaf.inline) return leaf.inline;
        const from = leaf.start - entry.start;
        const part = bytes.subarray(from, from + leaf.length);
        if (crc32(part) !== leaf.crc) throw new SwsError("checksum", "the payload has another CRC-32 than it should: the file is damaged", leaf.start);
        return part;
      };
      if (record.unknown && record.parts) throw new SwsError("unknown-coding", "a part has a coding that is not known to this reader");
      return tensorOf(entry, decode(record, payload));
    } catch (error) {
      const told = error instanceof SwsError ? error : limitError(`it does not fit the memory (${error.message})`);
      throw new SwsError(told.kind, `tensor ${JSON.stringify(name)}: ${told.message}`, told.offset ?? record.start, name);
    }
  }
}

class File extends Index {
  constructor(bytes, options) {
    super(bytes, options);
    if (bytes.length !== this.size) {
      throw new SwsError("truncated", `the file has ${bytes.length} bytes and not ${this.size}`, Math.min(bytes.length, this.size));
    }
    this.file = bytes;
  }

  get(name) {
    const { start, end } = this.entry(name);
    return this.decode(name, this.file.subarray(start, end));
  }

  /** All tensors of known codings by name; aliases share their data. */
  load() {
    const own = this.entries.filter((e) => !e.alias && !e.record.unknown);
    const total = own.reduce((sum, e) => sum + e.bytes, 0);
    if (total > this.limit) throw limitError(`${total} bytes are more than the limit of ${this.limit}`);
    const tensors = new Map();
    for (const e of this.entries) {
      if (e.record.unknown) continue;
      tensors.set(e.name, e.alias === undefined ? this.get(e.name) : { ...tensors.get(e.alias), name: e.name });
    }
    return tensors;
  }
}

const toBytes = (source) =>
  source instanceof ArrayBuffer ? new Uint8Array(source) : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);

/** The index alone, from bytes that begin as the file does and hold at least its prefix. */
export const readIndex = (bytes, options) => new Index(toBytes(bytes), options);

/** A whole file. */
export const read = (bytes, options) => new File(toBytes(bytes), options);

/** Hands out bytes of an iterable of Uint8Array by number. */
class Feed {
  constructor(source) {
    const reader = source.getReader?.();
    this.iterator = reader ? { next: () => reader.read(), return: () => reader.cancel() } : (source[Symbol.asyncIterator] ?? source[Symbol.iterator]).call(source);
    this.chunks = [];
    this.have = 0;
    this.at = 0;
  }
  /** Gathers until there are n bytes, or all: says whether there are. */
  async gather(n) {
    while (this.have < n) {
      const { value, done } = await this.iterator.next();
      if (done) return false;
      const bytes = toBytes(value);
      if (bytes.length) this.chunks.push(bytes);
      this.have += bytes.length;
    }
    return true;
  }
  /** The next n bytes, which must have been gathered. */
  take(n, keep) {
    if (this.chunks[0]?.length >= n) {
      const bytes = this.chunks[0].subarray(0, n);
      if (!keep) this.drop(n);
      return bytes;
    }
    const out = new Uint8Array(n);
    if (keep) {
      let at = 0;
      for (const chunk of this.chunks) {
        out.set(chunk.subarray(0, n - at), at);
        at = Math.min(n, at + chunk.length);
      }
      return out;
    }
    for (let at = 0; at < n; ) {
      const piece = this.chunks[0].subarray(0, n - at);
      out.set(piece, at);
      at += piece.length;
      this.drop(piece.length);
    }
    return out;
  }
  drop(n) {
    this.have -= n;
    this.at += n;
    if (n === this.chunks[0]?.length) this.chunks.shift();
    else if (n) this.chunks[0] = this.chunks[0].subarray(n);
  }
}

/**
 * Tensors one after the other while the bytes come in. An alias comes right after its tensor, with the same data, so that nothing has to be
 * kept. A tensor that cannot be read comes as {name, error}, and those behind it still come; the end of the file is checked too.
 */
export async function* stream(source, options = {}) {
  const feed = new Feed(source);
  try {
    let place;
    for (let n = 1; !place && n <= 19; n++) if (!(await feed.gather(n)) || (place = prefixLength(feed.take(n, true), true))) break;
    if (!place || !(await feed.gather(place.end))) throw new SwsError("truncated", "the file ends within its index", feed.have);
    const index = new Index(feed.take(place.end), options);
    options.onIndex?.(index);
    const aliases = new Map();
    for (const e of index.entries) if (e.alias !== undefined) aliases.set(e.alias, [...(aliases.get(e.alias) ?? []), e.name]);
    for (const e of index.entries) {
      if (e.alias !== undefined) continue;
      const behind = e.end > index.prefix && e.end > e.start && e.start === feed.at;
      const n = behind ? e.end - e.start : 0;
      if (!(await feed.gather(n))) throw new SwsError("truncated", "the file ends within a payload", feed.at + feed.have, e.name);
      let tensor;
      try {
        tensor = index.decode(e.name, feed.take(n));
      } catch (error) {
        if (options.skipErrors) tensor = { name: e.name, error };
        else throw error;
      }
      yield tensor;
      for (const name of aliases.get(e.name) ?? []) yield { ...tensor, name };
    }
    if (await feed.gather(1)) throw new SwsError("truncated", "the file goes on after its last payload", feed.at);
  } finally {
    await feed.iterator.return?.();
  }
}

/** Numbers of a tensor as a Float32Array (F64 is rounded; 64-bit integers too). Complex dtypes and F4_X2 have none. */
export function toFloat32(tensor) {
  const dtype = DTYPES.indexOf(tensor.dtype);
  if ((dtype >= 13 && dtype <= 15) || dtype === 21 || dtype < 0) throw new SwsError("dtype", `${tensor.dtype} has no numbers of float32`, undefined, tensor.name);
  const { data } = tensor;
  if (dtype === F32) return data;
  if (dtype === U64 || dtype === I64) return Float32Array.from(data, Number);
  return Float32Array.from(numbers(data, dtype));
}
