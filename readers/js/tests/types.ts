import { read, readIndex, stream, toFloat32, SwsError, type Tensor, type Kind } from "../sws.js";
async function main(url: string): Promise<void> {
  const response = await fetch(url);
  const file = read(await response.arrayBuffer(), { limit: 1e9 });
  const tensor: Tensor = file.get("fc.weight");
  const floats: Float32Array = toFloat32(tensor);
  const named: Map<string, string> = file.metadata;
  for (const entry of readIndex(new Uint8Array(8)).entries) console.log(entry.name, entry.coding, entry.start);
  for await (const each of stream((await fetch(url)).body!)) console.log(each.data.length, each.shape);
  for await (const each of stream((await fetch(url)).body!, { skipErrors: true, onIndex: (i) => console.log(i.size) })) {
    if (each.error) console.log(each.error.kind satisfies Kind);
    else console.log(each.data.length);
  }
  try { file.load(); } catch (error) { if (error instanceof SwsError) console.log(error.offset, error.tensor); }
  void floats; void named;
}
void main;
