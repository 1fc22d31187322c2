#!/usr/bin/env bash
# Prints the Python interpreter that builds and tests: $PYTHON if set, else the oldest one from 3.11 on
# that is usable, since what works there works on the later ones.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Exit 0: usable; 2: it runs but cannot make a virtual environment; anything else: not usable.
check='
import sys, sysconfig
if sys.version_info < (3, 11) or sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(1)
try:
    import ensurepip, venv
except ImportError:
    sys.exit(2)
'

lame=""
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
    path="$(command -v "$candidate" 2>/dev/null)" || continue
    status=0
    "$path" -I -c "$check" >/dev/null 2>&1 || status=$?
    case "$status" in
        0)
            # The real file: version managers put a script in front that answers by the current folder.
            "$path" -I -c 'import sys; print(sys.executable)'
            exit 0
            ;;
        2) lame="${lame:-$path}" ;;
    esac
done

if [ -n "$lame" ]; then
    version="$("$lame" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    fail "$lame cannot make virtual environments: type \`$(install_hint "python$version-venv")\`"
fi
if [ -n "${PYTHON:-}" ]; then
    fail "PYTHON names $PYTHON, which is no CPython 3.11 or newer: name another one, or unset it"
fi
fail "no CPython 3.11 or newer was found: type \`$(install_hint python3 python3-venv)\`, or name one in PYTHON"
