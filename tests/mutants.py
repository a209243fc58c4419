"""`python -m tests.mutants FILE TEST ...`: changes one operator or number of a module at a time, and runs its tests.

A small stand-in for mutmut, whose run over two folders takes hours where torch starts slowly: torch is loaded once, and
each mutant runs in a fork of this process. See MUTANTS.md for those that survive.
"""

import ast
import contextlib
import copy
import importlib
import os
import signal
import sys
import types
from pathlib import Path

import hypothesis  # noqa: F401  # loaded once, for all forks
import pytest
import torch

SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt,
    ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
SECONDS = 60


def mutants(tree):
    """Yields a line, what is changed there, and the changed tree."""
    for number, node in enumerate(ast.walk(tree)):
        changes = []
        if isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPS:
            changes.append(("op", SWAPS[type(node.op)]()))
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            changes.append(("ops", [SWAPS[type(node.ops[0])](), *node.ops[1:]]))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            changes.append(("op", ast.UAdd()))
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            changes.append(("value", node.value + 1))
        elif isinstance(node, ast.Constant) and type(node.value) is bool:
            changes.append(("value", not node.value))
        for field, value in changes:
            changed = copy.deepcopy(tree)
            other = next(each for at, each in enumerate(ast.walk(changed)) if at == number)
            setattr(other, field, value)
            yield node.lineno if hasattr(node, "lineno") else 0, ast.unparse(node), ast.unparse(other), changed


def killed(module, tree, tests):
    """Whether the tests see it; None = they took too long to say."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)  # a mutant that never ends is seen too
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        code = 1
        with contextlib.suppress(BaseException):
            exec(compile(tree, module.__file__, "exec"), vars(module))  # names that others import follow below
            for other in list(sys.modules.values()):
                if isinstance(other, types.ModuleType) and getattr(other, "__name__", "").startswith("wsreid"):
                    for name, value in list(vars(other).items()):
                        if getattr(value, "__module__", None) == module.__name__ and name in vars(module):
                            setattr(other, name, vars(module)[name])
            code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))
        os._exit(1 if code else 0)
    state = os.waitpid(child, 0)[1]
    return None if os.WIFSIGNALED(state) and os.WTERMSIG(state) == signal.SIGALRM else state != 0


def main(path, *tests):
    torch.set_num_threads(1)  # a pool of threads does not live on in a fork
    module = importlib.import_module(str(Path(path).with_suffix("")).replace("/", "."))
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    if killed(module, tree, tests) is not False:
        sys.exit(f"{path}: its tests fail, or take more than {SECONDS} s, without a change")
    total = survived = 0
    for line, before, after, changed in mutants(tree):
        total += 1
        seen = killed(module, changed, tests)
        survived += seen is False
        word = {True: "killed", False: "SURVIVED", None: "endless"}[seen]
        sys.stdout.write(f"{word} {path}:{line}: {before}  ->  {after}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{path}: {total - survived} of {total} killed\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
