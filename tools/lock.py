"""Write requirements.lock and requirements-dev.lock from pyproject.toml: `make lock`, or `make lock UPGRADE=1`.

pip resolves into nothing (a dry run), so no package is installed. Versions already locked are kept unless `--upgrade`
is given. The lock names versions only: no index, no hash, no local version. So pip takes the CPU build of torch where
the machine's indexes offer one (`2.13.0+cpu` satisfies `==2.13.0` and ranks higher), and torch itself asks for its
CUDA libraries where they do not; those are never locked. Does not cover platforms: the lock is resolved for this one,
and what another platform needs on top is resolved by pip there.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME, DEV = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
DEV_EXTRAS = ("dev", "bench", "hf")
ACCELERATOR = re.compile(r"nvidia-.*|cuda-.*|triton")
HEADER = """\
# Exact versions of {what}, written by `make lock`; do not edit.
# Install: python -m pip install -r {name} && python -m pip install --no-deps --no-build-isolation -e .
"""


def resolve(requirements: list[str], constraints: dict[str, str]) -> dict[str, str]:
    """Ask pip which versions it would install: normalised name -> version without its local part."""
    with tempfile.TemporaryDirectory() as folder:
        report, pins = Path(folder, "report.json"), Path(folder, "constraints.txt")
        pins.write_text(as_lines(constraints), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--no-input"]
        subprocess.run([*command, "--report", report, "-c", pins, *requirements], check=True)
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = {normalise(item["metadata"]["name"]): item["metadata"]["version"].partition("+")[0] for item in items}
    return {name: version for name, version in found.items() if not ACCELERATOR.fullmatch(name)}


def normalise(name: str) -> str:
    """The one spelling of a project's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def as_lines(pins: dict[str, str]) -> str:
    """`name==version` lines, sorted."""
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))


def read_lock(path: Path) -> dict[str, str]:
    """The pins of a lock file; empty when there is none."""
    if not path.exists():
        return {}
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if line)


def write_lock(path: Path, *, purpose: str, pins: dict[str, str]) -> None:
    """Write one lock file under its header."""
    path.write_text(HEADER.format(what=purpose, name=path.name) + as_lines(pins), encoding="utf-8")
    print(f"{path.name}: {len(pins)} packages")


def main() -> None:
    """Resolve both closures, the development one under the versions of the runtime one, and write both files."""
    parser = argparse.ArgumentParser(description="Write requirements.lock and requirements-dev.lock.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions instead of the locked ones")
    keep = not parser.parse_args().upgrade
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    runtime = resolve(wanted, read_lock(RUNTIME) if keep else {})
    for extra in DEV_EXTRAS:
        wanted += project["optional-dependencies"][extra]
    dev = resolve(wanted, {**(read_lock(DEV) if keep else {}), **runtime})
    write_lock(RUNTIME, purpose="everything Interlock runs with", pins=runtime)
    write_lock(DEV, purpose="everything Interlock runs, is tested and is measured with", pins=dev)


if __name__ == "__main__":
    main()
