"""Check Python without running it: scripts and packages compile, and the examples in their docstrings hold."""

import doctest
import importlib
import importlib.machinery
import importlib.util
import pathlib
import sys
from types import ModuleType


def load(path: pathlib.Path) -> list[ModuleType]:
    """A script as a module, or all modules of a package; what does not compile raises."""
    if path.is_dir():
        sys.path.insert(0, str(path.parent))
        names = sorted(file.stem for file in path.glob("*.py") if file.stem != "__init__")
        return [importlib.import_module(f"{path.name}.{name}") for name in names]
    loader = importlib.machinery.SourceFileLoader("script_under_check", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return [module]


def main() -> int:
    results = [doctest.testmod(module) for path in sys.argv[1:] for module in load(pathlib.Path(path))]
    failed, attempted = (sum(counts) for counts in zip(*results, strict=True))
    print(f"{' '.join(sys.argv[1:])}: {attempted} examples, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
