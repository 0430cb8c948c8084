#!/usr/bin/python3
"""Makes docs/conformance.md of clauses.txt and what @shows says in the tests; --check only compares.

Wrong is: a clause nobody shows, a test that shows an unknown clause, a named test that does not exist, a stale document.
Nothing is imported or run: the tests are read as source.
"""

import ast
import glob
import os
import re
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(FOLDER))
DOCUMENT = os.path.join(SOURCE, "docs", "conformance.md")
UNSHOWN = ("Elsewhere",)
LEVELS = ("MUST", "MUST-NOT", "REQUIRED", "SHALL", "SHALL-NOT", "SHOULD", "SHOULD-NOT", "RECOMMENDED", "CLIENTS")


class Clause:
    def __init__(self, section, name, level, text):
        self.section, self.name, self.level, self.text = section, name, level, text
        self.tests = []  # (file from the source folder, test)


def read_clauses(path, mistakes):
    clauses, section, clause = {}, None, None
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            if text.startswith("[") and text.endswith("]"):
                section = text[1:-1]
            elif line.startswith(" "):
                if text.startswith("= "):
                    clause.tests.append(tuple(text[2:].split("::", 1)))
                else:
                    clause.text += " " + text
            else:
                name, level, rest = text.split(" ", 2)
                if name in clauses:
                    mistakes.append(f"clauses.txt:{number}: {name} is there twice")
                if level not in LEVELS:
                    mistakes.append(f"clauses.txt:{number}: {level} is no level")
                clause = clauses[name] = Clause(section, name, level, rest)
    return clauses


def shown_by(node):
    """The clauses in a function's @shows, None without one."""
    for item in node.decorator_list:
        if isinstance(item, ast.Call) and getattr(item.func, "id", "") == "shows":
            return [argument.value for argument in item.args]
    return None


def read_tests(path):
    """(Class.test, clauses or None) of a file."""
    with open(path, encoding="utf-8") as stream:
        tree = ast.parse(stream.read(), path)
    for group in tree.body:
        if isinstance(group, ast.ClassDef):
            for node in group.body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    yield f"{group.name}.{node.name}", shown_by(node)


def collect(clauses, mistakes):
    for path in sorted(glob.glob(os.path.join(FOLDER, "test_*.py"))):
        relative = os.path.relpath(path, SOURCE)
        for test, names in read_tests(path):
            if not names:
                mistakes.append(f"{relative}: {test} shows nothing")
            for name in names or []:
                if name not in clauses:
                    mistakes.append(f"{relative}: {test} shows the unknown clause {name}")
                else:
                    clauses[name].tests.append((relative, test))


def exists(path, test):
    """Is there such a test outside of this folder?"""
    full = os.path.join(SOURCE, path)
    if not os.path.isfile(full):
        return False
    with open(full, encoding="utf-8") as stream:
        text = stream.read()
    name = re.escape(test.rsplit(".", 1)[-1])
    if path.endswith(".py"):
        return re.search(rf"^\s+def {name}\(", text, re.MULTILINE) is not None
    # Defined and in the list of tests.
    return re.search(rf"^static void {name}\(", text, re.MULTILINE) is not None and \
        len(re.findall(rf"\b{name}\b", text)) > 1


def check(clauses, mistakes):
    for clause in clauses.values():
        if clause.section in UNSHOWN:
            if clause.tests:
                mistakes.append(f"{clause.name} is shown although it is listed as not ours to show")
        elif not clause.tests:
            mistakes.append(f"{clause.name} is shown by no test")
        for path, test in clause.tests:
            if not path.startswith("tests/conformance/") and not exists(path, test):
                mistakes.append(f"{clause.name}: there is no test {test} in {path}")


def introduction():
    with open(os.path.join(FOLDER, "introduction.md"), encoding="utf-8") as stream:
        return stream.read()


def cell(text):
    return text.replace("|", "\\|")


def table(clauses, section):
    lines = [f"## {section}", "", "| Clause | Level | What it says | Shown by |", "|---|---|---|---|"]
    for clause in clauses.values():
        if clause.section == section:
            tests = ", ".join(f"`{os.path.splitext(os.path.basename(path))[0]}` {test}"
                              for path, test in clause.tests)
            number = clause.name.split("-", 1)[1] if clause.name[0].isdigit() else clause.name
            lines.append(f"| {number} | {clause.level.replace('-', ' ')} | {cell(clause.text)} | {tests} |")
    return lines + [""]


def listing(clauses, section, title, words):
    lines = [f"## {title}", "", words, ""]
    for clause in clauses.values():
        if clause.section == section:
            number = clause.name
            if number[0].isdigit():
                number = "RFC " + re.sub(r"-c?\d+$", "", number).replace("-", " section ", 1)
            shown = "; shown by " + ", ".join(test for _, test in clause.tests) if clause.tests else ""
            lines.append(f"- {number} ({clause.level.replace('-', ' ')}): {clause.text}{shown}")
    return lines + [""]


def render(clauses):
    binding = [clause for clause in clauses.values() if clause.section.startswith("RFC")]
    tests = {test for clause in binding for test in clause.tests}
    lines = [introduction(), f"{len(binding)} clauses of the RFCs, {len(tests)} tests. "
             "The first number is the RFC's section, the last counts within it.", ""]
    for section in dict.fromkeys(clause.section for clause in clauses.values()):
        if section not in ("Elsewhere", "Deviations"):
            lines += table(clauses, section)
    lines += listing(clauses, "Deviations", "Deviations", "Where acmebridge leaves the text on purpose:")
    lines += listing(clauses, "Elsewhere", "Not applicable",
                     "What binds clients, operators or authors, or a case that does not arise:")
    return "\n".join(lines).rstrip("\n") + "\n"


def main(arguments):
    mistakes = []
    clauses = read_clauses(os.path.join(FOLDER, "clauses.txt"), mistakes)
    collect(clauses, mistakes)
    check(clauses, mistakes)
    document = render(clauses)
    if arguments == ["--check"]:
        try:
            with open(DOCUMENT, encoding="utf-8") as stream:
                current = stream.read()
        except FileNotFoundError:
            current = ""
        if current != document:
            mistakes.append("docs/conformance.md is stale: run tests/conformance/document.py")
    elif arguments:
        sys.exit("usage: document.py [--check]")
    else:
        with open(DOCUMENT, "w", encoding="utf-8") as stream:
            stream.write(document)
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
