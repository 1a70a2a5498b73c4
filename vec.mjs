import { read, stream, SwsError } from "/tmp/rd/readers/js/sws.js";
import fs from "fs"; import crypto from "crypto";
const V="/tmp/rd/spec/vectors/";
let bad=0;
const valid=JSON.parse(fs.readFileSync(V+"valid/manifest.json"));
for (const [f,m] of Object.entries(valid)) {
  try {
    const file=read(fs.readFileSync(V+"valid/"+f));
    if (JSON.stringify(Object.fromEntries(file.metadata))!==JSON.stringify(m.metadata)) throw Error("metadata");
    if (file.entries.length!==m.tensors.length) throw Error("count");
    m.tensors.forEach((t,i)=>{
      const e=file.entries[i];
      if (e.name!==t.name) throw Error("name "+t.name);
      if ("alias_of" in t) { if (e.alias!==t.alias_of) throw Error("alias"); return; }
      if (t.unknown) { try { file.get(t.name); } catch (x) { if (x.kind==="unknown-coding") return; throw x;} throw Error("unknown"); }
      const r=file.get(t.name);
      if (r.dtype!==t.dtype||JSON.stringify(r.shape)!==JSON.stringify(t.shape)) throw Error("shape "+t.name+r.dtype+r.shape);
      const b=Buffer.from(r.data.buffer, r.data.byteOffset, r.data.byteLength);
      const ok="hex" in t? b.toString("hex")===t.hex : crypto.createHash("sha256").update(b).digest("hex")===t.sha256;
      if (!ok) { console.log(f,t.name,"contents"); bad++; }
    });
  } catch(e) { console.log(f, e.stack.slice(0,300)); bad++; }
}
const kinds={IndexRuleError:["index"],TruncatedError:["truncated"],NotSwsError:["not-sws"],VersionError:["version"],LimitError:["limit"],PayloadError:["payload"],UnknownCodingError:["unknown-coding"],ChecksumError:["checksum"]};
const invalid=JSON.parse(fs.readFileSync(V+"invalid/manifest.json"));
for (const [f,m] of Object.entries(invalid)) {
  try {
    const file=read(fs.readFileSync(V+"invalid/"+f));
    let err; let ok=0;
    for (const e of file.entries) try { file.get(e.name); ok++; } catch(x) { err=x; }
    if (!err) { console.log("ACCEPTED",f,m.error); bad++; continue; }
    if (!kinds[m.error].includes(err.kind)) { console.log(f,"tensor",m.error,err.kind,err.message); bad++; }
    if (!(err instanceof SwsError)) throw err;
  } catch(e) { if (!(e instanceof SwsError) || !kinds[m.error].includes(e.kind)) { console.log(f,m.error,e.kind,e.message, e instanceof SwsError?"":e.stack); bad++; } }
}
console.log("bad",bad);
