/** Names of dtypes as in spec/registry.md; a number stands for one that this reader does not know (of a coding that it does not know either). */
export type Dtype =
  | "BOOL" | "U8" | "I8" | "U16" | "I16" | "U32" | "I32" | "U64" | "I64" | "F16" | "BF16" | "F32" | "F64" | "C64" | "C128" | "C32"
  | "F8_E4M3" | "F8_E5M2" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" | "F8_E8M0" | "F4_X2";

/**
 * Elements, in C order. F16, BF16 and C32 (two halves an element) come as their bits, in a Uint16Array; BOOL, the 8-bit floats and F4_X2 as bytes; C64 and
 * C128 as pairs of real and imaginary part.
 */
export type Data =
  | Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | BigUint64Array | BigInt64Array | Float32Array | Float64Array;

export interface Tensor {
  name: string;
  dtype: Dtype;
  /** Dimensions. A bigint where one is 2^53 or more, which only tensors without elements can have in practice. */
  shape: (number | bigint)[];
  data: Data;
}

/** What the index says of a tensor. */
export interface Entry {
  name: string;
  coding: "raw" | "narrow" | "dense" | "sparse" | "adaptive" | "planes" | "scaled" | "escape" | "classes" | "lookup" | number;
  dtype: Dtype | number;
  shape: (number | bigint)[];
  /** Decoded size; undefined for a coding that this reader does not know. */
  bytes: number | undefined;
  /** The name of the tensor that this one is the same as. */
  alias: string | undefined;
  /** Where its payload lies in the file; `start` is `end` if it lies in the index. */
  start: number;
  end: number;
}

export interface Options {
  /** The largest decoded size that is accepted, in bytes: of a tensor, and of all tensors for `load`. 2^32 if it is not given. */
  limit?: number;
}

export interface Index {
  readonly metadata: Map<string, string>;
  readonly entries: Entry[];
  /** Bytes of signature, index and its CRC, from the start of the file. */
  readonly prefix: number;
  /** Bytes of the whole file. */
  readonly size: number;
  entry(name: string): Entry;
  /** A tensor from bytes `start` to `end` of the file, say from a range request. */
  decode(name: string, bytes: Uint8Array): Tensor;
}

export interface File extends Index {
  get(name: string): Tensor;
  /** All tensors of known codings; aliases share their data. */
  load(): Map<string, Tensor>;
}

export type Kind =
  | "not-sws" | "version" | "truncated" | "checksum" | "index" | "limit" | "payload" | "unknown-coding" | "no-tensor" | "dtype";

export declare class SwsError extends Error {
  readonly kind: Kind;
  /** Bytes from the start of the file, about where it is wrong. */
  readonly offset: number | undefined;
  /** The tensor that cannot be read; undefined where it is the file. */
  readonly tensor: string | undefined;
}

export interface StreamOptions extends Options {
  /** Is called once the index is there, before the first tensor. */
  onIndex?: (index: Index) => void;
}

type Source = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** A whole file. Throws SwsError where the file cannot be read; where a tensor cannot, `get` does. */
export declare function read(bytes: ArrayBuffer | ArrayBufferView, options?: Options): File;

/** The index alone, from the first bytes of a file, its `prefix` at least. */
export declare function readIndex(bytes: ArrayBuffer | ArrayBufferView, options?: Options): Index;

/** Tensors while the bytes come in: in the order of the file, but an alias right behind its tensor, with the same data. */
export declare function stream(source: Source, options?: StreamOptions & { skipErrors?: false }): AsyncGenerator<Tensor, void, void>;
/** With `skipErrors`, a tensor that cannot be read comes as its error, and the others still come. */
export declare function stream(
  source: Source, options: StreamOptions & { skipErrors: boolean },
): AsyncGenerator<(Tensor & { error?: undefined }) | { name: string; error: SwsError }, void, void>;

/** Numbers of a tensor as float32: of F16, BF16 and 8-bit floats exactly, others rounded. Complex dtypes and F4_X2 throw. */
export declare function toFloat32(tensor: Tensor): Float32Array;
