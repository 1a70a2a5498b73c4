
// Experimental

import { read } from './sws-reader.js';

const sws = {};

sws.ModelFactory = class {

    async match(context) {
        const stream = context.stream;
        const signature = [0x89, 0x53, 0x57, 0x53, 0x0d, 0x0a, 0x1a, 0x0a];
        if (stream && stream.length >= signature.length && stream.peek(signature.length).every((value, index) => value === signature[index])) {
            // Newer versions of netron take the type by set(), older ones by what match() returns.
            return context.set ? context.set('sws') : 'sws';
        }
        return null;
    }

    async open(context) {
        return new sws.Model(read(context.stream.peek()));
    }
};

sws.Model = class {

    constructor(file) {
        this.format = 'SWS';
        this.metadata = Array.from(file.metadata).map(([name, value]) => new sws.Argument(name, value));
        const graph = new sws.Graph(file);
        this.graphs = [graph];
        this.modules = [graph];
    }
};

// Layers by the part of their tensors' names before the last dot.
sws.Graph = class {

    constructor(file) {
        this.inputs = [];
        this.outputs = [];
        const layers = new Map();
        for (const entry of file.entries) {
            const dot = entry.name.lastIndexOf('.');
            const layer = dot < 0 ? '' : entry.name.substring(0, dot);
            if (!layers.has(layer)) {
                layers.set(layer, []);
            }
            layers.get(layer).push([entry.name.substring(dot + 1), entry]);
        }
        this.nodes = Array.from(layers).map(([name, entries]) => new sws.Node(name, entries, file));
    }
};

sws.Node = class {

    constructor(name, entries, file) {
        this.name = name;
        this.type = { name: 'Module' };
        this.outputs = [];
        this.attributes = [];
        this.inputs = entries.map(([name, entry]) => new sws.Argument(name, [new sws.Value(entry, file)]));
    }
};

sws.Argument = class {

    constructor(name, value) {
        this.name = name;
        this.value = value;
    }
};

sws.Value = class {

    constructor(entry, file) {
        this.name = entry.alias === undefined ? entry.name : entry.alias;
        this.initializer = new sws.Tensor(entry, file);
        this.type = this.initializer.type;
    }
};

sws.Tensor = class {

    constructor(entry, file) {
        this.type = new sws.TensorType(entry);
        this.category = `${entry.coding}, ${entry.end - entry.start} bytes behind the index`;
        this.encoding = '<';
        this._decode = () => file.get(entry.name).data;
    }

    // Decoded when somebody looks.
    get values() {
        const { buffer, byteOffset, byteLength } = this._decode();
        return new Uint8Array(buffer, byteOffset, byteLength);
    }
};

sws.TensorType = class {

    constructor(entry) {
        const dataTypes = new Map([
            ['BOOL', 'boolean'], ['U8', 'uint8'], ['I8', 'int8'], ['U16', 'uint16'], ['I16', 'int16'], ['U32', 'uint32'], ['I32', 'int32'],
            ['U64', 'uint64'], ['I64', 'int64'], ['F16', 'float16'], ['BF16', 'bfloat16'], ['F32', 'float32'], ['F64', 'float64'],
            ['C64', 'complex<float32>'], ['C128', 'complex<float64>'], ['F8_E4M3', 'float8e4m3fn'], ['F8_E5M2', 'float8e5m2'],
            ['F8_E4M3FNUZ', 'float8e4m3fnuz'], ['F8_E5M2FNUZ', 'float8e5m2fnuz']
        ]);
        this.dataType = dataTypes.get(entry.dtype) || String(entry.dtype).toLowerCase();
        this.shape = new sws.TensorShape(entry.shape);
    }

    toString() {
        return this.dataType + this.shape.toString();
    }
};

sws.TensorShape = class {

    constructor(dimensions) {
        this.dimensions = dimensions;
    }

    toString() {
        return this.dimensions.length > 0 ? `[${this.dimensions.map((dimension) => dimension.toString()).join(',')}]` : '';
    }
};

export const ModelFactory = sws.ModelFactory;
