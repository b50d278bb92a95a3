"""Measures how the package is laid out: files, lines, functions, and which rooms import which.

python scripts/house.py [ROOT ...]    # one column for each checkout; default this one
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles


def trees(root: Path) -> dict[Path, ast.Module]:
    """The package's modules by path."""
    package = root / "raystilts"
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))}


def lines_of(path: Path) -> int:
    """Lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(modules: dict[Path, ast.Module]) -> list[int]:
    """Lines of each function and method."""
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for tree in modules.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    ]


def module_name(path: Path, root: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(modules: dict[Path, ast.Module], root: Path) -> dict[str, set[str]]:
    """The package's own modules that each module imports, wherever the import stands."""
    known = {module_name(path, root) for path in modules}
    found: dict[str, set[str]] = defaultdict(set)
    for path, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found[module_name(path, root)].add(inner if inner in known else node.module)
    return {module: targets & known - {module} for module, targets in found.items()}


def room(module: str) -> str:
    """The folder, or the file, directly below the package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "raystilts"


def room_imports(root: Path) -> dict[str, set[str]]:
    """The rooms that each room imports."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, targets in imports(trees(root), root).items():
        found[room(module)] |= {room(target) for target in targets} - {room(module), "raystilts"}
    return found


def circles(root: Path) -> list[set[str]]:
    """Groups of modules that import each other at their top, directly or by way of others."""
    top = {
        path: ast.Module([node for node in tree.body if isinstance(node, ast.ImportFrom)], [])
        for path, tree in trees(root).items()
    }
    graph = imports(top, root)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for other in graph.get(todo.pop(), set()) - seen:
                seen.add(other)
                todo.append(other)
        return seen

    beyond = {module: reached(module) for module in graph}
    groups = {frozenset({m} | {o for o in beyond[m] if m in beyond.get(o, set())}) for m in graph if m in beyond[m]}
    return [set(group) for group in groups]


def mutual(others: dict[str, set[str]]) -> int:
    """Pairs of rooms that import each other."""
    return sum(a < b and a in others.get(b, set()) for a in others for b in others[a])


def figures(root: Path) -> dict[str, str]:
    """What is printed of one checkout."""
    modules = trees(root)
    sizes, lengths = [lines_of(path) for path in modules], functions(modules)
    return {
        "files": str(len(sizes)),
        "lines": str(sum(sizes)),
        "lines of a file, median / 90 %": f"{median(sizes):.0f} / {quantiles(sizes, n=10)[-1]:.0f}",
        "longest file": str(max(sizes)),
        "files under 60 lines": str(sum(size < 60 for size in sizes)),
        "lines of a function, median / 90 %": f"{median(lengths):.0f} / {quantiles(lengths, n=10)[-1]:.0f}",
        "functions over 50 lines": str(sum(length > 50 for length in lengths)),
        "rooms that import each other": str(mutual(room_imports(root))),
        "circles of modules": str(len(circles(root))),
    }


def main() -> None:
    """Prints a table."""
    roots = [Path(root) for root in sys.argv[1:]] or [Path(__file__).parents[1]]
    columns = [figures(root) for root in roots]
    print("| | " + " | ".join(root.resolve().name for root in roots) + " |")
    print("|---|" + "---|" * len(roots))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")


if __name__ == "__main__":
    main()
