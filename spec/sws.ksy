meta:
  id: sws
  title: sws, compressed tensors of quantised and sparse models
  file-extension: sws
  license: Apache-2.0
  ks-version: '0.11'
  endian: le
  bit-endian: le
doc: |
  Version 1.0 of the format that sws-1.0.md describes: header, index with every parameter of every record, and the
  payloads as bytes. Payloads are not decoded.

  Numbers that follow from earlier elements of a list are handed from one element to the next as parameters, so each
  is known as soon as its element is read: nothing recurses, whatever the size of the file.

  A coding that is to be known here takes
  1. its number in the enumeration `coding` and in `body.is_known`;
  2. a type `..._params` for its parameters, whose `_parent` is the body of its record, and its line in `body.params`;
  3. if it has code tables (or bitmaps), its line in `body.num_tables` (`num_bitmaps`): `before` has the earlier ones;
  4. if it holds parts, its lines in `body.has_parts` and `body.part_rules`, and in its parameters, which end before
     the first part, a list `part_rules` of the type `part_rule`: what each part is. The parts, their payloads and all
     that is numbered through them follow by themselves;
  5. if it has no parts and no payload length, its lines in `body.has_len_payload` and `body.len_payload`.

  Not checked here: CRC-32, the order of keys and values, UTF-8 and uniqueness of names, which types narrow to which,
  the alphabet of an earlier code table, codes of skips alone, the limits (but the length of a bitmap), and rules about
  what lies in a payload.
doc-ref: sws-1.0.md

seq:
  - id: signature
    contents: [0x89, SWS, 0x0d, 0x0a, 0x1a, 0x0a]
  - id: major
    type: u1
    valid: 1
  - id: minor
    type: u1
  - id: len_index
    type: varint
  - id: index
    type: index
    size: len_index.value
  - id: index_crc
    type: u4
  - id: payloads
    type: payload(index.records[_index].body)
    repeat: expr
    repeat-expr: index.records.size
    doc: One for each record.
  - id: end
    size-eos: true
    valid:
      expr: _.length == 0
instances:
  ofs_index:
    value: 10 + len_index.groups.size
    doc: Where the index begins in the file.

enums:
  dtype:
    0: bool
    1: u8
    2: i8
    3: u16
    4: i16
    5: u32
    6: i32
    7: u64
    8: i64
    9: f16
    10: bf16
    11: f32
    12: f64
    13: c64
    14: c128
    15: c32
    16: f8_e4m3
    17: f8_e5m2
    18: f8_e4m3fnuz
    19: f8_e5m2fnuz
    20: f8_e8m0
    21: f4_x2
  coding:
    0: raw
    1: narrow
    2: alias
    3: dense
    4: sparse
    5: adaptive
    6: planes
    7: scaled
    8: escape
    9: classes
    10: lookup
  stream_kind:
    0: fixed
    1: new_table
    2: earlier_table
  bitmap_kind:
    0: all_live
    1: raw
    2: runs
    3: stride_runs
    4: copy
    5: masked_raw
    6: masked_runs
  shift:
    0: none
    1: zero
    2: offset
  step:
    0: up
    1: unused
    2: down
    3: explicit

types:

  # ---- Bytes ---------------------------------------------------------------------------------------------------------

  varint:
    doc: LEB128.
    seq:
      - id: groups
        type: >-
          varint_group(_index > 0 ? groups[_index - 1].value : 0, _index > 0 ? groups[_index - 1].weight * 128 : 1)
        repeat: until
        repeat-until: not _.has_next or _.weight == 72057594037927936
        valid:
          # The ninth byte is the last one; the last of several is not zero.
          expr: '_.has_next ? _.weight < 72057594037927936 : (_.low > 0 or _.weight == 1)'
    instances:
      value:
        value: groups.last.value

  varint_group:
    params:
      - id: before
        type: u8
      - id: weight
        type: u8
    seq:
      - id: octet
        type: u1
    instances:
      has_next:
        value: octet >= 128
      low:
        value: octet & 127
      value:
        value: before + low * weight

  utf8:
    seq:
      - id: len_text
        type: varint
      - id: text
        type: str
        size: len_text.value
        encoding: UTF-8

  payload:
    doc: What lies behind the index of a record or a part.
    params:
      - id: body
        type: body
    seq:
      - id: place
        type: place(_io.pos, body.len_outer)
        if: not body.has_parts
        doc: From the beginning of the file. Empty where the payload lies in the index.
      - id: parts
        type: payload(body.parts[_index].body)
        repeat: expr
        repeat-expr: body.parts.size
        if: body.has_parts

  place:
    params:
      - id: ofs
        type: u8
      - id: len_data
        type: u8
    seq:
      - id: data
        size: len_data

  text:
    doc: A text that has been put together. No bytes.
    params:
      - id: value
        type: str

  dtype_size:
    params:
      - id: dtype_id
        type: u1
    instances:
      value:
        value: >-
          dtype_id <= 2 ? 1 :
          dtype_id <= 4 ? 2 :
          dtype_id <= 6 ? 4 :
          dtype_id <= 8 ? 8 :
          dtype_id <= 10 ? 2 :
          dtype_id == 11 ? 4 :
          dtype_id <= 13 ? 8 :
          dtype_id == 14 ? 16 :
          dtype_id == 15 ? 4 : 1

  # ---- Index ---------------------------------------------------------------------------------------------------------

  index:
    seq:
      - id: num_metadata
        type: varint
      - id: metadata
        type: pair
        repeat: expr
        repeat-expr: num_metadata.value
      - id: num_codebooks
        type: varint
      - id: codebooks
        type: codebook
        repeat: expr
        repeat-expr: num_codebooks.value
      - id: num_records
        type: varint
      - id: no_resources
        type: resources(num_records, 0, 0)
        doc: Takes no bytes.
      - id: records
        type: >-
          record(_index,
          _index > 0 ? records[_index - 1].name : "",
          _index > 0 ? records[_index - 1].dtype_id : 11,
          _index > 0 ? records[_index - 1].body.after : no_resources)
        repeat: expr
        repeat-expr: num_records.value
      - id: end
        size-eos: true
        valid:
          expr: _.length == 0

  pair:
    seq:
      - id: key
        type: utf8
      - id: value
        type: utf8

  codebook:
    seq:
      - id: dtype
        type: u1
        enum: dtype
        valid:
          in-enum: true
      - id: storage
        type: u1
        enum: dtype
        valid:
          in-enum: true
      - id: storage_size
        type: dtype_size(storage.to_i)
      - id: num_values
        type: varint
        valid:
          expr: _.value >= 1 and _.value <= 4095
      - id: values
        type:
          switch-on: storage_size.value
          cases:
            1: u1
            2: u2
            4: u4
            8: u8
        repeat: expr
        repeat-expr: num_values.value
        doc: Symbols 1 to num_values, as the `bits` of the storage type.

  # ---- Tensor records ------------------------------------------------------------------------------------------------

  record:
    params:
      - id: number
        type: s4
      - id: name_before
        type: str
      - id: dtype_before
        type: u1
      - id: before
        type: resources
    seq:
      - id: len_prefix
        type: varint
        valid:
          expr: _.value <= name_before.length
      - id: suffix_code
        type: varint
        valid:
          expr: _.value % 2 == 0 or (_.value + 1) / 2 <= number
      - id: suffix_literal
        type: str
        size: suffix_code.value / 2
        encoding: ISO-8859-1
        if: suffix_code.value % 2 == 0
      - id: suffix
        type: >-
          text(suffix_code.value % 2 == 0 ? suffix_literal
          : _parent.records[number - (suffix_code.value + 1) / 2].suffix.value)
        doc: Takes no bytes.
      - id: coding_low
        type: b4
      - id: rank_low
        type: b3
        valid:
          expr: _ == 0 or coding_low != 2
      - id: has_dtype
        type: b1
        valid:
          expr: (not _) or coding_low != 2
      - id: coding_high
        type: varint
        if: coding_low == 15
        valid:
          expr: _.value >= 15
      - id: dtype_own
        type: u1
        if: has_dtype
      - id: rank_high
        type: varint
        if: rank_low == 7
        valid:
          expr: _.value >= 7
      - id: lengths
        type: varint
        repeat: expr
        repeat-expr: rank
      - id: dimensions
        type: 'dimension(lengths[_index].value, _index > 0 ? dimensions[_index - 1].product : 1)'
        repeat: expr
        repeat-expr: rank
        doc: Take no bytes.
      - id: target
        type: varint
        if: coding_id == 2
        valid:
          expr: _.value < number and _parent.records[_.value].coding_id != 2
      - id: body
        type: body(_parent, before, coding_id, dtype_id, dimensions, 0)
        doc: Takes no bytes for an alias.
    instances:
      name:
        value: name_before.substring(0, len_prefix.value) + suffix.value
        doc: The bytes of the name, each as one character (ISO 8859-1), since a prefix may end within a character.
      coding_id:
        value: 'coding_low == 15 ? coding_high.value : coding_low'
      coding:
        value: coding_id
        enum: coding
      dtype_id:
        value: 'has_dtype ? dtype_own : dtype_before'
        doc: What it means for an alias is the dtype before it.
      dtype:
        value: dtype_id
        enum: dtype
      rank:
        value: 'rank_low == 7 ? rank_high.value : rank_low'

  part:
    doc: A record without a name, which another one holds.
    params:
      - id: index
        type: index
      - id: before
        type: resources
      - id: rule
        type: part_rule
      - id: depth
        type: s4
        doc: How many bodies it lies in.
    seq:
      - id: bounded
        type: evaluated(depth)
        valid:
          expr: _.value <= 4
        doc: Takes no bytes. Section 4.1 limits the depth.
      - id: coding_low
        type: b4
        valid:
          expr: _ != 2
      - id: reserved
        type: b3
        valid: 0
      - id: has_dtype
        type: b1
        valid:
          expr: not (_ and rule.no_other)
      - id: coding_high
        type: varint
        if: coding_low == 15
        valid:
          expr: _.value >= 15
      - id: dtype_own
        type: u1
        if: has_dtype
        valid:
          expr: >-
            _ != rule.dtype_id and
            (_ >= 1 and _ <= 6 or _ >= 9 and _ <= 11 or _ == 12 and rule.has_f64 or _ >= 16 and _ != 21)
        doc: Of numbers, as far as is known.
      - id: body
        type: body(index, before, coding_id, dtype_id, rule.dimensions, depth)
    instances:
      coding_id:
        value: 'coding_low == 15 ? coding_high.value : coding_low'
      dtype_id:
        value: 'has_dtype ? dtype_own : rule.dtype_id'

  part_rule:
    doc: What its coding says of a part. No bytes.
    params:
      - id: dtype_id
        type: u1
        doc: The usual one.
      - id: no_other
        type: bool
        doc: Whether no other dtype is allowed. Else it is one that `scaled` has numbers for.
      - id: has_f64
        type: bool
        doc: Whether F64 is among them.
      - id: dimensions
        type: dimension[]

  body:
    doc: Parameters, parts and payload of a record or of a part.
    params:
      - id: index
        type: index
      - id: before
        type: resources
      - id: coding_id
        type: u8
      - id: dtype_id
        type: u1
      - id: dimensions
        type: dimension[]
      - id: depth
        type: s4
        doc: How many bodies it lies in.
    seq:
      - id: element_size
        type: dtype_size(dtype_id)
        valid:
          expr: dtype_id <= 21 or coding_id == 2 or not is_known
        doc: Takes no bytes. Not defined for an alias, nor for a dtype that is not known.
      - id: params
        if: coding_id != 0 and coding_id != 2
        type:
          switch-on: coding_id
          cases:
            1: narrow_params
            3: dense_params
            4: sparse_params
            5: adaptive_params
            6: planes_params
            7: scaled_params
            8: escape_params
            9: classes_params
            10: lookup_params
            _: unknown_params
      - id: parts
        type: 'part(index, _index > 0 ? parts[_index - 1].body.after : before, part_rules[_index], depth + 1)'
        repeat: expr
        repeat-expr: part_rules.size
        if: has_parts
      - id: len_payload_own
        type: varint
        if: has_len_payload
      - id: crc
        type: u4
        if: len_payload >= 256
      - id: inline_payload
        type: place(_io.pos, len_payload)
        if: len_payload >= 1 and len_payload <= 255
        doc: From the beginning of the index.
      - id: own
        type: resources(before, before.num_bitmaps + num_bitmaps, before.num_tables + num_tables)
        if: not has_parts
        doc: Takes no bytes.
    instances:
      is_known:
        value: coding_id <= 10
      coding:
        value: coding_id
        enum: coding
      dtype:
        value: dtype_id
        enum: dtype
      numel:
        value: 'dimensions.size == 0 ? 1 : dimensions.last.product'
      rows:
        value: 'dimensions.size == 0 ? 1 : dimensions.first.value'
        doc: The first dimension, 1 where there is none.
      columns:
        value: numel / rows
        doc: Defined for tensors with elements.
      has_parts:
        value: coding_id == 6 or coding_id == 7 or coding_id == 8 or coding_id == 10
      part_rules:
        value: >-
          coding_id == 6 ? params.as<planes_params>.part_rules :
          coding_id == 7 ? params.as<scaled_params>.part_rules :
          coding_id == 8 ? params.as<escape_params>.part_rules : params.as<lookup_params>.part_rules
        doc: Defined where there are parts.
      has_entries:
        value: coding_id == 4 and params.as<sparse_params>.num_entries.value > 0
      has_len_payload:
        value: 'coding_id > 4 ? not has_parts : coding_id == 3 or has_entries'
      len_payload:
        value: >-
          has_len_payload ? len_payload_own.value :
          coding_id == 0 ? numel * element_size.value :
          coding_id == 1 ? numel * params.as<narrow_params>.storage_size.value : 0
        doc: 0 where there are parts.
      len_outer:
        value: 'len_payload >= 256 ? len_payload : 0'
      num_bitmaps:
        value: 'has_entries ? params.as<sparse_params>.entries.num_bitmaps : 0'
        doc: Not defined where there are parts, as num_tables.
      num_tables:
        value: >-
          coding_id == 3 ? params.as<dense_params>.num_tables :
          has_entries ? params.as<sparse_params>.entries.num_tables : 0
      after:
        value: 'has_parts ? parts.last.body.after.as<resources> : own'

  resources:
    doc: The code tables and bitmaps of the index up to the end of a body. No bytes.
    params:
      - id: before
        type: struct
        doc: Those up to its beginning.
      - id: num_bitmaps
        type: s4
      - id: num_tables
        type: s4
    instances:
      body:
        value: _parent.as<body>
      bitmaps_before:
        value: before.as<resources>.num_bitmaps

  dimension:
    doc: No bytes.
    params:
      - id: value
        type: u8
      - id: product_before
        type: u8
        doc: Of the dimensions before it.
    instances:
      product:
        value: product_before * value

  narrow_params:
    seq:
      - id: storage
        type: u1
        enum: dtype
        valid:
          in-enum: true
      - id: storage_size
        type: dtype_size(storage.to_i)
        valid:
          expr: _parent.numel > 0

  dense_params:
    seq:
      - id: codebook
        type: varint
        valid:
          expr: >-
            _parent.numel > 0 and _.value < _parent.index.codebooks.size and
            _parent.index.codebooks[_.value].dtype.to_i == _parent.dtype_id
      - id: kind
        type: b2
        enum: stream_kind
        valid:
          in-enum: true
      - id: reserved
        type: b2
        valid: 0
      - id: chunk_code
        type: b4
        valid:
          expr: _ == 0 or (kind != stream_kind::fixed and _parent.numel > (1 << (_ + 9)))
      - id: table
        type: varint
        if: kind == stream_kind::earlier_table
        valid:
          expr: _.value < _parent.before.num_tables
      - id: width
        type: u1
        if: chunk_code > 0
        valid:
          min: 1
          max: 32
      - id: new_table
        type: code_table(_parent.index.codebooks[codebook.value].num_values.value + 1)
        if: kind == stream_kind::new_table
        doc: Packed bits, up to the end of the padding.
      - id: padding
        type: padding(new_table.num_bits)
        if: kind == stream_kind::new_table
    instances:
      num_tables:
        value: 'kind == stream_kind::new_table ? 1 : 0'

  adaptive_params:
    seq:
      - id: codebook
        type: varint
        valid:
          expr: >-
            _parent.numel > 0 and _.value < _parent.index.codebooks.size and
            _parent.index.codebooks[_.value].dtype.to_i == _parent.dtype_id
      - id: by_columns
        type: b1
        valid:
          expr: '(_ ? _parent.rows : _parent.columns) <= 4194304'
        doc: A chunk has at most 2^31 lines.
      - id: light
        type: b1
      - id: no_zeros
        type: b1
      - id: has_stride
        type: b1
      - id: has_chunks
        type: b1
      - id: has_classes
        type: b1
      - id: reserved
        type: b2
        valid: 0
      - id: stride
        type: varint
        if: has_stride
        valid:
          expr: _.value >= 2 and _.value <= 65536
      - id: chunk_lines
        type: varint
        if: has_chunks
        valid:
          expr: '_.value >= 1 and _.value < (by_columns ? _parent.columns : _parent.rows)'
      - id: row_classes_less_one
        type: b3
        if: has_classes
        valid:
          expr: _ < _parent.rows
      - id: column_classes_less_one
        type: b3
        if: has_classes
        valid:
          expr: _ < _parent.columns
      - id: reserved_classes
        type: b2
        if: has_classes
        valid: 0

  classes_params:
    seq:
      - id: codebook
        type: varint
        valid:
          expr: >-
            _parent.numel > 0 and _.value < _parent.index.codebooks.size and
            _parent.index.codebooks[_.value].dtype.to_i == _parent.dtype_id and
            _parent.index.codebooks[_.value].num_values.value <= 1023
      - id: log2_lanes
        type: b3
        valid:
          max: 6
      - id: has_chunks
        type: b1
      - id: reserved
        type: b4
        valid: 0
      - id: row_classes_less_one
        type: b3
        valid:
          expr: _ < _parent.rows
      - id: column_classes_less_one
        type: b3
        valid:
          expr: _ < _parent.columns
      - id: precision
        type: b2
        valid:
          max: 2
        doc: The frequencies of a table have the sum 2^(12 - precision). A chunk has at most 2^31 rows.
      - id: chunk_rows
        type: varint
        if: has_chunks
        valid:
          expr: _.value >= 1 and _.value < _parent.rows

  sparse_params:
    seq:
      - id: num_entries
        type: varint
        valid:
          expr: _parent.numel > 0 and _.value <= _parent.numel
      - id: entries
        type: sparse_entries(num_entries.value, _parent)
        if: num_entries.value > 0

  sparse_entries:
    params:
      - id: num_entries
        type: u8
      - id: tensor
        type: body
    seq:
      - id: codebook
        type: varint
        valid:
          expr: >-
            _.value < tensor.index.codebooks.size and
            tensor.index.codebooks[_.value].dtype.to_i == tensor.dtype_id
      - id: scan_columns
        type: b1
      - id: line_ends
        type: b1
      - id: gap_kind
        type: b2
        enum: stream_kind
        valid:
          in-enum: true
      - id: value_kind
        type: b2
        enum: stream_kind
        valid:
          in-enum: true
      - id: row_kind
        type: b3
        enum: bitmap_kind
        valid:
          in-enum: true
      - id: column_kind
        type: b3
        enum: bitmap_kind
        valid:
          in-enum: true
      - id: pbits
        type: b4
        valid:
          min: 1
          max: 12
      - id: chunk_code
        type: u1
        if: num_entries >= 4096
        valid:
          expr: _ == 0 or (_ <= 15 and (not line_ends) and num_entries > (1 << (_ + 9)))
      - id: gap_table
        type: varint
        if: gap_kind == stream_kind::earlier_table
        valid:
          expr: _.value < tensor.before.num_tables
      - id: value_table
        type: varint
        if: value_kind == stream_kind::earlier_table
        valid:
          expr: '_.value < tensor.before.num_tables + (gap_kind == stream_kind::new_table ? 1 : 0)'
      - id: row_argument
        type: varint
        if: row_kind.to_i >= 3
        valid:
          expr: >-
            row_kind == bitmap_kind::stride_runs ? (_.value >= 1 and _.value < tensor.rows)
            : _.value < tensor.before.num_bitmaps
      - id: column_argument
        type: varint
        if: column_kind.to_i >= 3
        valid:
          expr: >-
            column_kind == bitmap_kind::stride_runs ? (_.value >= 1 and _.value < tensor.columns)
            : _.value < tensor.before.num_bitmaps + (row_kind != bitmap_kind::all_live ? 1 : 0)
      - id: line_width
        type: u1
        if: line_ends
        valid:
          min: 1
          max: 32
      - id: gap_width
        type: u1
        if: has_chunks
        valid:
          min: 1
          max: 32
      - id: value_width
        type: u1
        if: has_chunks
        valid:
          expr: '_ <= 32 and (_ == 0) == (value_kind == stream_kind::fixed)'
      - id: advance_width
        type: u1
        if: has_chunks
        valid:
          min: 1
          max: 32
      - id: row_bitmap
        type: 'bitmap(false, row_kind, row_kind.to_i >= 3 ? row_argument.value : 0, tensor.rows)'
        doc: The first of the packed bits.
      - id: column_bitmap
        type: 'bitmap(true, column_kind, column_kind.to_i >= 3 ? column_argument.value : 0, tensor.columns)'
      - id: new_gap_table
        type: code_table(1 << pbits)
        if: gap_kind == stream_kind::new_table
      - id: new_value_table
        type: code_table(tensor.index.codebooks[codebook.value].num_values.value)
        if: value_kind == stream_kind::new_table
      - id: padding
        type: >-
          padding(row_bitmap.num_bits + column_bitmap.num_bits
          + (gap_kind == stream_kind::new_table ? new_gap_table.num_bits : 0)
          + (value_kind == stream_kind::new_table ? new_value_table.num_bits : 0))
        valid:
          expr: num_entries <= row_bitmap.num_live * column_bitmap.num_live
    instances:
      has_chunks:
        value: num_entries >= 4096 and chunk_code > 0
      num_bitmaps:
        value: '(row_bitmap.is_stored ? 1 : 0) + (column_bitmap.is_stored ? 1 : 0)'
      num_tables:
        value: '(gap_kind == stream_kind::new_table ? 1 : 0) + (value_kind == stream_kind::new_table ? 1 : 0)'

  planes_params:
    seq:
      - id: size
        type: evaluated(_parent.element_size.value)
        valid:
          expr: _parent.numel > 0 and _parent.dtype_id >= 1 and _parent.dtype_id <= 12
        doc: Takes no bytes. Of U8 to I64, or of F16 to F64.
      - id: widths
        type: 'field_width(_index > 0 ? widths[_index - 1].sum : 0, 8 * size.value)'
        repeat: until
        repeat-until: _.sum == 8 * size.value
      - id: part_rules
        type: 'part_rule(widths[_index].value <= 8 ? 1 : 3, true, false, _parent.dimensions)'
        repeat: expr
        repeat-expr: widths.size
        valid:
          expr: widths.size > 1
        doc: Take no bytes.

  field_width:
    params:
      - id: sum_before
        type: s4
      - id: most
        type: s4
        doc: What all widths are together.
    seq:
      - id: value
        type: u1
        valid:
          expr: _ >= 1 and _ <= 16 and sum_before + _ <= most
    instances:
      sum:
        value: sum_before + value

  scaled_params:
    seq:
      - id: has_two_scales
        type: b1
        valid:
          expr: _parent.numel > 0 and _parent.dtype_id >= 9 and _parent.dtype_id <= 12
        doc: Of F16, BF16, F32 or F64.
      - id: shift
        type: b2
        enum: shift
        valid:
          in-enum: true
      - id: is_each_rounded
        type: b1
        valid:
          expr: (not _) or _parent.dtype_id <= 10
      - id: reserved
        type: b4
        valid: 0
      - id: factors
        type: factor(_parent.dimensions)
        repeat: expr
        repeat-expr: num_factors
      - id: part_rules
        type: >-
          part_rule(_index == 0 or (_index == 1 and shift == shift::zero) ? 2 : 11, false, _parent.dtype_id == 12,
          _index == 0 ? _parent.dimensions : factors[_index - 1].dimensions)
        repeat: expr
        repeat-expr: 1 + num_factors
        doc: Take no bytes. Levels, and the factors in the order of the operations.
    instances:
      num_factors:
        value: '1 + (has_two_scales ? 1 : 0) + (shift == shift::none ? 0 : 1)'

  factor:
    doc: The blocks of one factor.
    params:
      - id: whole
        type: dimension[]
        doc: Of the tensor.
    seq:
      - id: blocks
        type: varint
        repeat: expr
        repeat-expr: whole.size
        valid:
          expr: _.value < whole[_index].value
        doc: 0 is the whole dimension.
      - id: dimensions
        type: >-
          dimension(blocks[_index].value == 0 ? 1 : (whole[_index].value - 1) / blocks[_index].value + 1,
          _index > 0 ? dimensions[_index - 1].product : 1)
        repeat: expr
        repeat-expr: whole.size
        doc: Take no bytes. How many blocks each dimension has.

  escape_params:
    seq:
      - id: count
        type: varint
        valid:
          expr: _.value >= 2 and _.value / 2 <= _parent.numel
      - id: size
        type: evaluated(_parent.element_size.value)
        valid:
          expr: _.value <= 8 and _parent.dtype_id != 0
        doc: Takes no bytes.
      - id: mark
        size: size.value
        if: has_mark
        doc: The `bits` of an element.
      - id: values
        type: dimension(num_values, 1)
        repeat: expr
        repeat-expr: 1
        doc: Takes no bytes. The shape of the values.
      - id: part_rules
        type: >-
          part_rule(_index == 0 and (not has_mark) ? 0 : _parent.dtype_id, true, false,
          _index == 0 ? _parent.dimensions : values)
        repeat: expr
        repeat-expr: 2
        doc: Take no bytes. The main part and the values.
    instances:
      has_mark:
        value: count.value % 2 == 1
      num_values:
        value: count.value / 2

  lookup_params:
    seq:
      - id: num_values
        type: varint
        valid:
          expr: _.value >= 1 and _.value <= 65536 and _.value <= _parent.numel
      - id: size
        type: evaluated(_parent.element_size.value)
        valid:
          expr: _.value == 2 or _.value == 4 or _.value == 8
        doc: Takes no bytes.
      - id: differences
        type: dimension(num_values.value, 1)
        repeat: expr
        repeat-expr: 1
        doc: Takes no bytes. The shape of the differences.
      - id: part_rules
        type: >-
          part_rule(_index == 1 or size.value == 2 ? 3 : size.value == 4 ? 5 : 7, true, false,
          _index == 0 ? differences : _parent.dimensions)
        repeat: expr
        repeat-expr: 2
        doc: Take no bytes. Differences, unsigned and as wide as the elements, and indices.

  unknown_params:
    seq:
      - id: len_data
        type: varint
      - id: data
        size: len_data.value

  # ---- Packed bits ---------------------------------------------------------------------------------------------------
  # Bits that an element of another type may follow are a type of their own: where a list of attributes goes from bits
  # to something else, the compiled code steps to the next byte in other languages than Python.

  flag:
    seq:
      - id: value
        type: b1

  nibble:
    seq:
      - id: value
        type: b4

  step_bits:
    seq:
      - id: value
        type: b2
        enum: step

  bit_field:
    doc: A field of `width` bits, least significant bit first.
    params:
      - id: width
        type: s4
    seq:
      - id: bits
        type: >-
          field_bit(_index > 0 ? bits[_index - 1].value : 0, _index > 0 ? bits[_index - 1].weight * 2 : 1)
        repeat: expr
        repeat-expr: width
    instances:
      value:
        value: 'width > 0 ? bits.last.value : 0'
      limit:
        value: 'width > 0 ? bits.last.weight * 2 : 1'
        doc: Two to the power of width.

  field_bit:
    params:
      - id: before
        type: u8
      - id: weight
        type: u8
    seq:
      - id: bit
        type: b1
    instances:
      value:
        value: 'bit ? before + weight : before'

  gamma:
    doc: Elias gamma.
    seq:
      - id: zeros
        type: flag
        repeat: until
        repeat-until: _.value or _index == 32
        doc: Up to and with the one bit.
      - id: low
        type: bit_field(zeros.size - 1)
        valid:
          expr: zeros.last.value
    instances:
      value:
        value: low.limit + low.value
      num_bits:
        value: 2 * zeros.size - 1

  padding:
    doc: Zero bits up to the next byte.
    params:
      - id: num_before
        type: u8
        doc: How many bits have been read since the last byte ended.
    seq:
      - id: bits
        type: b1
        repeat: expr
        repeat-expr: (8 - num_before % 8) % 8
        valid: false

  counted_bit:
    params:
      - id: before
        type: u8
    seq:
      - id: bit
        type: b1
    instances:
      num_live:
        value: 'bit ? before + 1 : before'

  runs:
    doc: Runs of `count` bits.
    params:
      - id: count
        type: u8
    seq:
      - id: first
        type: flag
      - id: list
        type: >-
          run(first.value == (_index % 2 == 0),
          _index > 0 ? list[_index - 1].end : 0,
          _index > 0 ? list[_index - 1].num_live : 0,
          _index > 0 ? list[_index - 1].bits_after : 1)
        repeat: until
        repeat-until: _.end >= count
        valid:
          expr: _.end <= count
    instances:
      num_live:
        value: list.last.num_live
      num_bits:
        value: list.last.bits_after

  run:
    params:
      - id: value
        type: bool
      - id: start
        type: u8
      - id: live_before
        type: u8
      - id: bits_before
        type: u8
    seq:
      - id: length
        type: gamma
    instances:
      end:
        value: start + length.value
      num_live:
        value: 'value ? live_before + length.value : live_before'
      bits_after:
        value: bits_before + length.num_bits

  bitmap:
    doc: One bitmap, its live bits counted.
    params:
      - id: is_column
        type: bool
      - id: kind
        type: u1
        enum: bitmap_kind
      - id: argument
        type: u8
      - id: length
        type: u8
    seq:
      - id: bounded
        type: evaluated(length)
        if: is_stored
        valid:
          expr: _.value <= 67108864
        doc: Takes no bits. Section 8 limits the lengths.
      - id: search
        type: >-
          bitmap_probe(_index > 0 ? search[_index - 1].resources.before.as<resources> : _parent.tensor.before, argument)
        repeat: until
        repeat-until: _.found
        if: has_earlier and not is_own
        doc: Takes no bits. Goes back to the body with the earlier bitmap.
      - id: stretch
        type: 'evaluated(length % earlier_length == 0 ? length / earlier_length : 0)'
        if: has_earlier
        valid:
          expr: _.value > 0
        doc: Takes no bits. How many neighbours each bit of the earlier bitmap stands for.
      - id: bits
        type: 'counted_bit(_index > 0 ? bits[_index - 1].num_live : 0)'
        repeat: expr
        repeat-expr: num_packed
        if: kind == bitmap_kind::raw or kind == bitmap_kind::masked_raw
      - id: runs
        type: runs(num_packed)
        if: has_runs
      - id: cells
        type: >-
          stride_bit(runs, _index,
          _index > 0 ? cells[_index - 1].run_number : 0,
          _index >= argument ? cells[_index - argument].bit : false,
          _index > 0 ? cells[_index - 1].num_live : 0)
        repeat: expr
        repeat-expr: length
        if: kind == bitmap_kind::stride_runs
        doc: Take no bits. The differences are undone bit by bit, to count.
      - id: total
        type: evaluated(counted)
        valid:
          expr: _.value > 0
        doc: Takes no bits. Has the count evaluated now, lest copies of copies recurse.
    instances:
      is_stored:
        value: kind != bitmap_kind::all_live
      has_runs:
        value: kind == bitmap_kind::runs or kind == bitmap_kind::stride_runs or kind == bitmap_kind::masked_runs
      has_earlier:
        value: kind.to_i >= 4
      is_own:
        value: >-
          has_earlier and is_column and _parent.row_bitmap.is_stored and argument == _parent.tensor.before.num_bitmaps
        doc: Whether the earlier bitmap is the row bitmap of the same record.
      earlier_length:
        value: 'is_own ? _parent.row_bitmap.length : search.last.length'
      earlier_num_live:
        value: 'is_own ? _parent.row_bitmap.num_live : search.last.num_live'
      num_stretched:
        value: earlier_num_live * stretch.value
      num_packed:
        value: 'has_earlier ? num_stretched : length'
      counted:
        value: >-
          kind == bitmap_kind::all_live ? length :
          kind == bitmap_kind::copy ? num_stretched :
          kind == bitmap_kind::stride_runs ? cells.last.num_live :
          has_runs ? runs.num_live :
          num_packed > 0 ? bits.last.num_live : 0
      num_live:
        value: total.value
      num_bits:
        value: >-
          kind == bitmap_kind::raw or kind == bitmap_kind::masked_raw ? num_packed :
          has_runs ? runs.num_bits : 0

  bitmap_probe:
    doc: Whether the last of these bodies has the bitmap of that number. No bytes.
    params:
      - id: resources
        type: resources
      - id: number
        type: u8
        doc: There is one.
    instances:
      found:
        value: resources.bitmaps_before <= number
      entries:
        value: resources.body.params.as<sparse_params>.entries
      is_row:
        value: entries.row_bitmap.is_stored and number == resources.bitmaps_before
      length:
        value: 'is_row ? entries.row_bitmap.length : entries.column_bitmap.length'
      num_live:
        value: 'is_row ? entries.row_bitmap.num_live : entries.column_bitmap.num_live'

  stride_bit:
    doc: One bit of a bitmap of stride runs. No bytes.
    params:
      - id: runs
        type: runs
      - id: position
        type: u8
      - id: run_before
        type: s4
      - id: bit_before
        type: bool
        doc: The bit one stride before, false where there is none.
      - id: live_before
        type: u8
    instances:
      run_number:
        value: 'position < runs.list[run_before].end ? run_before : run_before + 1'
      bit:
        value: runs.list[run_number].value != bit_before
      num_live:
        value: 'bit ? live_before + 1 : live_before'

  evaluated:
    doc: A number that has been evaluated. No bytes.
    params:
      - id: value
        type: u8

  code_table:
    params:
      - id: alphabet
        type: s4
    seq:
      - id: single_flag
        type: flag
      - id: single
        type: bit_field(field_width)
        if: is_single
        valid:
          expr: _.value < alphabet
      - id: first_length
        type: nibble
        if: not is_single
        valid:
          expr: _.value >= 1 and _.value <= 12
      - id: tokens
        type: >-
          token(_index > 0 ? tokens[_index - 1].length_after : first_length.value,
          _index > 0 ? tokens[_index - 1].symbol_after : 0,
          _index > 0 ? tokens[_index - 1].kraft_after : 0,
          _index > 0 ? tokens[_index - 1].bits_after : 5)
        repeat: until
        repeat-until: _.kraft_after >= 4096
        if: not is_single
        valid:
          expr: _.kraft_after <= 4096 and _.symbol_after <= alphabet and _.length_after >= 1 and _.length_after <= 12
    instances:
      is_single:
        value: single_flag.value
      field_width:
        value: >-
          alphabet > 2048 ? 12 : alphabet > 1024 ? 11 : alphabet > 512 ? 10 : alphabet > 256 ? 9 :
          alphabet > 128 ? 8 : alphabet > 64 ? 7 : alphabet > 32 ? 6 : alphabet > 16 ? 5 :
          alphabet > 8 ? 4 : alphabet > 4 ? 3 : alphabet > 2 ? 2 : alphabet > 1 ? 1 : 0
        doc: The bit length of alphabet - 1.
      num_bits:
        value: 'is_single ? 1 + field_width : tokens.last.bits_after'

  token:
    params:
      - id: length_before
        type: s4
      - id: symbol
        type: s4
        doc: The first symbol that the token tells of.
      - id: kraft_before
        type: s4
        doc: In 4096ths.
      - id: bits_before
        type: s4
    seq:
      - id: long_flag
        type: flag
      - id: step
        type: step_bits
        if: is_long
      - id: num_unused
        type: gamma
        if: is_unused
      - id: length_own
        type: nibble
        if: is_explicit
    instances:
      is_long:
        value: long_flag.value
      is_unused:
        value: is_long and step.value == step::unused
      is_explicit:
        value: is_long and step.value == step::explicit
      length_after:
        value: >-
          (not is_long) or is_unused ? length_before :
          is_explicit ? length_own.value :
          step.value == step::up ? length_before + 1 : length_before - 1
      code_length:
        value: 'is_unused ? 0 : length_after'
      symbol_after:
        value: 'is_unused ? symbol + num_unused.value : symbol + 1'
      kraft_after:
        value: 'is_unused ? kraft_before : kraft_before + (4096 >> length_after)'
      bits_after:
        value: >-
          bits_before + ((not is_long) ? 1 : is_unused ? 3 + num_unused.num_bits : is_explicit ? 7 : 3)
