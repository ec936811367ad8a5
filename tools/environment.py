"""Make or mend the virtual environment: `python tools/environment.py .venv [--dev]`, called by every make target.

Runs on the machine's own Python with nothing installed. What stands in the environment is written to its stamp file,
last, so these are told apart: complete (nothing is done, in milliseconds), half-made because it was killed (made anew),
made for another lock, Python or folder (made anew, so nothing of the old one stays), lacking the development tools
(added), older than pyproject.toml (the project alone is installed again). Two calls at once wait for each other.

Does not choose where packages come from: that is pip's own configuration (`PIP_INDEX_URL`, `PIP_FIND_LINKS` ...).
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "interlock-environment.json"
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
PROJECT_FILES = ("pyproject.toml", "src/interlock/__init__.py")
PYTHON_MIN = (3, 11)

Stamp = dict[str, str]


def wanted_stamp(root: Path, venv: Path, *, dev: bool) -> Stamp:
    """What the environment should hold: digests of its sources by part."""
    # the scripts of a virtual environment hold its absolute path, so a moved one is useless
    base = f"{venv.resolve()} {sys.version} {(root / LOCKS['runtime']).read_text(encoding='utf-8')}"
    parts = {"runtime": base, "project": "".join((root / name).read_text(encoding="utf-8") for name in PROJECT_FILES)}
    if dev:
        parts["dev"] = (root / LOCKS["dev"]).read_text(encoding="utf-8")
    return {part: hashlib.sha256(text.encode()).hexdigest() for part, text in parts.items()}


def plan(found: Stamp | None, wanted: Stamp) -> list[str]:
    """The steps from `found` (None: no stamp) to `wanted`, each of `create`, `runtime`, `dev`, `project`."""
    tools_outdated = found is not None and "dev" in found and found["dev"] != wanted.get("dev", found["dev"])
    if found is None or "busy" in found or found.get("runtime") != wanted["runtime"] or tools_outdated:
        return ["create", *(part for part in ("runtime", "dev", "project") if part in wanted)]
    return [part for part in ("dev", "project") if part in wanted and found.get(part) != wanted[part]]


def read_stamp(venv: Path) -> Stamp | None:
    """The stamp of an environment; None when it has none that can be read."""
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def write_stamp(venv: Path, stamp: Stamp) -> None:
    """Replace the stamp in one step."""
    part = venv / f"{STAMP}.part"
    part.write_text(json.dumps(stamp, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(venv / STAMP)


def create(venv: Path) -> None:
    """Remove whatever stands there and make an empty environment."""
    if venv.exists() and not (venv / "pyvenv.cfg").exists() and any(venv.iterdir()):
        sys.exit(f"{venv} is not a virtual environment and is not removed; choose another: make VENV=<folder> ...")
    shutil.rmtree(venv, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(venv)], check=False, stdin=subprocess.DEVNULL)
    if made.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        sys.exit("python could not make a virtual environment; on Debian and Ubuntu: apt install python3-venv")


def install(venv: Path, arguments: list[str]) -> None:
    """Run the environment's pip; ends the program with the way out when it fails."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*command, *quiet, *arguments], check=False, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        sys.exit(
            f"pip stopped with code {done.returncode}; its messages stand above. Where there is no internet, say where "
            "wheels are with PIP_INDEX_URL or PIP_FIND_LINKS, then call make again: it starts anew by itself."
        )


STEPS = {
    "runtime": ["-r", LOCKS["runtime"]],
    "dev": ["-r", LOCKS["dev"]],
    "project": ["--no-deps", "--no-build-isolation", "--editable", "."],
}


def bring_up(venv: Path, *, dev: bool) -> None:
    """Do what is missing, marking the environment busy meanwhile."""
    wanted = wanted_stamp(ROOT, venv, dev=dev)
    stamp = read_stamp(venv) or {}
    for step in plan(stamp or None, wanted):
        start = time.monotonic()
        print(f"environment: {step} ...", flush=True)
        if step == "create":
            create(venv)
            stamp = {}
            continue
        write_stamp(venv, {**stamp, "busy": step})
        install(venv, STEPS[step])
        stamp[step] = wanted[step]
        write_stamp(venv, stamp)
        print(f"environment: {step} installed in {time.monotonic() - start:.0f} s", flush=True)


def main() -> None:
    """Read the command line, keep other calls waiting, do the work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("venv", type=Path, help="folder of the virtual environment")
    parser.add_argument("--dev", action="store_true", help="with the tools that tests and checks need")
    arguments = parser.parse_args()
    if sys.version_info < PYTHON_MIN:
        sys.exit(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    with (ROOT / LOCKS["runtime"]).open("rb") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        bring_up(arguments.venv, dev=arguments.dev)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
