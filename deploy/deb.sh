#!/bin/sh
# Builds the Debian package of a service, with its Python environment inside: see docs/three-machines.md.
set -eu
umask 022

usage() {
    cat <<'END_OF_USAGE'
Usage: deploy/deb.sh SERVICE FOLDER [OPTIONS]

Builds reelscribe-SERVICE_VERSION_ARCHITECTURE.deb in FOLDER. SERVICE is extractor, transcriber or orchestrator (which
includes worker, watch and mcp).
The package is for hosts with the same distribution, architecture and Python as this one. It holds all of the Python
environment, so that installing it needs no internet; what it does on the host is done by its own deploy/install.sh.

  --wheelhouse DIR  take all Python packages from DIR, as in deploy/install.sh; for the orchestrator, those of '.[mcp]'
  --help            print this

PYTHON=/usr/bin/python3.12 in the environment names the Python; it must be one that those hosts have.
END_OF_USAGE
}

fail() {
    printf 'deb.sh: %s\n' "$*" >&2
    exit "${code:-1}"
}

source=$(cd "$(dirname "$0")/.." && pwd)
PYTHON=${PYTHON:-/usr/bin/python3}
export PYTHON
stage=''
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' INT TERM HUP

code=2
[ "${1:-}" != --help ] || { usage && exit 0; }
[ $# -ge 2 ] || fail "needs a service and a folder; see --help"
service=$1 output=$2
shift 2
case $service in
    extractor) services=extractor needs=', ffmpeg, bubblewrap' ;;
    transcriber) services=transcriber needs=', ffmpeg, bubblewrap' ;;
    orchestrator) services='orchestrator worker watch mcp' needs='' ;;
    *) fail "$service is neither extractor, transcriber nor orchestrator; see --help" ;;
esac
code=1
command -v dpkg-deb >/dev/null || fail "needs dpkg-deb; on Debian or Ubuntu, it is there"
"$PYTHON" -c '' 2>/dev/null || fail "there is no $PYTHON; name the Python: PYTHON=/usr/bin/python3.12 $0 ..."

name=reelscribe-$service
folder=/opt/reelscribe/$service
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/pyproject.toml")
python_minor=$("$PYTHON" -c 'import sys; print(sys.version_info.minor)')
architecture=$(dpkg --print-architecture)
stage=$(mktemp --directory)
chmod 755 "$stage"

"$source/deploy/install.sh" "$service" --for-package --root "$stage" "$@"
# The names that a traceback shows are those of the installed files.
"$PYTHON" -m compileall -q -f -s "$stage" "$stage$folder/.venv" >/dev/null || true # some packages have files for other Pythons

cp "$source/config.cfg" "$stage$folder/"
mkdir -p "$stage$folder/deploy/systemd" "$stage/DEBIAN"
cp "$source/deploy/install.sh" "$stage$folder/deploy/"
cp "$source/deploy/systemd/reelscribe.sysusers.conf" "$stage$folder/deploy/systemd/"
for each in $services; do
    sed "s|/opt/reelscribe/.venv|$folder/.venv|" "$source/deploy/systemd/reelscribe-$each.service" \
        >"$stage$folder/deploy/systemd/reelscribe-$each.service"
done
echo "$services" >"$stage$folder/package"

cat >"$stage/DEBIAN/control" <<END_OF_CONTROL
Package: $name
Version: $version
Architecture: $architecture
Maintainer: Reelscribe <reelscribe@localhost>
Installed-Size: $(du -sk "$stage/opt" | cut -f1)
Depends: python3 (>= 3.$python_minor), python3 (<< 3.$((python_minor + 1))), systemd$needs
Section: misc
Priority: optional
Description: $service of Reelscribe, from stored recordings to transcripts
 With its Python environment in $folder. Settings are files of
 /etc/reelscribe/conf.d; the service starts once there are some, and
 its check has passed.
END_OF_CONTROL
cat >"$stage/DEBIAN/postinst" <<END_OF_POSTINST
#!/bin/sh
set -e
[ "\$1" = configure ] || exit 0
# What cannot start now is no failure of the package: dpkg would leave the host half configured.
for service in $services; do
    if [ "\$service" = $service ] || [ -e "/etc/systemd/system/reelscribe-\$service.service" ]; then
        $folder/deploy/install.sh "\$service" ||
            echo "warning: reelscribe-\$service does not start yet; see above, then run $folder/deploy/install.sh \$service" >&2
    fi
done
END_OF_POSTINST
cat >"$stage/DEBIAN/prerm" <<END_OF_PRERM
#!/bin/sh
set -e
[ "\$1" = remove ] || exit 0
for service in $services; do
    if [ -e "/etc/systemd/system/reelscribe-\$service.service" ]; then
        $folder/deploy/install.sh "\$service" --uninstall >/dev/null
    fi
done
END_OF_PRERM
cat >"$stage/DEBIAN/postrm" <<END_OF_POSTRM
#!/bin/sh
set -e
case \$1 in
    remove) rm -rf $folder ;; # what Python has left there
    purge)
        if [ -e /opt/reelscribe/.venv ] || ls /opt/reelscribe/*/package >/dev/null 2>&1; then
            echo "kept: /etc/reelscribe and /var/lib/reelscribe, which other services here use"
        elif [ "\${REELSCRIBE_PURGE:-}" = data ]; then
            rm -rf /etc/reelscribe /var/lib/reelscribe
        else
            echo "kept: /etc/reelscribe and /var/lib/reelscribe; REELSCRIBE_PURGE=data in the environment removes them too"
        fi
        ;;
esac
END_OF_POSTRM
chmod 755 "$stage/DEBIAN/postinst" "$stage/DEBIAN/prerm" "$stage/DEBIAN/postrm"
mkdir -p "$output"
dpkg-deb --root-owner-group -Zgzip --build "$stage" "$output/${name}_${version}_$architecture.deb"
