#!/bin/sh
# Prints the path of a Chromium for the browser tests: CHROMIUM, one that is installed, else one that
# this installs: as root on Debian through apt, else through Playwright into the user's cache.
set -eu

say() {
    printf '%s\n' "$1" >&2
}

find_installed() {
    for name in ${CHROMIUM:-} chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" && return
    done
    return 1
}

# Prints Playwright's own Chromium if that has been downloaded.
find_downloaded() {
    .venv/bin/python -c '
import pathlib, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    path = pathlib.Path(playwright.chromium.executable_path)
print(path) if path.exists() else sys.exit(1)
' 2>/dev/null
}

find_installed && exit
find_downloaded && exit

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "No Chromium found: installing Debian's for the browser tests (apt-get install chromium) ..."
    if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >&2; then
        find_installed && exit
    fi
fi
say "No Chromium found: downloading Playwright's for the browser tests ..."
.venv/bin/python -m playwright install chromium >&2 && find_downloaded && exit
say "No Chromium could be installed: install one, or name one with CHROMIUM=/path/to/it."
exit 1
