#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Gate: what the objects of the packet path may call outside themselves.

Every object of sip/ and media/ and every stage of dataplane/ is read with nm; an undefined symbol that is neither defined in
the switch's own archives nor on the allow-list fails. The gate is shown to work on an object with a planted malloc().
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))

# Pure computation of libc and the compiler.
ALLOWED = {"memcpy", "memmove", "memset", "memcmp", "memchr", "memrchr", "strlen", "__assert_fail", "__stack_chk_fail",
           "__memcpy_chk", "__memset_chk", "__memmove_chk", "__errno_location", "__cpu_model", "__cpu_indicator_init",
           "inet_pton", "inet_ntop", "_GLOBAL_OFFSET_TABLE_", "__popcountdi2", "bcmp", "qsort", "bsearch",
           "strchr", "strrchr", "strncmp", "strncasecmp", "strnlen", "strpbrk"}
# Hashes of nettle, which computes in the caller's context alone.
HASHES = {f"nettle_{h}_{what}" for h in ("md5", "sha256") for what in ("init", "update", "digest")}
# PCRE2 matches in memory that the matcher had from the start.
MATCHING = {"pcre2_match_8", "pcre2_get_ovector_pointer_8"}
# Start-up code may allocate: constructors and what an operator's push compiles.
START_UP = {"malloc", "aligned_alloc", "calloc", "free", "realloc", "snprintf", "__snprintf_chk", "strcmp", "strncmp", "strchr", "strtoul",
            "__isoc23_strtoul", "memmem", "qsort_r", "vsnprintf",
            "__vsnprintf_chk", "rte_zmalloc_socket", "rte_calloc_socket", "rte_free"}
START_UP_FILES = {"engine.c", "pool.c", "slab.c", "policy.c", "policy_ingress.c", "policy_plan.c", "policy_limit.c", "policy_numbers.c",
                  "rule_compile.c", "health.c", "route_check.c", "route_intern.c", "route_build.c", "route_join.c", "route_write.c",
                  "handoff.c"}
# Text of addresses and identifiers: bounded formatting without allocation.
FORMATTING = {"snprintf", "__snprintf_chk"}
# The stages of a packet's way and what DPDK gives them inside a burst.
STAGES = {"port_rx.c", "eth_input.c", "ip_input.c", "rtp_input.c", "rtp_relay.c", "rtcp_relay.c", "ip_output.c", "port_tx.c",
          "checksum.c", "handoff.c", "sip_input.c"}
DPDK_PREFIXES = ("rte_eth_", "rte_pktmbuf_", "rte_mempool_", "rte_ring_", "per_lcore_", "rte_ipv4_frag", "rte_ipv6_frag",
                 "rte_ip_frag", "rte_hash_lookup", "rte_mbuf_",
                 "__rte_pktmbuf_", "__rte_panic")  # the last is DPDK's assertion


def symbols(obj):
    defined, undefined = set(), set()
    for line in subprocess.check_output(["nm", str(obj)], text=True).splitlines():
        kind, name = line.split()[-2:]
        (undefined if kind in "Uw" else defined).add(name)
    return defined, undefined


def objects():
    for folder, kind in (("sip", "sip"), ("media", "media"), ("dataplane", "stage")):
        for obj in sorted((BUILD / folder).glob("**/*.c.o")):
            source = obj.name.removesuffix(".o").split("_..")[-1]
            if kind == "stage" and source not in STAGES:
                continue
            yield kind, source, obj


def verdict(kind, source, undefined, own):
    for name in sorted(undefined - own - ALLOWED - HASHES):
        if name.startswith(("__asan", "__ubsan", "__sanitizer")):
            continue
        if kind == "stage" and name.startswith(DPDK_PREFIXES):
            continue
        if source == "rule.c" and name in MATCHING or source == "rule_compile.c" and name.startswith("pcre2_"):
            continue
        if name in FORMATTING or source in START_UP_FILES and name in START_UP:
            continue
        yield f"{source} calls {name}"


def planted_fault_is_found(own):
    with tempfile.TemporaryDirectory() as folder:
        source, obj = pathlib.Path(folder) / "planted.c", pathlib.Path(folder) / "planted.o"
        source.write_text("#include <stdlib.h>\nvoid *planted(void);\nvoid *planted(void) { return malloc(32); }\n")
        subprocess.check_call(["gcc", "-c", str(source), "-o", str(obj)])
        return list(verdict("sip", "planted.c", symbols(obj)[1], own)) == ["planted.c calls malloc"]


def main():
    own = set()
    for folder in ("sip", "media", "dataplane"):
        for obj in (BUILD / folder).glob("**/*.c.o"):
            own |= symbols(obj)[0]
    faults, seen = [], 0
    for kind, source, obj in objects():
        seen += 1
        faults += verdict(kind, source, symbols(obj)[1], own)
    for fault in faults:
        print(f"# {fault}")
    print("ok 1 - symbols of the packet path" if seen > 20 and not faults else f"not ok 1 - symbols of the packet path ({seen} objects)")
    print("ok 2 - a planted malloc is found" if planted_fault_is_found(own) else "not ok 2 - a planted malloc is found")
    print("1..2")
    return 0 if not faults else 1


if __name__ == "__main__":
    sys.exit(main())
