#!/bin/sh
# Makes .venv and installs a lock file into it, unless exactly that is installed already.
#
#   scripts/bootstrap.sh requirements.txt [requirements-dev.txt ...]
#
# The last file named holds all that the others hold. PYTHON chooses the interpreter. Ends with one
# sentence and a code other than 0 when it cannot be done.
set -eu

for lock in "$@"; do :; done
python=.venv/bin/python

# True if this very lock was installed by an interpreter that still runs.
installed() {
    cmp -s "$lock" ".venv/$lock" && "$python" -c '' 2>/dev/null
}

installed && exit 0

say() {
    printf '%s\n' "$1" >&2
}

fail() {
    say "$1"
    exit 1
}

# Prints "old", "no-venv" or "good" for the interpreter named; nothing if it does not run.
judge() {
    "$1" -c '
import sys
if sys.version_info < (3, 11):
    print("old")
else:
    try:
        import ensurepip, venv
        print("good")
    except ImportError:
        print("no-venv")
' 2>/dev/null || :
}

# Prints the first interpreter that will do, else one that has everything but the venv module.
choose() {
    without_venv=
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        case $(judge "$candidate") in
            good) printf 'good %s\n' "$candidate"; return ;;
            no-venv) without_venv=${without_venv:-$candidate} ;;
        esac
    done
    [ -z "$without_venv" ] || printf 'no-venv %s\n' "$without_venv"
}

make_environment() {
    found=$(choose)
    case $found in
        good\ *) ;;
        no-venv\ *)
            fail "${found#* } lacks its venv module: install it (on Debian and Ubuntu: apt install python3-venv), or name another Python with PYTHON=..." ;;
        *)
            fail "Python 3.11 or newer is needed, and ${PYTHON:-python3} is not that: install it, or name it with PYTHON=..." ;;
    esac
    "${found#* }" -m venv --clear .venv || fail "The virtual environment .venv could not be made; the lines above say why."
}

"$python" -m pip --version >/dev/null 2>&1 || make_environment

say "Installing into .venv what $lock lists (once, and again when it changes) ..."
for name in "$@"; do
    rm -f ".venv/$name"
done
"$python" -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r "$lock" ||
    fail "The installation failed; the lines above say why. Run the same command to try again."
for name in "$@"; do
    cp "$name" ".venv/$name"
done
