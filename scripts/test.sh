#!/usr/bin/env bash
# Install desra into a virtual environment (see install.sh) and run all tests.
#
#   bash scripts/test.sh [arguments of pytest]       such as -m "not slow", or tests/artifacts
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash scripts/install.sh
exec "${VENV:-.venv}/bin/python" -m pytest "$@"
