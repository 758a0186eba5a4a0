#!/usr/bin/env bash
# Install desra, editable, into a virtual environment. Quick when nothing has changed since.
#
#   bash scripts/install.sh [--venv DIR] [--extras NAME,NAME]
#
# Defaults: --venv .venv (or $VENV), --extras test. $PYTHON names the interpreter to use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { echo "error: $*" >&2; exit 2; }

venv=${VENV:-.venv}
extras=test
while [ $# -gt 0 ]; do
    case $1 in
        --venv) venv=${2:?--venv needs a folder}; shift 2 ;;
        --extras) extras=${2?--extras needs names, or an empty text for none}; shift 2 ;;
        *) die "unknown argument '$1'; use: install.sh [--venv DIR] [--extras NAME,NAME]" ;;
    esac
done

fits() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" || die "PYTHON=$PYTHON is not Python 3.10, 3.11 or 3.12 (basicsr builds on no other)"
        echo "$PYTHON"
        return
    fi
    local name
    for name in python3.12 python3.11 python3.10 python3 python; do
        if fits "$name"; then echo "$name"; return; fi
    done
    die "Python 3.10, 3.11 or 3.12 is needed (basicsr builds on no other); install one, or name it: PYTHON=/path/to/python3.11"
}

python=$venv/bin/python
if [ ! -e "$venv" ]; then
    interpreter=$(find_python)
    echo "virtual environment: $venv ($("$interpreter" --version))"
    "$interpreter" -m venv "$venv"
elif ! "$python" -m pip --version >/dev/null 2>&1; then
    die "$venv exists, but is no virtual environment with pip; delete it and run this again"
elif ! fits "$python"; then
    die "$venv has another Python than 3.10, 3.11 or 3.12; delete it and run this again"
fi

# What an installation depends on; a stamp with the same text means that nothing is to be done.
state="$(cat pyproject.toml scripts/install.sh | cksum) $PWD"
stamp=$venv/.desra-${extras:-none}
if [ "$(cat "$stamp" 2>/dev/null)" = "$state" ] && "$python" -c 'import desra' 2>/dev/null; then
    exit 0
fi

quiet=--quiet
if [ -t 1 ]; then quiet=; fi # a person at a terminal sees pip's progress bars
install() { "$python" -m pip install --disable-pip-version-check $quiet "$@"; }

# basicsr's build asks for torch, which pip would download a second time into an isolated build
# environment. So torch comes first, then what the build needs, then basicsr in the environment itself.
echo "installing torch and torchvision (the largest part)"
install "torch>=2.4" "torchvision>=0.19"
echo "installing basicsr"
install "setuptools<82" wheel cython "numpy>=1.24"
install --no-build-isolation basicsr==1.4.2
echo "installing desra${extras:+ with $extras}"
install -e ".${extras:+[$extras]}"

if ! fault=$("$python" -c 'import cv2' 2>&1); then
    die "OpenCV cannot be imported (${fault##*$'\n'}); on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0"
fi
echo "$state" > "$stamp"
