// The page: what is drawn is centred as MNIST's digits are, and LeNet-5 of a .sws file says what it is.
import { classify, load } from "./network.js";

const pad = document.getElementById("pad");
const pen = pad.getContext("2d", { willReadFrequently: true });
const bars = document.getElementById("bars");
// #7: a digit that is drawn at once, to try the page without a hand.
const EXAMPLES = {
  0: [[140, 60], [90, 80], [75, 140], [90, 205], [140, 225], [190, 205], [205, 140], [190, 80], [140, 60]],
  1: [[110, 85], [145, 55], [145, 225]],
  3: [[85, 75], [140, 55], [190, 80], [175, 125], [125, 138], [185, 155], [195, 200], [140, 228], [80, 205]],
  7: [[75, 65], [205, 65], [160, 140], [125, 228]],
};

/** 28 × 28 pixels of 0 to 255: the drawing in a box of 20 × 20 pixels, its centre of mass in the middle. */
function pixels() {
  const { data, width } = pen.getImageData(0, 0, pad.width, pad.height);
  let [left, right, top, bottom] = [width, 0, width, 0];
  for (let y = 0; y < width; y++) {
    for (let x = 0; x < width; x++) {
      if (!data[4 * (y * width + x)]) continue;
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
    }
  }
  if (right < left) return undefined;
  const draw = (shiftX, shiftY) => {
    const scale = 20 / Math.max(right - left + 1, bottom - top + 1);
    const small = new OffscreenCanvas(28, 28).getContext("2d");
    small.fillRect(0, 0, 28, 28);
    small.imageSmoothingQuality = "high";
    const [w, h] = [(right - left + 1) * scale, (bottom - top + 1) * scale];
    small.drawImage(pad, left, top, right - left + 1, bottom - top + 1, 14 - w / 2 + shiftX, 14 - h / 2 + shiftY, w, h);
    return Uint8Array.from({ length: 784 }, (_, i) => small.getImageData(0, 0, 28, 28).data[4 * i]);
  };
  const first = draw(0, 0);
  const mass = first.reduce((a, b) => a + b);
  const centre = (coordinate) => first.reduce((sum, p, i) => sum + p * coordinate(i), 0) / mass;
  return draw(Math.round(13.5 - centre((i) => i % 28)), Math.round(13.5 - centre((i) => Math.floor(i / 28))));
}

function show(network) {
  const input = pixels();
  const answer = input && classify(network, input);
  document.getElementById("answer").textContent = answer ? answer.indexOf(Math.max(...answer)) : "";
  bars.replaceChildren(...(answer ? [...answer] : []).map((p, digit) => {
    const row = document.createElement("div");
    const bar = document.createElement("i");
    bar.style.width = `${100 * p}%`;
    row.append(String(digit), bar, `${Math.round(100 * p)} %`);
    return row;
  }));
}

function wire(network) {
  pen.lineWidth = 20;
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "#fff";
  const clear = () => {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, pad.width, pad.height);
    show(network);
  };
  const line = (points) => {
    pen.beginPath();
    pen.moveTo(...points[0]);
    for (const p of points) pen.lineTo(...p);
    pen.stroke();
    show(network);
  };
  let last;
  const at = (event) => [event.offsetX, event.offsetY];
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    last = at(event);
    line([last, last]);
  });
  pad.addEventListener("pointermove", (event) => {
    if (!event.buttons || !last) return;
    line([last, at(event)]);
    last = at(event);
  });
  pad.addEventListener("pointerup", () => (last = undefined));
  document.getElementById("clear").addEventListener("click", clear);
  clear();
  const example = EXAMPLES[location.hash.slice(1)];
  if (example) line(example);
}

const about = document.getElementById("about");
try {
  const response = await fetch("../../../zoo/lenet5.sws");
  if (!response.ok) throw new Error(`zoo/lenet5.sws: ${response.status}`);
  const network = load(await response.arrayBuffer());
  about.textContent = `LeNet-5, ${network.bytes.toLocaleString("en")} bytes, runs in this page.`;
  wire(network);
} catch (error) {
  about.textContent = error.message;
}
