// LeNet-5 of the zoo: two convolutions with 2 × 2 maximum pooling, two linear layers. Weights come from a .sws file by their names.
import { read, toFloat32 } from "../sws.js";

/** Layers and the scale of pixels from the bytes of a file of the zoo. */
export function load(bytes) {
  const file = read(bytes);
  const weights = new Map();
  for (const [name, tensor] of file.load()) weights.set(name, { shape: tensor.shape, data: toFloat32(tensor) });
  const divisor = Number(/pixels\/([\d.]+)/.exec(file.metadata.get("input") ?? "")?.[1] ?? 255);
  return { weights, divisor, bytes: file.size };
}

/** Channels of a convolution without padding, the maximum of each and 0, then the maximum of 2 × 2 neighbours. */
function convolve({ data, side, channels }, weight, bias) {
  const [outputs, inputs, k] = weight.shape;
  const size = side - k + 1;
  const half = size / 2;
  const out = new Float32Array(outputs * half * half); // zeros: the maximum with 0 comes with that of neighbours
  for (let o = 0; o < outputs; o++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        let sum = bias.data[o];
        for (let c = 0; c < channels && c < inputs; c++) {
          for (let dy = 0; dy < k; dy++) {
            for (let dx = 0; dx < k; dx++) {
              sum += weight.data[((o * inputs + c) * k + dy) * k + dx] * data[(c * side + y + dy) * side + x + dx];
            }
          }
        }
        const at = (o * half + (y >> 1)) * half + (x >> 1);
        out[at] = Math.max(out[at], sum);
      }
    }
  }
  return { data: out, side: half, channels: outputs };
}

const linear = (input, weight, bias) =>
  Float32Array.from(bias.data, (b, o) => input.reduce((sum, x, i) => sum + x * weight.data[o * input.length + i], b));

/** Probabilities of the ten digits for 28 × 28 pixels of 0 to 255, white on black. */
export function classify({ weights, divisor }, pixels) {
  const layer = (name) => [weights.get(`${name}.weight`), weights.get(`${name}.bias`)];
  let x = { data: Float32Array.from(pixels, (p) => p / divisor), side: 28, channels: 1 };
  for (const name of ["conv1", "conv2"]) {
    x = convolve(x, ...layer(name));
  }
  const hidden = linear(x.data, ...layer("fc1")).map((v) => Math.max(v, 0));
  const logits = linear(hidden, ...layer("fc2"));
  const top = Math.max(...logits);
  const powers = logits.map((v) => Math.exp(v - top));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((p) => p / sum);
}
