#!/usr/bin/env python3
"""Checks the tree's shape: layers, includes, lengths, words, READMEs, headers. See README.md.

Usage: tidy.py [root of the tree]. Prints one line per finding; exit 0 none, 1 some, 2 usage.
"""

import pathlib
import re
import sys
from dataclasses import dataclass

# Lower modules first. A module may link those before it, never those behind it.
LAYERS = ["core", "expr", "config", "storage", "net", "kafka", "log", "state", "stores",
          "connectors", "ingress", "canon", "route", "deliver", "flow", "watch", "govern", "admin",
          "cli", "daemon"]

FILE_LINES_MAX = 450
COLUMNS_MAX = 100
README_LINES_MAX = 40

CPP_SUFFIXES = {".cpp", ".hpp"}
SKIPPED_FOLDERS = {".git", ".cache", "__pycache__", "build"}
# Spelled in two halves, so that this file passes its own check.
WORK_MARKS = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
MACHINE_FOLDERS = ["work", "home", "root", "Users", "shared", "tmp"]

INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]')
WORD = re.compile(r"\b(" + "|".join(WORK_MARKS) + r")\b")
# An absolute path begins a word: neither "https://host/home/x" nor "${DIR}/tmp/x" is one.
MACHINE_PATH = re.compile(r"(?<![\w./$}~>*?%)\]-])/(?:" + "|".join(MACHINE_FOLDERS) + r")/")


@dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message}"


class Tree:
    """The files of one source tree, read once."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self._lines = {}

    def relative(self, path):
        return path.relative_to(self.root).as_posix()

    def lines(self, path):
        if path not in self._lines:
            try:
                text = path.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                text = ""  # not text: images, archives, fixtures of broken encodings
            self._lines[path] = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
        return self._lines[path]

    def finding(self, path, line, message):
        return Finding(self.relative(path), line, message)

    def files(self, *folders):
        """Every file below the folders (all of the tree when none is named), in order."""
        found = []
        for folder in folders or ["."]:
            top = self.root / folder
            for path in top.rglob("*") if top.is_dir() else []:
                parts = path.relative_to(self.root).parts
                hidden_build = any(p in SKIPPED_FOLDERS or p.startswith("build-") for p in parts)
                if path.is_file() and not path.is_symlink() and not hidden_build:
                    found.append(path)
        return sorted(set(found))

    def cpp_files(self, *folders):
        return [path for path in self.files(*folders) if path.suffix in CPP_SUFFIXES]

    def modules(self):
        top = self.root / "src"
        folders = [p for p in top.iterdir() if p.is_dir()] if top.is_dir() else []
        # A folder without files is a place kept for later.
        return sorted(p.name for p in folders if any(child.is_file() for child in p.rglob("*")))


@dataclass(frozen=True)
class Link:
    """`module` may include `target`: said at `line` of `path`."""
    module: str
    target: str
    path: pathlib.Path
    line: int


def links(tree):
    """The edges between modules: LINK of millrace_module, and target_link_libraries of one."""
    found = []
    call = re.compile(r"\b(?:millrace_module\(\s*(\w+)|target_link_libraries\(\s*millrace_(\w+))"
                      r"([^)]*)\)")
    for module in tree.modules():
        path = tree.root / "src" / module / "CMakeLists.txt"
        if not path.is_file():
            continue
        text = "\n".join(line.split("#", 1)[0] for line in tree.lines(path))
        for match in call.finditer(text):
            name = match.group(1) or match.group(2)
            for target in re.finditer(r"\bmillrace_(\w+)", match.group(3)):
                line = text.count("\n", 0, match.start(3) + target.start()) + 1
                found.append(Link(name, target.group(1), path, line))
    return found


def closure(edges):
    """Per module, everything its links reach, itself among it."""
    direct = {}
    for link in edges:
        direct.setdefault(link.module, set()).add(link.target)
    reached = {}
    for module in set(direct) | {target for targets in direct.values() for target in targets}:
        seen = {module}
        waiting = [module]
        while waiting:
            for target in direct.get(waiting.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        reached[module] = seen
    return reached


def check_layers(tree):
    found = []
    for link in links(tree):
        if link.target not in LAYERS:
            found.append(tree.finding(link.path, link.line,
                f"millrace_{link.target} is no known module; fix the name, or place it in LAYERS "
                "of tests/tidy/tidy.py"))
        elif link.module in LAYERS and LAYERS.index(link.target) >= LAYERS.index(link.module):
            found.append(tree.finding(link.path, link.line,
                f"{link.module} links millrace_{link.target}, which stands above it; hand what it "
                "needs in through a contract in include/millrace"))
    for module in tree.modules():
        path = tree.root / "src" / module / "CMakeLists.txt"
        if module not in LAYERS:
            found.append(tree.finding(path, 1,
                f"module {module} has no layer; place it in LAYERS of tests/tidy/tidy.py and in "
                "the top CMakeLists.txt"))
    return found + check_layer_order(tree)


def check_layer_order(tree):
    """The top CMakeLists.txt adds the modules in the order of LAYERS."""
    path = tree.root / "CMakeLists.txt"
    if not path.is_file():
        return []
    text = "\n".join(tree.lines(path))
    match = re.search(r"foreach\(module\s+([^)]*)\)", text)
    if not match:
        return [tree.finding(path, 1, "no foreach(module ...) that adds src/<module>; "
                                      "tests/tidy compares its order with LAYERS")]
    line = text.count("\n", 0, match.start()) + 1
    order = match.group(1).split()
    expected = [module for module in LAYERS if module in order]
    found = []
    if [module for module in order if module in LAYERS] != expected:
        found.append(tree.finding(path, line,
            "modules are added in another order than LAYERS of tests/tidy/tidy.py; write "
            + " ".join(expected)))
    for module in tree.modules():
        if module not in order:
            found.append(tree.finding(path, line,
                f"src/{module} is never built; add {module} to foreach(module ...)"))
    return found


def includes(tree, path):
    for number, line in enumerate(tree.lines(path), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1)


def check_connector_include(tree, path, number, included):
    """Connectors see include/millrace, net, their own folder, and the Spec."""
    parts = included.split("/")
    own = path.relative_to(tree.root / "src" / "connectors").parts
    folder = own[0] if len(own) > 1 else None
    if parts[0] == "connectors":
        other = len(parts) > 2 and folder is not None and parts[1] != folder
        if not other:
            return []
        return [tree.finding(path, number,
            f"connector {folder} includes connector {parts[1]}; connectors never see each other: "
            "move what both need to net or include/millrace")]
    if parts[0] == "net" or re.fullmatch(r"config/spec\w*\.hpp", included):
        return []
    return [tree.finding(path, number,
        f"a connector includes {included}; it may include millrace/, net/, its own folder and "
        "config/spec*.hpp only")]


def check_includes(tree):
    reached = closure(links(tree))
    found = []
    for path in tree.cpp_files("src"):
        module = path.relative_to(tree.root / "src").parts[0]
        for number, included in includes(tree, path):
            if included.startswith("../") or "/../" in included:
                found.append(tree.finding(path, number,
                    f"{included} climbs out of its folder; include it from src: module/file.hpp"))
                continue
            target = included.split("/")[0]
            if "/" not in included or not (tree.root / "src" / target).is_dir():
                continue
            if module == "connectors":
                found += check_connector_include(tree, path, number, included)
            if target not in reached.get(module, {module}):
                found.append(tree.finding(path, number,
                    f"{module} includes {included} without linking it; add millrace_{target} to "
                    f"LINK in src/{module}/CMakeLists.txt if {target} is a lower layer, else hand "
                    "it in through a contract in include/millrace"))
    for path in tree.cpp_files("include"):
        for number, included in includes(tree, path):
            if "/" in included and (tree.root / "src" / included.split("/")[0]).is_dir():
                found.append(tree.finding(path, number,
                    f"a contract includes {included} of src; contracts include millrace/ only"))
    return found


def check_beast(tree):
    """Benchmarks may hold Beast alone against ours as a yardstick."""
    found = []
    for path in tree.cpp_files("src", "include", "tests"):
        if tree.relative(path).startswith(("src/net/", "tests/bench/")):
            continue
        for number, included in includes(tree, path):
            if included.startswith("boost/beast"):
                found.append(tree.finding(path, number,
                    "Beast outside src/net; use the plain requests and answers of net/, so that "
                    "its templates are compiled in one place"))
    return found


def check_length(tree):
    found = []
    for path in tree.cpp_files("src", "include"):
        count = len(tree.lines(path))
        if count > FILE_LINES_MAX:
            found.append(tree.finding(path, FILE_LINES_MAX + 1,
                f"{count} lines, {FILE_LINES_MAX} are the limit; split the file by what it does"))
    for path in tree.cpp_files("src", "include", "tests"):
        for number, line in enumerate(tree.lines(path), 1):
            if len(line) > COLUMNS_MAX:
                found.append(tree.finding(path, number,
                    f"{len(line)} columns, {COLUMNS_MAX} are the limit; run clang-format-19 -i, "
                    "and break strings and comments by hand"))
    return found


def check_words(tree):
    found = []
    for path in tree.files():
        for number, line in enumerate(tree.lines(path), 1):
            word = WORD.search(line)
            if word:
                found.append(tree.finding(path, number,
                    f"{word.group(1)}: do it, or say in docs what is missing; the tree holds no "
                    "reminders"))
            machine = MACHINE_PATH.search(line)
            if machine and not (number == 1 and line.startswith("#!")):
                found.append(tree.finding(path, number,
                    f"{machine.group(0)}... is a path of one machine; take it from the "
                    "environment, an option, or a temporary directory made for the purpose"))
    return found


def check_readme(tree):
    found = []
    for module in tree.modules():
        path = tree.root / "src" / module / "README.md"
        if not path.is_file():
            found.append(tree.finding(path, 1,
                "no README.md; say in at most 40 lines what the folder is for, what it promises "
                "and what it must not know"))
        elif len(tree.lines(path)) > README_LINES_MAX:
            found.append(tree.finding(path, README_LINES_MAX + 1,
                f"{len(tree.lines(path))} lines, {README_LINES_MAX} are the limit; move the rest "
                "to docs"))
    return found


def check_headers(tree):
    found = []
    for path in tree.files("src", "include", "tests"):
        if path.suffix != ".hpp":
            continue
        lines = tree.lines(path)
        number = 0
        while number < len(lines) and lines[number].startswith("//"):
            number += 1
        if number == 0:
            found.append(tree.finding(path, 1,
                "the header does not begin with a comment; say in its first lines what it is for "
                "and what it promises"))
        if number >= len(lines) or lines[number].strip() != "#pragma once":
            found.append(tree.finding(path, number + 1,
                "expected #pragma once right after the leading comment"))
    return found


CHECKS = {"layers": check_layers, "includes": check_includes, "beast": check_beast,
          "length": check_length, "words": check_words, "readme": check_readme,
          "headers": check_headers}


def main(arguments):
    if len(arguments) > 2 or not pathlib.Path(arguments[-1]).is_dir() and len(arguments) == 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    tree = Tree(arguments[1] if len(arguments) == 2 else ".")
    found = sorted(finding for check in CHECKS.values() for finding in check(tree))
    for finding in found:
        print(finding)
    print(f"tidy: {len(found)} finding{'' if len(found) == 1 else 's'} by {len(CHECKS)} checks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
