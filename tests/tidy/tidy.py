#!/usr/bin/env python3
"""Checks the sources against the rules of the house: python3 tidy.py ROOT, or --self-test.

Who may include what, sizes, and leftovers. What clang-format and clang-tidy know is left to them.
"""

import re
import subprocess
import sys
from pathlib import Path

# A folder may include its own headers and those of the folders named here.
MAY_INCLUDE = {
    "base": set(),
    "domain": {"base"},
    "storage": {"base"},
    "runtime": {"base", "domain", "storage"},
    "projections": {"base", "domain", "storage", "runtime"},
}
LIBRARIES = tuple(MAY_INCLUDE)
MAX_LINE = 100
MAX_FILE = 600
MAX_FUNCTION = 70
MAX_README = 150
# Functions over MAX_FUNCTION lines, each with its reason. May only shrink.
LONG_FUNCTIONS = {}

LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
OUTPUT = re.compile(r"std::(cout|cerr|clog)|\b(printf|puts|fputs|fprintf)\(|fmt::print")
PROJECT_INCLUDE = re.compile(r'#\s*include\s*<acta/(\w+)/')
CAF_INCLUDE = re.compile(r"#\s*include\s*<caf/")
# The two headers are for those who have actors of CAF, and reach nobody else.
CAF_ALLOWED = ("runtime/src/caf/", "runtime/include/acta/runtime/caf.hpp",
               "runtime/include/acta/runtime/detail/message_reader.hpp", "bench/", "tests/",
               "examples/ways_in.cpp")
LMDB_INCLUDE = re.compile(r"#\s*include\s*<lmdb\.h")
SQLITE_INCLUDE = re.compile(r"#\s*include\s*<sqlite3\.h")
# base/ensure.cpp reports a broken invariant before it ends the process.
OUTPUT_ALLOWED = {"base/src/ensure.cpp"}


def function_lengths(text):
    """(line, length) of each body whose opening line is not indented, or is a member's."""
    lines = text.split("\n")
    for start, line in enumerate(lines):
        opens = re.match(r"^( {0,4})[^\s#/}].*\)[^;]*\{$", line)
        if not opens or re.match(r"^\s*(namespace|class|struct|enum|union)\b", line):
            continue
        indent = opens.group(1)
        if re.match(r"^\s*:", line):  # a constructor's initialisers; it began on a line before
            indent = "  " if lines[start - 1].startswith("  ") else ""
        for end in range(start + 1, len(lines)):
            if re.match(r"^%s\}" % indent, lines[end]):
                yield start + 1, end - start + 1
                break


def check_includes(name, text):
    folder = name.split("/")[0]
    if folder in LIBRARIES:
        for used in PROJECT_INCLUDE.findall(text):
            if used != folder and used not in MAY_INCLUDE[folder]:
                yield f"{name}: {folder} may not include acta/{used}"
    if CAF_INCLUDE.search(text) and not name.startswith(CAF_ALLOWED):
        yield f"{name}: CAF is included outside runtime/src/caf"
    if LMDB_INCLUDE.search(text) and not name.startswith(("storage/src/", "bench/", "tests/")):
        yield f"{name}: lmdb.h is included outside storage/src"
    if SQLITE_INCLUDE.search(text) and not name.startswith(("projections/src/sqlite/", "tests/")):
        yield f"{name}: sqlite3.h is included outside projections/src/sqlite"


def check_source(name, text):
    yield from check_includes(name, text)
    folder = name.split("/")[0]
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            yield f"{name}:{number}: {len(line)} columns, {MAX_LINE} at most"
        if LEFTOVERS.search(line) and not name.startswith("tests/tidy/"):
            yield f"{name}:{number}: a leftover: {line.strip()}"
        if folder in LIBRARIES and name not in OUTPUT_ALLOWED and OUTPUT.search(line):
            yield f"{name}:{number}: a library prints: {line.strip()}"
    if len(lines) > MAX_FILE:
        yield f"{name}: {len(lines)} lines, {MAX_FILE} at most"
    if name.endswith(".hpp") and "#pragma once" not in text:
        yield f"{name}: no #pragma once"
    for line, length in function_lengths(text):
        if length > MAX_FUNCTION and (name, line) not in LONG_FUNCTIONS:
            yield f"{name}:{line}: a function of {length} lines, {MAX_FUNCTION} at most"


def check_ensures(sources):
    """At least ten run-time assertions per 1,000 lines of storage and runtime."""
    for folder in ("storage", "runtime"):
        texts = [text for name, text in sources.items() if name.startswith(f"{folder}/src/")]
        lines = sum(text.count("\n") for text in texts)
        ensures = sum(len(re.findall(r"\bensure\(", text)) for text in texts)
        if ensures * 1000 < lines * 10:
            yield f"{folder}: {ensures} ensure() in {lines} lines, 10 per 1,000 at least"


def check_folders(root):
    for folder in (*LIBRARIES, "apps", "bench", "examples", "tests", "cmake", "docs"):
        if not (root / folder / "README.md").is_file():
            yield f"{folder}: no README.md that says what lives here"
    readme = root / "README.md"
    lines = readme.read_text().count("\n") if readme.is_file() else 0
    if not 1 <= lines <= MAX_README:
        yield f"README.md: {lines} lines, 1 to {MAX_README}"


def check_snippets(root, sources):
    """Every C++ snippet of these pages is part of an example, which is compiled."""
    examples = "".join(text for name, text in sources.items() if name.startswith("examples/"))
    for page in ("README.md", "docs/lmdb-views.md", "docs/process-managers.md",
                 "docs/sqlite-views.md", "docs/testing.md"):
        for snippet in re.findall(r"```cpp\n(.*?)```", (root / page).read_text(), re.S):
            if snippet not in examples:
                yield f"{page}: in no example: {snippet.strip().splitlines()[0]}"


TEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)([^\n]*)", re.M)
ITEM = re.compile(r"\b(?:[A-H]\d+|[IJ]\d{3})\b")  # those of the table; I1 to I9 are invariants
NAMED_TEST = re.compile(r"`(\w+\.\w+)`")


def tests_and_items(text):
    """Each test of a file, and the items it says it shows: beside it, or in the comment above it."""
    for found in TEST.finditer(text):
        above = re.search(r"(?:^//[^\n]*\n)*\Z", text[:found.start()], re.M).group()
        below = re.match(r"(?:\n +//[^\n]*)*", text[found.end():]).group()
        comment = above + found[3].partition("//")[2] + below
        yield f"{found[1]}.{found[2]}", set(ITEM.findall(comment))


def check_conformance(page, sources):
    """The table names tests that there are, and each that says it shows an item."""
    shown = {}
    for name, text in sources.items():
        if name.startswith("tests/"):
            for test, items in tests_and_items(text):
                shown.setdefault(test, set()).update(items)
    rows = dict(re.findall(r"^\| ([A-J]\d+) (\|.*)$", page, re.M))
    named = {item: set(NAMED_TEST.findall(row)) for item, row in rows.items()}
    for item, tests in named.items():
        for test in sorted(tests - shown.keys()):
            yield f"docs/conformance.md: {item}: no test is called {test}"
    for test, items in shown.items():
        for item in sorted(items):
            if test not in named.get(item, ()):
                yield f"docs/conformance.md: {item} does not name {test}, which says it shows it"


def check_tree(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
                             "--exclude-standard", "*.hpp", "*.cpp"],
                            check=True, capture_output=True, text=True).stdout.split("\0")
    sources = {name: (root / name).read_text() for name in listed if name}
    if not sources:
        yield "no sources found"
    for name, text in sources.items():
        yield from check_source(name, text)
    yield from check_ensures(sources)
    yield from check_folders(root)
    yield from check_snippets(root, sources)
    yield from check_conformance((root / "docs/conformance.md").read_text(), sources)


def self_test():
    def problems(name, text):
        return list(check_source(name, text))

    good = "#pragma once\n#include <acta/base/ids.hpp>\nint f();\n"
    assert not problems("storage/include/a.hpp", good)
    bad = {
        "storage/src/a.cpp": "#include <acta/runtime/engine.hpp>\n",
        "domain/src/a.cpp": "#include <acta/storage/record.hpp>\n",
        "base/src/a.cpp": "#include <acta/domain/aggregate.hpp>\n",
        "runtime/src/a.cpp": "#include <caf/all.hpp>\n",
        "runtime/include/acta/runtime/engine.hpp": "#pragma once\n#include <caf/actor.hpp>\n",
        "projections/src/a.cpp": "#include <lmdb.h>\n",
        "projections/include/a.hpp": "#pragma once\n#include <sqlite3.h>\n",
        "storage/src/b.cpp": '  std::printf("x");\n',
        "storage/src/c.cpp": "// TO" + "DO: later\n",
        "storage/src/d.cpp": "// " + "x" * 100 + "\n",
        "storage/src/e.cpp": "\n" * 700,
        "storage/include/f.hpp": "int f();\n",
        "storage/src/g.cpp": "void f() {\n" + "  f();\n" * 70 + "}\n",
        "storage/src/h.hpp": "#pragma once\nclass c {\n  void f() {\n" + "    f();\n" * 70 + "  }\n};\n",
    }
    for name, text in bad.items():
        assert problems(name, text), f"nothing found in {name}"
    assert list(check_ensures({"storage/src/a.cpp": "x\n" * 1000, "runtime/src/a.cpp": "x\n"}))
    test = "// A1\nTEST(one, works) { // B2\n  // C3\n  f();\n}\n"
    rows = "| A1 | x | `one.works` |\n| B2 | x | `one.works` |\n| C3 | x | `one.works` |\n"
    assert not list(check_conformance(rows, {"tests/a.cpp": test}))
    assert list(check_conformance(rows.replace("one", "two"), {"tests/a.cpp": test}))
    assert len(list(check_conformance("", {"tests/a.cpp": test}))) == 3
    assert not problems("runtime/src/caf/a.cpp", "#include <caf/all.hpp>\n")
    assert not problems("runtime/include/acta/runtime/caf.hpp",
                        "#pragma once\n#include <caf/actor.hpp>\n")
    assert not problems("storage/src/a.cpp", "void f() {\n" + "  f();\n" * 68 + "}\n")


def main(arguments):
    if arguments == ["--self-test"]:
        self_test()
        return 0
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    found = list(check_tree(Path(arguments[0])))
    for problem in found:
        print(problem)
    return 1 if found else 0


sys.exit(main(sys.argv[1:]))
