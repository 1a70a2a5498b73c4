// What a caller of sws.js relies on beside the elements of tensors.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { SwsError, read, readIndex, stream, toFloat32 } from "../sws.js";

const vector = (name) => readFileSync(new URL(`../../../spec/vectors/${name}`, import.meta.url));
const failure = (call) => {
  try {
    call();
  } catch (error) {
    assert(error instanceof SwsError, error);
    return error;
  }
  assert.fail("nothing was thrown");
};
const collect = async (source, options) => {
  const tensors = [];
  for await (const tensor of stream(source, options)) tensors.push(tensor);
  return tensors;
};

// Typed arrays, and numbers of those that JavaScript has none for.
const dtypes = read(vector("valid/raw-dtypes.sws"));
assert(dtypes.get("f32").data instanceof Float32Array);
assert(dtypes.get("i64").data instanceof BigInt64Array);
assert(dtypes.get("f16").data instanceof Uint16Array);
assert.deepEqual([...toFloat32(dtypes.get("bf16"))], [...new Float32Array(new Uint32Array([0x02010000, 0x04030000]).buffer)]);
assert.deepEqual([...toFloat32(dtypes.get("i64"))], [0x0807060504030201n, 0x100f0e0d0c0b0a09n].map((x) => Math.fround(Number(x))));
assert.equal(failure(() => toFloat32(dtypes.get("c64"))).kind, "dtype");

// Errors tell which tensor and where.
const damaged = read(vector("invalid/file-payload-crc.sws"));
const bad = damaged.entries.map((e) => e.name).find((name) => {
  try {
    damaged.get(name);
  } catch {
    return true;
  }
  return false;
});
const error = failure(() => damaged.get(bad));
assert.deepEqual([error.kind, error.tensor], ["checksum", bad]);
assert(error.offset >= damaged.prefix);
assert.equal(failure(() => damaged.get("not there")).kind, "no-tensor");

// A limit, of one tensor and of all; an index can be read whatever its tensors are.
const chunks = vector("valid/dense-chunks.sws");
const limited = read(chunks, { limit: 100 });
assert.equal(failure(() => limited.load()).kind, "limit");
assert.equal(failure(() => limited.get(limited.entries[0].name)).kind, "limit");

// The index alone, then a tensor from its range.
const index = readIndex(chunks.subarray(0, limited.prefix));
const entry = index.entries[0];
assert.deepEqual(index.decode(entry.name, chunks.subarray(entry.start, entry.end)).data, read(chunks).get(entry.name).data);

// Aliases share memory, and come right behind their tensor in a stream.
const aliases = vector("valid/aliases.sws");
const loaded = read(aliases).load();
assert.equal(loaded.get("head").data, loaded.get("embed").data);
assert.deepEqual((await collect([aliases])).map((t) => t.name), ["embed", "head", "third", "next"]);

// Streams of a fetch body, that end early, go on after the end, or hold a tensor that cannot be read.
const body = new Blob([chunks]).stream();
assert.equal((await collect(body)).length, limited.entries.length);
await assert.rejects(collect([chunks.subarray(0, -1)]), { kind: "truncated" });
await assert.rejects(collect([chunks, new Uint8Array(1)]), { kind: "truncated" });
await assert.rejects(collect([vector("invalid/file-payload-crc.sws")]), { kind: "checksum" });
const unknown = await collect([vector("valid/unknown-part.sws")], { skipErrors: true });
assert.deepEqual(unknown.map((t) => t.error?.kind), ["unknown-coding", undefined]);

// Who stops early gives the source back.
let cancelled = false;
for await (const tensor of stream(new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(chunks)), cancel: () => (cancelled = true) }))) {
  assert(tensor.name);
  break;
}
assert(cancelled);
