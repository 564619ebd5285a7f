"""Build and install pycuda, with or without a CUDA toolkit on the machine.

python scripts/install_pycuda.py           # about two minutes; into the environment of this Python
python scripts/install_pycuda.py --check   # what is there, without building anything

pycuda comes as source and wants CUDA's headers and a C++ compiler. The headers are fetched from PyPI, for
the CUDA that this machine's driver speaks, into a temporary folder: nothing but pycuda is installed, so the
CUDA libraries that PyTorch pins stay as they are. It is linked by name against the driver's libcuda.so.1, so
it can be built on a machine without a driver.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtpolyp.errors import BackendError
from rtpolyp.inference.nvidia_card import find_card
from rtpolyp.terminal.command_line import make_app, run_app

PYCUDA = "pycuda==2026.1"
DRIVER = "libcuda.so.1"

# Oldest headers of each CUDA: a driver has the functions of its own CUDA and of older ones.
HEADERS = {
    "12": (
        "nvidia-cuda-runtime-cu12==12.1.*",
        "nvidia-cuda-nvcc-cu12==12.1.*",
        "nvidia-cuda-profiler-api-cu12==12.1.*",
    ),
    "13": ("nvidia-cuda-runtime==13.0.*", "nvidia-cuda-crt==13.0.*", "nvidia-cuda-profiler-api==13.0.*"),
}

# What pycuda's setup.py reads beside itself. The driver's name is linked once more at the end: some compilers
# leave out, without a word, a library from which nothing is taken.
SITECONF = """CUDA_INC_DIR = {include!r}
CUDADRV_LIB_DIR = [{folder!r}]
CUDA_ENABLE_CURAND = False
LDFLAGS = ["-Wl,--no-as-needed", {library!r}]
"""


app = make_app("python scripts/install_pycuda.py", __doc__, help_format="plaintext")


@app.default
def main(*, check_only: Annotated[bool, Parameter(name="--check", negative="")] = False) -> int:
    """Build unless it is there; the exit code is 0 when pycuda works as far as the driver allows.

    Parameters
    ----------
    check_only
        Say what is there, build nothing.
    """
    good, state = check()
    if not (good or check_only):
        if missing := missing_tools():
            raise BackendError(missing)
        with tempfile.TemporaryDirectory() as folder:
            build(Path(folder))
        good, state = check()
    print(state)
    return 0 if good else 1


def check() -> tuple[bool, str]:
    """Whether pycuda works as far as the driver lets it, and in words what was found.

    Asked of a fresh Python, since an import that failed leaves traces.
    """
    code = "import pycuda; print(pycuda.VERSION_TEXT, flush=True); import pycuda.driver"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said, complaint = answer.stdout.split(), answer.stderr.strip().rpartition("\n")[2]
    if not said:
        return False, f"pycuda is not installed ({complaint})"
    if answer.returncode == 0:
        return True, f"pycuda {said[0]} works"
    if DRIVER in complaint and "cannot open shared object file" in complaint:
        return True, f"pycuda {said[0]} is complete; it lacks only the NVIDIA driver ({DRIVER})"
    return False, f"pycuda {said[0]} is installed, but import pycuda.driver fails ({complaint})"


def missing_tools() -> str | None:
    """What the machine lacks for compiling, with the remedy."""
    if shutil.which(compiler()) is None:
        return f"no C++ compiler {compiler()}; apt-get install g++"
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.is_file():
        return f"{header} is missing; apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-dev"
    return None


def compiler() -> str:
    """The C++ compiler's name."""
    return os.environ.get("CXX", "g++")


def build(folder: Path) -> None:
    """Fetch source and headers into `folder`, compile, and install pycuda alone."""
    card = find_card()
    headers = HEADERS[headers_for(card.cuda if card else None)]
    print(f"CUDA headers for {card or 'a machine without a card'}: {', '.join(headers)}", flush=True)
    pip("install", "--no-deps", "--target", str(folder / "cuda"), *headers)
    pip("download", "--no-deps", "--no-binary", "pycuda", "--dest", str(folder), PYCUDA)
    (archive,) = folder.glob("pycuda-*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    tree = archive.with_name(archive.name.removesuffix(".tar.gz"))
    include = sorted(str(path) for path in (folder / "cuda").rglob("include") if path.is_dir())
    siteconf = SITECONF.format(include=include, folder=str(folder), library=str(empty_driver(folder)))
    (tree / "siteconf.py").write_text(siteconf, encoding="utf-8")
    print("compiling pycuda, about two minutes", flush=True)
    pip("uninstall", "--yes", "pycuda")  # one that cannot be imported; what it needs stays as it is
    pip("install", str(tree))


def headers_for(cuda: str | None) -> str:
    """The newest CUDA of HEADERS that a driver speaks, e.g. "12" for "12.8"; None is no driver."""
    if cuda is None:
        return max(HEADERS)
    major = int(cuda.partition(".")[0])
    return max((known for known in HEADERS if int(known) <= major), default=min(HEADERS))


def empty_driver(folder: Path) -> Path:
    """A library with the driver's name and nothing in it: the linker wants no more."""
    library = folder / "libcuda.so"
    command = [compiler(), "-shared", "-x", "c", "/dev/null", f"-Wl,-soname,{DRIVER}", "-o", str(library)]
    subprocess.run(command, check=True)
    return library


def pip(*arguments: str) -> None:
    """Run pip of this Python; its own words go on."""
    subprocess.run([sys.executable, "-m", "pip", "-q", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
