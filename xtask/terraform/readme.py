"""Writes the tables of inputs, outputs and resources into the README of every Terraform module and environment.

    readme.py DIRECTORY…          writes them
    readme.py --check DIRECTORY…  says which are stale, and fails

What stands above the first marker is written by hand and kept. Needs python-hcl2, which checkov brings.
"""

import json
import pathlib
import re
import sys

import hcl2

BEGIN, END = "<!-- generated: cargo xtask terraform --readme -->", "<!-- end of generated part -->"


def blocks(directory, kind):
    """All blocks of a kind in a directory, as (labels, body), in the order of the files."""
    for path in sorted(directory.glob("*.tf")):
        for block in hcl2.loads(path.read_text()).get(kind, []):
            for name, body in block.items():
                yield path, name, body


def one_line(value):
    """An HCL value as python-hcl2 gives it, on one line and safe in a table's cell."""
    if isinstance(value, list):  # checkov's edition of the parser wraps every attribute
        (value,) = value
    text = value.replace('\\"', '"') if isinstance(value, str) else json.dumps(value)
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def type_of(path, name):
    """A variable's type as it is written: python-hcl2 spells object types in its own way."""
    text = path.read_text()
    start = text.index(f'variable "{name}"')
    found = re.search(r"^  type\s*=\s*(.*?)(?=^  [a-z_]+\s*=|^\s*$|^})", text[start:], flags=re.DOTALL | re.MULTILINE)
    lines = [it.strip() for it in found.group(1).strip().splitlines()]
    joined = "".join(it if it.endswith(("{", "(")) else f"{it}, " for it in lines).rstrip(", ")
    return one_line(re.sub(r"([{(])(?=\w)", r"\1 ", joined).replace(", })", " })").replace("( ", "("))


def default_of(body):
    if "default" not in body:
        return "required"
    (value,) = body["default"]
    return f"`{one_line(json.dumps(value))}`"


def generated(directory):
    lines = [BEGIN, "", "## Inputs", "", "| name | description | type | default |", "| --- | --- | --- | --- |"]
    for path, name, body in blocks(directory, "variable"):
        lines.append(f"| `{name}` | {one_line(body['description'])} | `{type_of(path, name)}` | {default_of(body)} |")
    lines += ["", "## Outputs", "", "| name | description |", "| --- | --- |"]
    for _, name, body in blocks(directory, "output"):
        lines.append(f"| `{name}` | {one_line(body['description'])} |")
    resources = sorted(f"`{kind}.{name}`" for _, kind, body in blocks(directory, "resource") for name in body)
    modules = sorted(f"`module.{name}`" for _, name, _ in blocks(directory, "module"))
    lines += ["", "## Resources", "", ", ".join(resources + modules) + ".", "", END]
    return "\n".join(lines) + "\n"


def main(arguments):
    check = "--check" in arguments
    stale = []
    for directory in (pathlib.Path(it) for it in arguments if it != "--check"):
        readme = directory / "README.md"
        old = readme.read_text() if readme.exists() else f"# {directory.name}\n\n"
        new = old.split(BEGIN)[0].rstrip() + "\n\n" + generated(directory)
        if new != old:
            stale.append(str(readme))
            if not check:
                readme.write_text(new)
    if check and stale:
        sys.exit(f"stale: {', '.join(stale)}\nmake them again with: cargo xtask terraform --readme")
    print(f"{len(stale)} READMEs written" if not check else "every README is fresh")


main(sys.argv[1:])
