#!/usr/bin/env bash
# pip 25.3 and yt-dlp 2026.10.26: if deno cannot be installed, "yt-dlp[default,deno]" is no error. pip goes back to
# a yt-dlp of 2025 that has no such extra, which is only a warning, and exits with 0. So: first yt-dlp, then the extra of
# that very version. Seen: "exit 0, yt-dlp 2025.12.08; with the version: exit 1".
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv env
env/bin/pip install --quiet pip==25.3
echo 'deno < 0' >none.txt # as on a system for which there is no wheel of deno
echo 'yt-dlp <= 2026.10.26' >>none.txt
status=0
env/bin/pip install --quiet -c none.txt 'yt-dlp[default,deno]' 2>warnings || status=$?
version=$(env/bin/yt-dlp --version)
pinned=0
env/bin/pip install --quiet -c none.txt 'yt-dlp[deno]==2026.10.26' 2>>warnings || pinned=$?
echo "exit $status, yt-dlp $version; with the version: exit $pinned"
[ "$status" = 0 ] && [[ "$version" < 2026 ]] && [ "$pinned" != 0 ]
