#!/usr/bin/env node
// What is in .sws files, by the reader of sws.js: `node tool.js FILE…` prints a line of JSON for each file: its error, or metadata and tensors with their
// elements in hexadecimal. Each file is read at once and as a stream, in pieces; where these differ, the line says so.
import { readFileSync } from "node:fs";
import { read, stream } from "./sws.js";

const bytesOf = ({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

function whole(bytes) {
  const file = read(bytes);
  const tensors = file.entries.map(({ name, coding, dtype, shape, alias }) => {
    const about = { name, coding, dtype, shape: shape.map(Number), alias };
    try {
      return { ...about, hex: bytesOf(file.get(name)).toString("hex") };
    } catch (error) {
      return { ...about, error: error.kind ?? error.stack };
    }
  });
  return { metadata: Object.fromEntries(file.metadata), tensors };
}

/** All in one buffer, as a source may have it. */
async function* pieces(bytes, size) {
  const piece = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) yield piece.subarray(0, bytes.copy(piece, 0, at, at + size));
}

async function streamed(bytes, size) {
  const results = new Map();
  for await (const tensor of stream(pieces(bytes, size), { skipErrors: true })) {
    results.set(tensor.name, tensor);
  }
  // Not before all are there: none may change by what comes after it.
  for (const [name, t] of results) results.set(name, t.error ? { error: t.error.kind } : { hex: bytesOf(t).toString("hex") });
  return results;
}

for (const path of process.argv.slice(2)) {
  const bytes = readFileSync(path);
  let line;
  try {
    line = whole(bytes);
  } catch (error) {
    line = { error: error.kind ?? error.stack, at: error.offset };
  }
  for (const size of [Math.ceil(bytes.length / 100) || 1]) {
    try {
      const results = await streamed(bytes, size);
      if (line.error) line.stream = "accepted";
      for (const t of line.tensors ?? []) {
        const other = results.get(t.name);
        if (!other || other.hex !== t.hex || other.error !== t.error) t.stream = "differs";
      }
    } catch (error) {
      if (error.kind !== line.error) line.stream = error.kind ?? error.stack;
    }
  }
  console.log(JSON.stringify(line));
}
