"""Plants single faults in the arithmetic that matters and counts those that tests notice.

A fault is one operator, number, condition or call that is changed where it stands: in Python by
the syntax tree, in the Lua of the Redis scripts by its operators. Faults are a seeded sample,
spread evenly over the files of a group. Each is tried in a copy of the tree with the tests of its
group alone, in a process forked from one that has imported the libraries; a test that fails, or
does not end in time, has noticed it. `KNOWN` names the faults that change nothing, with the reason,
and is not counted.

    python tests/mutation.py --per-group 60 --seed 0 --only statistics
"""

from __future__ import annotations

import argparse
import ast
import gc
import glob
import importlib
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from known_lua_faults import changes_nothing

ROOT = Path(__file__).resolve().parent.parent
FORK = multiprocessing.get_context("fork")
COPIED = ("autointerp", "prompts", "workers", "tests", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Group:
    """Files that faults are planted in, and the tests that should notice."""

    name: str
    sources: tuple[str, ...]
    """Glob patterns below the root."""
    tests: tuple[str, ...]
    lua: bool = False


_SCORER_TESTS = ("adaptive", "contrast", "fuzzing", "judging", "program_scoring", "two_sided_score")
_BUDGET_TESTS = ("budget", "meter", "prices", "files_of_earlier_versions", "batch_model")
_SAMPLING_TESTS = (
    "diverse_exemplars", "hard_negatives", "influence", "near_windows",
    "unbiased_estimates", "unit_sets", "window_strata",
)  # fmt: skip
_API_TESTS = (
    "request_limits", "request_checks", "api_config", "api_security", "api_keys", "api_jobs",
    "api_jobs_limits", "api_worker_requests", "api_events",
)  # fmt: skip
_JOB_STORE_TESTS = (
    "test_job_store.py", "test_stores.py", "test_events_and_workers.py", "test_work_queue.py",
    "test_cost_of_lists.py",
)  # fmt: skip

GROUPS = (
    Group(
        "statistics",
        ("autointerp/statistics/*.py",),
        (
            "tests/unit/statistics",
            *(f"tests/unit/scorers/test_{name}.py" for name in _SCORER_TESTS),
        ),
    ),
    Group(
        "sampling",
        ("autointerp/activations/sampling/*.py",),
        tuple(f"tests/unit/activations/test_{name}.py" for name in _SAMPLING_TESTS),
    ),
    Group(
        "budget",
        ("autointerp/llm/budget.py", "autointerp/llm/cost_log.py", "autointerp/llm/prices.py"),
        tuple(f"tests/unit/llm/test_{name}.py" for name in _BUDGET_TESTS),
    ),
    Group("cache", ("autointerp/llm/cache.py",), ("tests/unit/llm/test_reply_cache.py",)),
    Group(
        "job store",
        ("autointerp/store/jobs/redis_scripts.py", "autointerp/store/labels/redis_store.py"),
        tuple(f"tests/contract/{name}" for name in _JOB_STORE_TESTS),
        lua=True,
    ),
    Group(
        "shared limits",
        ("autointerp/store/redis_limits.py",),
        ("tests/contract/test_limit_exchange.py",),
        lua=True,
    ),
    Group(
        "keys and scopes",
        (
            "autointerp/api/api_config.py",
            "autointerp/api/middleware/security.py",
            "autointerp/api/request_limits.py",
            "autointerp/api/routes/jobs.py",
            "autointerp/api/request_checks.py",
        ),
        tuple(f"tests/unit/api/test_{name}.py" for name in _API_TESTS),
    ),
)

_STATISTICS = "autointerp/statistics/"
_STEP = "step = max(1, _AT_ONCE // (n * length))"
_TIE = "scores[0] - _SAME"
_VARIANCE = "variance = np.maximum(sums[:, 1] / n_tokens - mean**2, _SAME**2)"
_MIXED = "return [t + share * weight for t, weight in zip(top, weights, strict="
_DIFFERENCE = 'return Score("difference", value, _clip(low, -2, 2), _clip(high, -2, 2), '
_REST = "len(windows), None)"
_CHUNKS = "_CHUNK // max(1, n_windows))"
_WEIGHT = "if weights is None else weights[i]"
_WRITE = "_write = partial(write_atomic, durable="
_SAMPLING = "autointerp/activations/sampling/"
_TABLE = "n = 1 + max(self._ids.max(initial=0), tokens.max(initial=0))"
_GREATEST = "greatest = max((max(s.peaks, default=0.0) for s in strata), default="
_SIZES = "for window, size in zip(stratum.candidates, sizes, strict="
_USED = "first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else "
_NUMBER = "self._next = max(self._next, row.id + "
_CACHED = "cached_prompt: Decimal | None = Field(default=None, ge=0, allow_inf_nan="
KNOWN: dict[str, str] = {
    f"{_STATISTICS}permutation.py: {_STEP} -> {_STEP.replace('(1', '(2')}": "memory alone",
    f"{_STATISTICS}permutation.py: {_STEP} -> {_STEP.replace('//', '*')}": "memory alone",
    f"{_STATISTICS}permutation.py: _AT_ONCE = 500_000 -> _AT_ONCE = 500001": "memory alone",
    f"{_STATISTICS}permutation.py: {_VARIANCE} -> {_VARIANCE.replace('_SAME**2', '_SAME**3')}": (
        "a floor for what is 0 but for rounding; predictions that vary are far above both"
    ),
    f"{_STATISTICS}permutation.py: reached = scores >= {_TIE} -> reached = scores > {_TIE}": (
        "a score at the very end of the tolerance"
    ),
    f"{_STATISTICS}permutation.py: least = 1.0 -> least = 2.0": "p-values are at most 1",
    f"{_STATISTICS}bootstrap.py: step = max(1, {_CHUNKS} -> step = max(2, {_CHUNKS}": (
        "memory alone"
    ),
    f"{_STATISTICS}population.py: {_DIFFERENCE}{_REST} -> "
    f"{_DIFFERENCE.replace('high, -2', 'high, -3')}{_REST}": "the upper end is above the value",
    f"{_STATISTICS}population.py: {_DIFFERENCE}{_REST} -> "
    f"{_DIFFERENCE.replace('-2, 2), _', '-2, 3), _')}{_REST}": "the lower end is below the value",
    f"{_STATISTICS}population.py: {_MIXED}True)] -> {_MIXED}False)]": "top has one a weight",
    f"{_STATISTICS}simulation_metrics.py: weight = 1.0 {_WEIGHT} -> weight = 2.0 {_WEIGHT}": (
        "weights that are all equal have no unit"
    ),
    f"{_SAMPLING}influence.py: {_TABLE} -> "
    f"{_TABLE.replace('ids.max(initial=0', 'ids.max(initial=1')}": "a table with a place more",
    f"{_SAMPLING}strata.py: {_GREATEST}0.0) or 1.0 -> {_GREATEST}1.0) or 1.0": (
        "without strata there is no window whose influence is asked for"
    ),
    f"{_SAMPLING}strata.py: {_SIZES}True) -> {_SIZES}False)": "one influence a candidate",
    f"{_SAMPLING}unit_sets.py: {_USED}(0, 0) -> {_USED}(0, 1)": "no summary is without tokens",
    f"autointerp/llm/prices.py: {_CACHED}False) -> {_CACHED}True)": (
        "NaN is not at least 0, and infinity is above the price of a prompt"
    ),
    f"autointerp/llm/cost_log.py: {_NUMBER}1) -> {_NUMBER}2)": "a call's number is left out",
    f"autointerp/llm/cache.py: {_WRITE}False) -> {_WRITE}True)": (
        "to wait for the disk is slower, and what is read back is the same"
    ),
}
"""Faults that change nothing: ``file: line -> changed line``, and why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A stretch of a file that is replaced."""

    path: str
    line: int
    """1-based."""
    begin: int
    end: int
    """Offsets of characters."""
    text: str

    def planted(self, source: str) -> str:
        """The file with the fault."""
        return source[: self.begin] + self.text + source[self.end :]

    def shown(self, source: str) -> str:
        """The file, and the line before and after."""
        first = source.rfind("\n", 0, self.begin) + 1
        last = source.find("\n", self.end)
        before = source[first : last if last >= 0 else None]
        after = before[: self.begin - first] + self.text + before[self.end - first :]
        return f"{self.path}: {' '.join(before.split())} -> {' '.join(after.split())}"


_COMPARED = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
_COMPUTED = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "*"), ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}  # fmt: skip
_CALLED = {
    "min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum",
    "maximum": "minimum", "floor": "ceil", "ceil": "floor", "argmax": "argmin", "left": "right",
}  # fmt: skip


def python_faults(path: str, source: str) -> list[Fault]:
    """Every fault of a Python file; none in messages, logs, annotations and decorators."""
    planter = _Planter(path, source)
    planter.visit(ast.parse(source))
    return planter.faults


class _Planter(ast.NodeVisitor):
    """Collects the faults of a syntax tree, as stretches of its text."""

    def __init__(self, path: str, source: str) -> None:
        self._path, self._source = path, source
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self.faults: list[Fault] = []

    def visit(self, node: ast.AST) -> None:
        """Goes into what can matter only."""
        if isinstance(node, ast.Raise | ast.JoinedStr) or _only_tells(node):
            return
        plant = getattr(self, f"_plant_{type(node).__name__}", None)
        if plant is not None:
            plant(node)
        for name, value in ast.iter_fields(node):
            if name not in {"annotation", "returns", "decorator_list", "type_params"}:
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        self.visit(child)

    def _begin(self, node: ast.expr | ast.stmt) -> int:
        return self._place(node.lineno, node.col_offset)

    def _end(self, node: ast.expr | ast.stmt) -> int:
        return self._place(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def _place(self, line: int, column: int) -> int:
        """Columns of the syntax tree are bytes."""
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())

    def _text(self, node: ast.expr) -> str:
        return self._source[self._begin(node) : self._end(node)]

    def _plant(self, node: ast.expr | ast.stmt, text: str) -> None:
        begin, end = self._begin(node), self._end(node)
        self.faults.append(Fault(self._path, node.lineno, begin, end, text))

    def _swap(self, left: ast.expr, right: ast.expr, signs: tuple[str, str]) -> None:
        begin, end = self._end(left), self._begin(right)
        sign = rf"(?<![\w*/<>]){re.escape(signs[0])}(?![\w*/<>=])"
        found = re.search(sign, self._source[begin:end])
        if found is not None:
            begin, end = begin + found.start(), begin + found.end()
            self.faults.append(Fault(self._path, left.lineno, begin, end, signs[1]))

    def _plant_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for place, sign in enumerate(node.ops):
            self._swap(operands[place], operands[place + 1], _COMPARED[type(sign)])

    def _plant_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in _COMPUTED:
            self._swap(node.left, node.right, _COMPUTED[type(node.op)])

    def _plant_BoolOp(self, node: ast.BoolOp) -> None:
        signs = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        self._swap(node.values[0], node.values[1], signs)

    def _plant_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self._plant(node, self._text(node.operand))

    def _plant_If(self, node: ast.If | ast.IfExp | ast.While) -> None:
        self._plant(node.test, f"(not ({self._text(node.test)}))")

    _plant_IfExp = _plant_While = _plant_If

    def _plant_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._plant(node, str(not node.value))
        elif isinstance(node.value, int | float):
            self._plant(node, repr(node.value + 1))

    def _plant_Name(self, node: ast.Name | ast.Attribute) -> None:
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name in _CALLED:
            text = self._text(node).removesuffix(name) + _CALLED[name]
            self._plant(node, text)

    _plant_Attribute = _plant_Name

    def _plant_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.Await):
            self._plant(node, "pass")

    def _plant_Break(self, node: ast.Break) -> None:
        self._plant(node, "continue")

    def _plant_Continue(self, node: ast.Continue) -> None:
        self._plant(node, "break")


def _only_tells(node: ast.AST) -> bool:
    """Whether a statement makes messages or logs, or is read by type checkers alone."""
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) in {"msg", "_LOG"}
    if isinstance(node, ast.Expr):
        return ast.unparse(node).startswith("_LOG.")
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


_LUA = (
    (r"==", "~="), (r"~=", "=="), (r"<=", "<"), (r">=", ">"), (r"<(?!=)", "<="), (r">(?!=)", ">="),
    (r"\band\b", "or"), (r"\bor\b", "and"), (r"(?<=\w) \+ (?=\w)", " - "),
    (r"(?<=[\w)]) - (?=\w)", " + "), (r"\bmath\.min\b", "math.max"), (r"\bmath\.max\b", "math.min"),
    (r"(?<![\[\w.{])\d+(?!\w)", None), (r"(?m)^ *redis\.call\([^\n]*\)$", ""), (r"\bnot ", ""),
    (r", -1\)", ", 1)"),
)  # fmt: skip


def lua_faults(path: str, source: str) -> Iterator[Fault]:
    """Every fault of the Lua that the texts of a Python file hold."""
    for text in re.finditer(r'"""(?P<lua>.*?)"""', source, re.DOTALL):
        if "redis.call" not in text["lua"] and "local " not in text["lua"]:
            continue
        for pattern, other in _LUA:
            for found in re.finditer(pattern, text["lua"]):
                a, b = text.start("lua") + found.start(), text.start("lua") + found.end()
                if re.search(r"--[^\n]*$", source[source.rfind("\n", 0, a) : a]):
                    continue
                planted = other if other is not None else str(int(found[0]) + 1)
                yield Fault(path, source.count("\n", 0, a) + 1, a, b, planted)


def sampled(group: Group, n: int, seed: int) -> list[Fault]:
    """So many faults of a group, as many of each file as of any other while they last."""
    for pattern in group.sources:
        if not glob.glob(pattern, root_dir=ROOT):
            sys.exit(f"{pattern} of the group {group.name} names no file")
    files = sorted(
        {name for pattern in group.sources for name in glob.glob(pattern, root_dir=ROOT)}
    )
    find = lua_faults if group.lua else python_faults
    piles = []
    for name in files:
        source = (ROOT / name).read_text()
        faults = list(find(name, source))
        random.Random(f"{seed}/{name}").shuffle(faults)
        # Only now, so that a sample stays what it was when one of its faults becomes known.
        shown = {f: f.shown(source) for f in faults}
        piles.append([f for f in faults if shown[f] not in KNOWN and not changes_nothing(shown[f])])
    turns = [fault for turn in range(max(map(len, piles), default=0)) for fault in
             (pile[turn] for pile in piles if turn < len(pile))]  # fmt: skip
    return turns[:n]


def own_first(tests: tuple[str, ...], stem: str) -> list[str]:
    """Files of tests, those named after a module first: mostly the first ones notice."""
    folders = {name: sorted((ROOT / name).glob("test_*.py")) for name in tests}
    files = [str(f.relative_to(ROOT)) for name in tests for f in folders[name] or [ROOT / name]]
    return sorted(files, key=lambda name: stem not in name)


def enter_copy(of: Path, names: Sequence[str], folder: Path) -> None:
    """Moves this process into its own copy of a tree, which its tests and programs then import."""
    tree = folder / str(os.getpid())
    tree.mkdir()
    for name in names:
        copy = shutil.copytree if (of / name).is_dir() else shutil.copy2
        copy(of / name, tree / name)
    os.chdir(tree)
    sys.path[0] = os.environ["PYTHONPATH"] = str(tree)


def noticed(fault: Fault, tests: tuple[str, ...], limit_s: float) -> bool:
    """Whether the tests fail in this process's tree with the fault; prints one that they miss."""
    source = Path(fault.path).read_text()
    Path(fault.path).write_text(fault.planted(source))
    try:
        found = not passes(own_first(tests, Path(fault.path).stem), limit_s)
    finally:
        Path(fault.path).write_text(source)
    if not found:
        print(f"  {fault.shown(source)}", flush=True)
    return found


def passes(tests: Sequence[str], limit_s: float, imported: Path | None = None) -> bool:
    """Whether tests pass in this process's tree, within a time."""
    process = FORK.Process(target=_run_tests, args=(tests, imported))
    process.start()
    process.join(limit_s)
    # An interrupt first: servers that tests start have process groups of their own, and one that
    # runs a script without end is killed by the fixture that started it, and by nothing else.
    for sign in (signal.SIGINT, signal.SIGKILL):
        if process.exitcode is None:
            os.killpg(process.ident or 0, sign)
            process.join(60)
    return process.exitcode == 0


def _run_tests(tests: Sequence[str], imported: Path | None) -> None:
    """Ends this process with the status of its tests."""
    os.setpgrp()
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    tree, sys.dont_write_bytecode = os.getcwd(), imported is None
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-W",
               "ignore::pytest.PytestAssertRewriteWarning"]  # fmt: skip
    status = pytest.main([*options, "--hypothesis-profile=no shrinking", *tests])
    if imported is not None:
        files = {name: getattr(m, "__file__", None) or tree for name, m in sys.modules.items()}
        imported.write_text(" ".join(name for name, f in files.items() if not f.startswith(tree)))
    os._exit(status)


def try_group(group: Group, faults: list[Fault], n_processes: int, folder: Path) -> int:
    """How many faults of a group are noticed; prints the others as they are found."""
    begun, imported = time.monotonic(), folder / "imported"
    enter_copy(ROOT, COPIED, folder)
    if not passes(group.tests, 1800, imported):
        sys.exit(f"the tests of {group.name} fail without a fault: {' '.join(group.tests)}")
    limit_s = 30 + 5 * (time.monotonic() - begun)
    # Once here instead of once a fault, where the garbage collector need not look at it again.
    # What is of the tree is imported with the fault.
    for name in imported.read_text().split():
        with suppress(Exception):
            importlib.import_module(name)
    gc.freeze()
    # With what the run without fault compiled.
    copied = (Path.cwd(), os.listdir(), folder)
    with ProcessPoolExecutor(n_processes, FORK, enter_copy, copied) as pool:
        return sum(pool.map(partial(noticed, tests=group.tests, limit_s=limit_s), faults))


def main() -> None:
    """Prints the faults that were not noticed, as they are found, then a line a group."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-group", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[group.name for group in GROUPS])
    options = parser.parse_args()
    # A shell leaves it ignored in what it runs in the background, and tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Before the imports that read it.
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", PYTHONDONTWRITEBYTECODE="1")
    n_all = n_noticed = 0
    for group in GROUPS:
        if group.name not in options.only:
            continue
        faults = sampled(group, options.per_group, options.seed)
        with tempfile.TemporaryDirectory() as folder:
            n_found = try_group(group, faults, options.processes, Path(folder))
        n_all, n_noticed = n_all + len(faults), n_noticed + n_found
        print(f"{group.name}: {n_found} of {len(faults)} noticed", flush=True)
    print(f"all: {n_noticed} of {n_all} noticed, {n_noticed / max(1, n_all):.1%}")


if __name__ == "__main__":
    main()
