"""What each field of a config means, read from the source that defines it.

The comments of `labor_jax.config` and of a pair's `defaults`, and the docstrings of terms,
acquisition functions, augmentation and folder layouts, are the only place where meanings stand.
"""

import ast
import dataclasses
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from labor_jax import acquisition, adaptation
from labor_jax import config as config_lib
from labor_jax.data import ROLES, Augment, folders, registry


def read(config: ConfigDict) -> dict[str, str]:
    """Returns the meaning of each field and section of a config, where its source has one.

    Args:
      config: its `pair` says whose own fields it has.

    Returns:
      Meanings by the fields' names below `config`, such as "warmup.steps", in the source's order.
    """
    found: dict[str, str] = {}
    _read_function(config_lib.base_config, {"config": ""}, found)
    if config.pair in registry.PAIRS:
        own: dict[str, str] = {}
        _read_function(registry.PAIRS[config.pair].defaults, None, own)
        # Beyond the data, what a pair says of a field of every config is why it has this value.
        found |= {
            path: meaning
            for path, meaning in own.items()
            if (meaning and path.startswith("data.")) or not found.get(path)
        }
    for name, term in adaptation.TERMS.items():
        _add(found, "terms", {name: _first_sentence(term)})
        for base in term.__mro__:
            _add(found, f"terms.{name}", _entries(base, "Attributes"))
    for name, method in acquisition.METHODS.items():
        entries = _entries(method.function, "Args")
        meanings = {setting: entries.get(setting, f"of {name}") for setting in method.settings}
        _add(found, "acquisition", meanings)
    for field in dataclasses.fields(Augment):
        _add(found, "data.augment", {field.name: field.metadata["meaning"]})
    for role in ROLES:
        _add(found, f"data.{role}", _entries(folders.FolderLayout, "Attributes"))
    return found


def _add(found: dict[str, str], section: str, meanings: dict[str, str]) -> None:
    """Adds meanings of fields that have none yet."""
    for name, meaning in meanings.items():
        if not found.get(f"{section}.{name}"):
            found[f"{section}.{name}"] = meaning


def _read_function(
    function: Callable[..., Any], paths: dict[str, str] | None, found: dict[str, str]
) -> None:
    """Reads the comments of a function that sets fields.

    Args:
      function: its source is read, and that of functions that it hands a section to.
      paths: the section that each variable stands for; None if the first parameter is the config.
      found: gets the meanings.
    """
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # typed in at a prompt, or not a Python function
        return
    definition = ast.parse(source).body[0]
    if not isinstance(definition, ast.FunctionDef):
        return
    if paths is None:
        paths = {definition.args.args[0].arg: ""}
    comments = _Comments(source)
    for statement in _statements(definition.body):
        if isinstance(statement, ast.Assign):
            _read_assignment(statement, paths, comments, found)
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            _read_call(statement.value, function, paths, found)


def _read_assignment(statement: ast.Assign, paths: dict[str, str], comments, found) -> None:
    fields = [path for path in (_path(target, paths) for target in statement.targets) if path]
    for path in fields:
        meaning = comments.of(statement)
        if meaning or path not in found:
            found[path] = meaning
    stands_for = fields[0] if fields else _path(statement.value, paths)
    if stands_for:
        for target in statement.targets:
            if isinstance(target, ast.Name):
                paths[target.id] = stands_for


def _read_call(call: ast.Call, caller: Callable[..., Any], paths: dict[str, str], found) -> None:
    """Reads a function that gets the config or a section, as in `gtav.defaults(config)`."""
    handed = [_path(argument, paths) for argument in call.args]
    if all(path is None for path in handed):
        return
    names = ast.unparse(call.func).split(".")
    called = getattr(caller, "__globals__", {}).get(names[0])
    for name in names[1:]:
        called = getattr(called, name, None) if isinstance(called, ModuleType) else None
    if inspect.isfunction(called):
        parameters = inspect.signature(called).parameters
        inner = {
            name: path for name, path in zip(parameters, handed, strict=False) if path is not None
        }
        _read_function(called, inner, found)


def _path(node: ast.AST, paths: dict[str, str]) -> str | None:
    """The field that an expression such as `model.dtype` stands for; None if it is no field."""
    if isinstance(node, ast.Name):
        return paths.get(node.id)
    if isinstance(node, ast.Attribute):
        section = _path(node.value, paths)
        return None if section is None else f"{section}.{node.attr}".lstrip(".")
    return None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        for block in ("body", "orelse"):
            yield from _statements(getattr(statement, block, []))


class _Comments:
    """The comments of a source text, by line."""

    def __init__(self, source: str):
        self._text = source.splitlines()
        self._behind: dict[int, str] = {}
        self._alone: dict[int, str] = {}
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                alone = not token.line[: token.start[1]].strip()
                lines = self._alone if alone else self._behind
                lines[token.start[0]] = token.string.lstrip("# ")

    def of(self, statement: ast.stmt) -> str:
        """The comment behind a statement, or else the one above it.

        Statements without a blank line between them share the one above the first.
        """
        lines = range(statement.lineno, statement.end_lineno + 1)
        behind = " ".join(self._behind[line] for line in lines if line in self._behind)
        if behind:
            return behind
        above, line = [], statement.lineno - 1
        while line not in self._alone and self._text[line - 1].strip() and line > 1:
            if line in self._behind:
                return ""
            line -= 1
        while line in self._alone:
            above.insert(0, self._alone[line])
            line -= 1
        return " ".join(above)


def _first_sentence(described: Any) -> str:
    text = inspect.getdoc(described) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _entries(described: Any, section: str) -> dict[str, str]:
    """The entries of a docstring's section, such as "Attributes", by name."""
    text = inspect.getdoc(described) or ""
    _, _, body = text.partition(f"{section}:\n")
    entries: dict[str, str] = {}
    name = ""
    for line in body.splitlines():
        if line and not line.startswith(" "):  # the next section
            break
        entry = re.fullmatch(r"  (\w+): (.*)", line)
        if entry:
            name = entry[1]
            entries[name] = entry[2]
        elif name and line.strip():
            entries[name] += f" {line.strip()}"
    return entries
