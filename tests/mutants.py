"""`python -m tests.mutants FILE ...`: changes a module in one place at a time, and asks whether its tests see it.

The changes are cosmic-ray's; it starts Python anew for each of them, which costs ten seconds where torch is imported.
Here the tests are collected once, and each mutant is a fork of that process, with the changed code put in the place of
the old: it costs no more than the tests up to the first that fails. MUTANTS.md lists those that survive.
"""

import argparse
import ast
import contextlib
import gc
import importlib
import importlib.machinery
import importlib.util
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import types
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

# Of cosmic-ray's 132 swaps of a binary operator, one for each operator: the tests that see one see nearly all.
OPERATORS = (
    *(
        f"ReplaceBinaryOperator_{swap}"
        for swap in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mod", "Mod_FloorDiv", "Pow_Mul")
    ),
    *(f"ReplaceBinaryOperator_{swap}" for swap in ("BitOr_BitAnd", "BitAnd_BitOr", "LShift_RShift", "RShift_LShift")),
    *(f"ReplaceComparisonOperator_{swap}" for swap in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")),
    *(f"ReplaceComparisonOperator_{swap}" for swap in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
    *(f"ReplaceUnaryOperator_Delete_{operator}" for operator in ("USub", "Invert", "Not")),
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop"),
    *("RemoveDecorator", "ExceptionReplacer"),
)
KILLED, SURVIVED, ENDLESS = "killed", "SURVIVED", "endless"
LEAST_SECONDS, MOST_TIMES, WAITS = 10, 5, 3  # a mutant that takes longer, of the processor or by the clock, is endless


@dataclass(frozen=True)
class Mutant:
    """A changed module; whether the change lies in the body of a function, and not in what runs at import."""

    line: int
    before: str
    after: str
    source: str
    in_body: bool


def _spans(tree):
    """Spans of no interest (annotations, what is raised), and the bodies of functions."""
    dull, bodies = [], []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            dull += [node.returns, *(each.annotation for each in every if each)]
            bodies.append((node.body[0], node.body[-1]))
        elif isinstance(node, ast.AnnAssign):
            dull.append(node.annotation)
        elif isinstance(node, ast.Raise) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            dull.append(node)
    return [(each, each) for each in dull if each], bodies


def _within(position, spans):
    return any(
        (first.lineno, first.col_offset) <= position < (last.end_lineno, last.end_col_offset) for first, last in spans
    )


def list_mutants(source):
    """All mutants of a module that cosmic-ray's operators make, by line."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.operators.provider import OperatorProvider

    dull, bodies = _spans(ast.parse(source))
    nodes = list(ast_nodes(get_ast(source)))
    old = source.splitlines()
    found = []
    for name in OPERATORS:
        operator = OperatorProvider()[name]()
        positions = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, start in enumerate(positions):
            if _within(start, dull) or (name == "NumberReplacer" and occurrence % 2):
                continue  # of a number, one more; one less finds little else, and of an axis 0 makes the same axis -1
            changed = mutate_code(source, operator, occurrence)
            new = changed.splitlines()
            at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), start[0] - 1)
            in_body = name != "RemoveDecorator" and _within(start, bodies)
            found.append(Mutant(at + 1, old[at].strip(), new[at].strip(), changed, in_body))
    return sorted(found, key=lambda each: each.line)


def _codes(code):
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _codes(each)


def put_in_place(mutant, source, path, functions):
    """Gives the functions that live the changed code: whoever has imported them by name has the mutant."""
    old, new = _codes(compile(source, path, "exec")), _codes(compile(mutant.source, path, "exec"))
    changed = {before: after for before, after in zip(old, new, strict=True) if before != after}
    for function in functions:
        if function.__code__ in changed:
            function.__code__ = changed[function.__code__]


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads the module from the mutant's source."""

    def __init__(self, name, path, source):
        super().__init__(name, path)
        self.source = source

    def get_code(self, fullname):
        return compile(self.source, self.path, "exec")


class _Finder:
    def __init__(self, name, path, source):
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        loader = _Changed(name, self.path, self.source)
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)


def import_anew(name, path, source, options, tests):
    """Collects and runs the tests from nothing, with the mutant in the place of the module."""
    own = {each.partition(".")[0] for each in [name, *tests]}
    for each in [key for key in sys.modules if key.partition(".")[0] in own]:
        del sys.modules[each]
    sys.meta_path.insert(0, _Finder(name, path, source))
    return pytest.main([*options, "-x"], plugins=[WithoutPool()]) == 0


class WithoutPool:
    """A pytest plugin: a pool of processes has imported the module before it is changed, and would see no mutant."""

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if not self.uses_pool(item)]

    @staticmethod
    def uses_pool(item):
        parameters = item.callspec.params if hasattr(item, "callspec") else {}  # "pool" may be another thing there
        return "pool" in getattr(item, "fixturenames", ()) and "pool" not in parameters


class Module:
    """A module, its source, and the functions of it that live."""

    def __init__(self, file, tests, lines=()):
        self.lines = lines
        self.path, self.name = str(Path(file).resolve()), ".".join(Path(file).with_suffix("").parts)
        self.tests = [str(Path(each).resolve()) for each in tests]
        self.source = Path(file).read_text(encoding="utf-8")
        self.functions = []

    def find_functions(self):
        importlib.import_module(self.name)
        every = (each for each in gc.get_objects() if type(each) is types.FunctionType)  # isinstance wakes proxies
        return [each for each in every if each.__code__.co_filename == self.path]


class Runner(WithoutPool):
    """A pytest plugin: in the place of the tests' run, runs them once for each mutant."""

    def __init__(self, modules, basetemp, sample=None):
        self.modules, self.basetemp, self.sample = modules, basetemp, sample
        self.took, self.kills, self.survived, self.in_child = {}, Counter(), 0, False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item, call):
        skips = (pytest.skip.Exception, pytest.xfail.Exception)
        if not call.excinfo or call.excinfo.errisinstance(skips) or item.get_closest_marker("xfail"):
            return
        if self.in_child:
            os.write(self.pipe, item.nodeid.encode())
            os._exit(1)  # before pytest writes a report that nobody reads
        pytest.exit(f"this test fails without a change: {item.nodeid}", returncode=2)

    def fork(self, work, seconds):
        """Runs `work` in a fork; its outcome, and the test that failed."""
        reading, self.pipe = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            self.in_child = True
            signal.setitimer(signal.ITIMER_PROF, seconds)
            signal.alarm(int(WAITS * seconds))
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            code = 1
            with contextlib.suppress(BaseException):  # a mutant may do anything
                code = 0 if work() else 1
            os._exit(code)
        os.close(self.pipe)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read().decode(errors="replace")
        state = os.waitpid(child, 0)[1]
        shutil.rmtree(self.basetemp, ignore_errors=True)  # its tests had no time to tidy up
        self.basetemp.mkdir()
        if os.WIFSIGNALED(state) and os.WTERMSIG(state) in (signal.SIGALRM, signal.SIGPROF):
            return ENDLESS, told
        return KILLED if state else SURVIVED, told

    def run_items(self, items):
        for item, following in zip(items, [*items[1:], None], strict=True):
            began = time.process_time()  # of the processor: the machine may be busy
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self.took[item.nodeid] = time.process_time() - began
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        items = session.items
        self.run_items(items)  # in this process: what the tests load, and hypothesis learns, is there for all forks
        sys.stdout.write("\n")
        for module in self.modules:
            module.functions = module.find_functions()
        gc.freeze()  # a child's collector need not touch, and so copy, what it shares
        for module in self.modules:
            self.run_module(module, [item for item in items if str(item.path) in module.tests])
        return True

    def run_module(self, module, items):
        mutants = list_mutants(module.source)
        if module.lines:
            mutants = [mutant for mutant in mutants if mutant.line in module.lines]
        listed = len(mutants)
        if self.sample and self.sample < listed:
            mutants = sorted(random.Random(0).sample(mutants, self.sample), key=lambda each: each.line)
        counts, began = Counter(), time.monotonic()
        for mutant in mutants:
            outcome = self.judge(module, mutant, items)
            counts[outcome] += 1
            if outcome != KILLED:
                sys.stdout.write(f"{outcome} {module.name}:{mutant.line}: {mutant.before}  ->  {mutant.after}\n")
        self.survived += counts[SURVIVED]
        seconds = (time.monotonic() - began) / max(len(mutants), 1)
        sys.stdout.write(
            f"{module.name}: {len(mutants)} of {listed} mutants run, {counts[KILLED]} killed, "
            f"{counts[ENDLESS]} endless, {counts[SURVIVED]} survived; {seconds:.2f} s each\n"
        )
        sys.stdout.flush()

    def judge(self, module, mutant, items):
        limit = max(LEAST_SECONDS, MOST_TIMES * sum(self.took[item.nodeid] for item in items))
        # First the tests that have seen much for their time.
        items.sort(key=lambda item: (self.took[item.nodeid] + 0.001) / (1 + self.kills[item.nodeid]))

        def in_place():
            put_in_place(mutant, module.source, module.path, module.functions)
            return self.run_items(items)

        def anew():
            tests = {item.module.__name__ for item in items}
            return import_anew(module.name, module.path, mutant.source, [*options(self.basetemp), *module.tests], tests)

        if mutant.in_body:
            outcome, test = self.fork(in_place, limit)
            self.kills[test] += 1
            if outcome != SURVIVED:
                return outcome
        return self.fork(anew, limit + LEAST_SECONDS)[0]  # what ran at import, or is kept in a cache, has not seen it


def options(basetemp):
    # pyproject's options but for its second process, which the forks would not see
    alone = ["-o", "addopts=-m 'not slow'"]
    return [*alone, "-q", "-s", "-p", "no:cacheprovider", "--basetemp", str(basetemp)]


def one_thread():
    """A fork does not have torch's threads and would wait for them: whoever asks for several gets one."""
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
        torch.set_num_threads = lambda _: None


def calm_hypothesis():
    """The same examples in each fork, and no search for the smallest that fails."""
    with contextlib.suppress(ImportError):
        from hypothesis import HealthCheck, Phase, settings

        phases = (Phase.explicit, Phase.generate)
        checks = list(HealthCheck)
        settings.register_profile(
            "mutants", derandomize=True, database=None, deadline=None, phases=phases, suppress_health_check=checks
        )
        settings.load_profile("mutants")


def tests_of(file):
    """The tests that mirror a module of the package."""
    path = Path(file)
    folder = Path("tests", *path.parts[1:-1])
    return [each for each in (folder / f"test_{path.name}", folder / "test_defaults.py") if each.exists()]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument(
        "files", nargs="+", help="FILE of the package; FILE:12,40 = these lines; FILE=TEST,TEST = these tests"
    )
    parser.add_argument("--sample", type=int, help="run so many mutants of each, drawn with seed 0")
    given = parser.parse_args(arguments)
    calm_hypothesis()
    one_thread()
    modules = []
    for text in given.files:
        place, _, tests = text.partition("=")
        file, _, lines = place.partition(":")
        chosen = tests.split(",") if tests else tests_of(file)
        modules.append(Module(file, chosen, {int(each) for each in lines.split(",") if each}))
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        basetemp = Path(folder) / "tests"
        runner = Runner(modules, basetemp, given.sample)
        tests = dict.fromkeys(test for module in modules for test in module.tests)
        code = pytest.main([*options(basetemp), "--no-header", "--no-summary", *tests], plugins=[runner])
    return code or int(runner.survived > 0)


if __name__ == "__main__":
    sys.exit(main())
