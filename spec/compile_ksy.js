#!/usr/bin/env node
// Compiles a Kaitai Struct description to Python: node spec/compile_ksy.js spec/sws.ksy OUTDIR
// Needs `npm ci` once in spec/.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const compiler = require("kaitai-struct-compiler");
const YAML = require("yaml");

async function main(args) {
  if (args.length !== 2) {
    console.error("usage: node spec/compile_ksy.js FILE.ksy OUTDIR");
    return 2;
  }
  const [source, folder] = args;
  const description = YAML.parse(fs.readFileSync(source, "utf8"));
  const files = await compiler.compile("python", description, null, false);
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    fs.writeFileSync(path.join(folder, name), text);
    console.log(path.join(folder, name));
  }
  return 0;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(error && error.message ? error.message : String(error));
    process.exitCode = 1;
  },
);
