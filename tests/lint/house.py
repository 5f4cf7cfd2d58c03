# SPDX-License-Identifier: BSD-3-Clause
"""The house rules that a machine can check. check(root) yields (name, passed, detail) for each rule."""
import pathlib
import re
import subprocess
import tempfile

C_FOLDERS = ("include", "sip", "media", "dataplane", "control")
# What a folder may include beside itself and libc (architecture §2). main.c of a daemon may include everything.
MAY_INCLUDE = {
    "include": {"include"},
    "sip": {"include", "sip"},
    "media": {"include", "media"},
    "dataplane": {"include", "sip", "media", "dataplane"},
    "control": {"include", "control", "sip/uri.h", "sip/digest.h", "sip/policy.h", "sip/rule.h", "sip/core.h", "sip/msg.h",
                "sip/route_image.h", "sip/route_build.h"},
}
THIRD_PARTY_FREE = {"include", "sip", "media"}
FORBIDDEN_CALLS = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets)\s*\(")
PRINTF = re.compile(r"(?<![\w_])printf\s*\(")
LIBC = {p.stem + ".h" for p in pathlib.Path("/usr/include").glob("*.h")} | {"stdatomic.h", "stdbool.h", "stddef.h",
    "stdint.h", "stdarg.h", "stdalign.h", "limits.h", "float.h", "immintrin.h", "nmmintrin.h", "emmintrin.h",
    "x86intrin.h", "tmmintrin.h", "smmintrin.h", "wmmintrin.h", "cpuid.h"}


def sources(root, patterns=("*.c", "*.h")):
    for folder in C_FOLDERS:
        for pattern in patterns:
            yield from sorted((root / folder).rglob(pattern))


def layers(root):
    for path in sources(root):
        rel = path.relative_to(root)
        folder = rel.parts[0]
        for n, line in enumerate(path.read_text().splitlines(), 1):
            m = re.match(r'#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not m:
                continue
            quote, name = m.groups()
            if name.endswith("tandem.pb-c.h"):
                continue
            if quote == '"':
                if "/" not in name:
                    yield f"{rel}:{n}: '{name}' is not path-qualified from the root"
                elif rel.name != "main.c" and name.split("/")[0] not in MAY_INCLUDE[folder] \
                        and name not in MAY_INCLUDE[folder]:
                    yield f"{rel}:{n}: {folder}/ may not include '{name}'"
            elif folder in THIRD_PARTY_FREE and "/" not in name and name not in LIBC:
                yield f"{rel}:{n}: {folder}/ includes libc only, not <{name}>"
            elif folder != "dataplane" and name.startswith("rte_"):
                yield f"{rel}:{n}: only dataplane/ knows DPDK"


def lengths(root):
    further = [path for folder in ("perf", "tests") for path in sorted((root / folder).rglob("*.[ch]"))]
    for path in [*sources(root), *further]:
        rel = path.relative_to(root)
        lines = path.read_text().splitlines()
        if len(lines) > 800 and rel.parts[0] != "tests":
            yield f"{rel}: {len(lines)} lines (at most 800)"
        for n, line in enumerate(lines, 1):
            width = len(line.expandtabs(8))
            if width > 100:
                yield f"{rel}:{n}: {width} columns"
    tags = subprocess.run(["ctags", "-R", "--languages=C", "--kinds-C=f", "--fields=+ne", "-f", "-",
                           *[f for f in C_FOLDERS if (root / f).is_dir()]], cwd=root, capture_output=True, text=True)
    for row in tags.stdout.splitlines():
        fields = dict(f.split(":", 1) for f in row.split("\t")[3:] if ":" in f)
        if "line" in fields and "end" in fields:
            length = int(fields["end"]) - int(fields["line"]) + 1
            if length > 70:
                name, where = row.split("\t")[:2]
                yield f"{where}: {name}() has {length} lines (at most 70)"


def spdx(root):
    for path in list(sources(root)) + sorted((root / "tests").rglob("*.[ch]")) + sorted((root / "perf").rglob("*.[ch]")):
        if "SPDX-License-Identifier: BSD-3-Clause" not in path.read_text().split("\n", 1)[0]:
            yield f"{path.relative_to(root)}: the first line has no SPDX tag"


def words(root):
    for path in sources(root):
        rel = path.relative_to(root)
        cli = rel.parts[0] == "control" and rel.name.startswith(("ctl", "tandemctl")) or rel.name == "main.c"
        for n, line in enumerate(path.read_text().splitlines(), 1):
            code = line.split("//")[0]
            if FORBIDDEN_CALLS.search(code):
                yield f"{rel}:{n}: a call that cannot be bounded"
            if PRINTF.search(code) and not cli:
                yield f"{rel}:{n}: printf outside the CLI"
            if re.search(r"\b(TODO|FIXME|HACK)\b", line):
                yield f"{rel}:{n}: unfinished by its own words"


def headers_alone(root):
    flags = subprocess.run(["pkg-config", "--cflags", "libdpdk", "libprotobuf-c"], capture_output=True, text=True).stdout.split()
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(["protoc-c", "--proto_path=include", f"--c_out={folder}", "include/tandem.proto"], cwd=root,
                              capture_output=True, text=True)
        if made.returncode != 0:
            yield f"tandem.proto: {made.stderr}"
        for path in sources(root, ("*.h",)):
            extra = flags if path.relative_to(root).parts[0] in ("dataplane", "control") else []
            p = subprocess.run(["gcc", "-std=gnu2x", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-I.",
                                f"-I{folder}", *extra, "-fsyntax-only", "-x", "c", "-include", str(path), "/dev/null"],
                               cwd=root, capture_output=True, text=True)
            if p.returncode != 0 or "warning" in p.stderr:
                yield f"{path.relative_to(root)}: {p.stderr.strip().splitlines()[0] if p.stderr else 'does not compile'}"


def counters_used(root):
    """A counter that nothing counts is a name that lies."""
    text = "\n".join(p.read_text() for p in sources(root) if p.name != "counters.h")
    for name in re.findall(r"^\s*X\((\w+),", (root / "include" / "counters.h").read_text(), re.M):
        if f"TD_C_{name}" not in text:
            yield f"include/counters.h: nothing counts {name}"


def folder_readmes(root):
    for folder in ("sip", "media", "dataplane", "control", "configs", "perf", "tests", "include"):
        if not (root / folder / "README.md").is_file():
            yield f"{folder}/README.md is missing"


def check(root):
    for rule in (layers, lengths, spdx, words, headers_alone, counters_used, folder_readmes):
        faults = list(rule(root))
        yield f"lint: {rule.__name__}", not faults, "\n".join(faults)
