// Bytes of sws.js as it is, minified, and minified and gzipped: `npm install && npm run size`. With a path, the minified module is written there.
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { minify } from "terser";

// Names that callers use, or that are looked up by a string; all other properties may have shorter ones.
const reserved = `kind offset tensor message name dtype shape data coding bytes alias start end metadata entries prefix size limit entry decode get load
  onIndex skipErrors error number dense sparse adaptive planes scaled escape classes lookup read getReader cancel fatal ignoreBOM`.split(/\s+/);

const source = readFileSync(new URL("sws.js", import.meta.url), "utf8");
const compress = { passes: 3, unsafe: true, sequences: false, unsafe_arrows: true, unsafe_methods: true, pure_getters: true, keep_fargs: false };
const result = await minify(source, { module: true, ecma: 2020, compress, mangle: { properties: { reserved, keep_quoted: true } } });
const zipped = gzipSync(result.code, { level: 9 });
console.log(`sws.js: ${Buffer.byteLength(source)} bytes, minified ${Buffer.byteLength(result.code)}, and gzipped ${zipped.length}`);
if (process.argv[2]) writeFileSync(process.argv[2], result.code);
