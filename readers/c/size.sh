#!/bin/sh
# Code size of sws.h, as bytes of text, data and bss, per architecture: all codings, without the table for large machines (SWS_SMALL).
# Needs cross compilers: on Debian `apt install gcc-arm-none-eabi libnewlib-arm-none-eabi gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf`.
cd "$(dirname "$0")" || exit 1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

measure() {
    label=$1 compiler=$2
    shift 2
    if ! command -v "$compiler" > /dev/null; then
        echo "$label: $compiler is not installed"
        return
    fi
    printf '#define SWS_IMPLEMENTATION\n#include "sws.h"\n' > "$out/sws.c"
    "$compiler" -std=c99 -Os -DNDEBUG -DSWS_SMALL "$@" -I. -c "$out/sws.c" -o "$out/sws.o" || return
    "$(echo "$compiler" | sed 's/gcc$/size/;s/^cc$/size/')" "$out/sws.o" | awk -v label="$label" 'NR == 2 { print label ": text " $1 ", data " $2 ", bss " $3 }'
}

measure "Cortex-M0" arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb
measure "Cortex-M4" arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb
measure "RISC-V rv32imc" riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 --specs=picolibc.specs
measure "RISC-V rv64imac" riscv64-unknown-elf-gcc -march=rv64imac -mabi=lp64 --specs=picolibc.specs
measure "this machine" cc
