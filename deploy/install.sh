#!/bin/sh
# Installs a service of Reelscribe on this host (Debian or Ubuntu), or a newer version of it: see docs/three-machines.md.
set -eu
umask 022

usage() {
    cat <<'END'
Usage: deploy/install.sh SERVICE [OPTIONS]

SERVICE is extractor, transcriber or orchestrator; where they are wanted also worker (on further hosts), watch (if MinIO
sends no events) and mcp (for assistants).
A second run installs what has changed. config.cfg, conf.d and the token stay as they are.

  --dry-run         print what would be done, and do nothing
  --uninstall       remove the service; configuration, token and data stay
  --root DIR        install into the file system in DIR, such as that of an image, and start nothing; it must have the
                    same Python as this host
  --wheelhouse DIR  take all packages from DIR, for hosts without internet; on a host like this one it is made by
                    python3 -m pip wheel --wheel-dir DIR '.[extractor]' (or transcriber, or orchestrator)
  --for-package     only make the Python environment, in /opt/reelscribe/SERVICE below --root DIR, as deploy/deb.sh does
  --help            print this

The files with secrets in /etc/reelscribe (tokens, pgpass, *.key, *.secret) become readable to the service only.

PYTHON=python3.12 in the environment names the Python to use (3.11 or newer).
END
}

source=$(cd "$(dirname "$0")/.." && pwd)
service='' dry='' uninstall='' root='' wheelhouse='' for_package='' packaged=''
PYTHON=${PYTHON:-python3}
folder=/opt/reelscribe
etc=/etc/reelscribe
temporary=''
units=/etc/systemd/system

fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit "${code:-1}"
}

# Runs a command that changes something, or prints it.
run() {
    if [ "$dry" ]; then
        printf 'would run: %s\n' "$*"
    else
        "$@"
    fi
}

read_arguments() {
    code=2
    while [ $# -gt 0 ]; do
        case $1 in
            --dry-run) dry=yes ;;
            --uninstall) uninstall=yes ;;
            --for-package) for_package=yes ;;
            --root | --wheelhouse)
                [ $# -gt 1 ] || fail "$1 needs a folder; see --help"
                [ -d "$2" ] || fail "$1 $2: there is no such folder"
                if [ "$1" = --root ]; then root=$(cd "$2" && pwd); else wheelhouse=$(cd "$2" && pwd); fi
                shift
                ;;
            --help) usage && exit 0 ;;
            extractor | transcriber | orchestrator | worker | watch | mcp)
                [ -z "$service" ] || fail "one service at a time: $service or $1"
                service=$1
                ;;
            *) fail "$1 is neither a service nor an option; see --help" ;;
        esac
        shift
    done
    [ "$service" ] || fail "which service: extractor, transcriber or orchestrator? See --help"
    [ "$root" != / ] || root=''
    if [ "$for_package" ]; then
        [ "$root" ] || fail "--for-package needs --root DIR"
        folder=$folder/$service
    elif [ -e "$source/package" ]; then # this file is in a package, next to the environment
        packaged=$(cat "$source/package")
        case " $packaged " in
            *" $service "*) folder=$source ;;
            *) fail "this package has no $service, but: $packaged" ;;
        esac
    fi
    [ "$dry" ] || [ "$(id -u)" = 0 ] || fail "must be run as root, as with sudo"
    code=1
    unit=reelscribe-$service.service
    case $service in
        extractor) extra=extractor check='extractor-api check' ;;
        transcriber) extra=transcriber check='transcriber check' ;;
        mcp) extra=mcp check='orchestrator check' ;;
        *) extra=orchestrator${for_package:+,mcp} check='orchestrator check' ;; # its package is that of mcp too
    esac
}

# Whether systemd runs on the host that is installed to.
systemd_runs() {
    [ -z "$root" ] && [ -d /run/systemd/system ]
}

install_programs() {
    missing=''
    [ "$PYTHON" = python3 ] || command -v "$PYTHON" >/dev/null ||
        fail "there is no $PYTHON; name the Python: PYTHON=python3.12 $0 ..."
    "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null || missing='python3-venv'
    if [ -z "$root" ] && { [ "$service" = extractor ] || [ "$service" = transcriber ]; }; then
        command -v ffmpeg >/dev/null || missing="$missing ffmpeg"
        command -v bwrap >/dev/null || missing="$missing bubblewrap" # ffmpeg's sandbox
    fi
    if [ "$missing" ]; then
        command -v apt-get >/dev/null || fail "install these packages first:$missing"
        # shellcheck disable=SC2086 # one word for each package
        run apt-get install --yes --no-install-recommends $missing ||
            fail "apt-get could not install: $missing; on a host without internet, install them from your own mirror"
    fi
    [ "$dry" ] || "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Reelscribe needs Python 3.11 or newer, and $PYTHON is older; name another: PYTHON=python3.12 $0 ..."
}

make_user() {
    run mkdir -p "$root/etc/sysusers.d"
    run install --mode=644 "$source/deploy/systemd/reelscribe.sysusers.conf" "$root/etc/sysusers.d/reelscribe.conf"
    run systemd-sysusers ${root:+"--root=$root"} reelscribe.conf
    # Its numbers: below DIR, its name may be that of another one, or of none.
    owner=$({ if [ "$root" ]; then cat "$root/etc/passwd"; else getent passwd reelscribe; fi } |
        sed -n 's/^reelscribe:[^:]*:\([0-9]*\):\([0-9]*\):.*/\1:\2/p')
    [ "$owner" ] || [ "$dry" ] || fail "the user reelscribe could not be made; see the lines of systemd-sysusers above"
    owner=${owner:-reelscribe:reelscribe}
    user=${owner%:*} group=${owner#*:}
    run install --directory --mode=750 "--owner=$user" "--group=$group" "$root/var/lib/reelscribe"
    case $service in
        extractor | watch) # the group of MinIO's packages, which may read its files
            if grep -q '^minio-user:' "$root/etc/group"; then
                run usermod ${root:+--prefix "$root"} --append --groups minio-user reelscribe
            fi
            ;;
    esac
}

install_package() {
    venv=$root$folder/.venv
    # In one of another Python, from before the system was upgraded, this one finds nothing.
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        [ ! -e "$venv" ] || run rm -rf "$venv"
        run "$PYTHON" -m venv "$venv"
    fi
    if [ "$wheelhouse" ]; then
        set -- --no-index --find-links "$wheelhouse"
        run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" "reelscribe[$extra]"
        # A newer build may have the same version.
        run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" --no-deps --force-reinstall reelscribe
    else # a copy: in the original, what an earlier build has left would be installed too
        copy=$(mktemp --directory)
        temporary=$copy
        (cd "$source" && run cp -r pyproject.toml README.md LICENSE config.cfg \
            reelscribe extractor_api transcriber orchestrator "$copy")
        run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${copy}[$extra]"
    fi
    if [ "$root" ] && [ -z "$dry" ]; then # the environment was made for a path that it will not have
        grep -rlIF "$venv" "$venv/bin" "$venv/pyvenv.cfg" | while read -r file; do
            sed -i "s|$venv|$folder/.venv|g" "$file"
        done
    fi
}

# Makes a file of /etc/reelscribe out of standard input, unless it is there: then it stays as it is.
make_file() {
    if [ -e "$root$etc/$1" ]; then
        cat >/dev/null
    elif [ "$dry" ]; then
        cat >/dev/null
        printf 'would make: %s\n' "$etc/$1"
    else
        (umask 077 && cat >"$root$etc/$1")
        printf 'made: %s\n' "$etc/$1"
    fi
}

configure() {
    run install --directory --mode=750 --owner=0 "--group=$group" "$root$etc" "$root$etc/conf.d"
    # The shipped settings, with the folders of an installed service.
    sed -e "/^\[auth\]/,/^\[/s|^token_file =.*|token_file = $etc/tokens|" \
        -e 's|^minio_data_path =.*|minio_data_path = /data/minio|' \
        -e 's|^data_dir = data/|data_dir = /var/lib/reelscribe/|' "$source/config.cfg" | make_file config.cfg
    for settings in "$root$etc/config.cfg" "$root$etc/conf.d"/*.cfg; do
        if [ -e "$settings" ]; then
            run chgrp "$group" "$settings"
            run chmod g+r,o= "$settings"
        fi
    done
    # The token is never an argument of a program, which others could see.
    od -An -v -N32 -w32 -tx1 /dev/urandom | tr -d ' ' | make_file tokens
    for secret in "$root$etc/tokens" "$root$etc/pgpass" "$root$etc"/*.key "$root$etc"/*.secret; do
        if [ -e "$secret" ]; then
            run chown "$owner" "$secret"
            run chmod 600 "$secret"
        fi
    done
}

install_unit() {
    run mkdir -p "$root$units"
    run install --mode=644 "$source/deploy/systemd/$unit" "$root$units/$unit"
    if systemd_runs; then
        run systemctl daemon-reload
    fi
}

# What the service can do: its check, run by its own unit, with its user, its token and all that its unit forbids.
check_in_unit() {
    trial=check-$unit
    temporary="$temporary /run/systemd/system/$trial /run/systemd/system/$trial.d /run/$trial.log"
    mkdir -p /run/systemd/system
    sed -e "s|^ExecStart=.*|ExecStart=$folder/.venv/bin/$check --config $etc/config.cfg|" \
        -e "s|^Type=.*|Type=oneshot\nStandardOutput=truncate:/run/$trial.log\nStandardError=inherit|" \
        -e '/^WatchdogSec=/d; /^Restart/d' "$source/deploy/systemd/$unit" >"/run/systemd/system/$trial"
    if [ -d "$units/$unit.d" ]; then # what systemctl edit has changed
        cp -r "$units/$unit.d" "/run/systemd/system/$trial.d"
    fi
    systemctl daemon-reload
    passed=yes
    systemctl start "$trial" 2>/dev/null || passed=''
    if [ -z "$passed" ] && [ "$service" = orchestrator ] && lacks_only_its_database; then
        systemctl restart "$unit" # which makes it
        passed=yes
        systemctl start "$trial" 2>/dev/null || passed=''
    fi
    cat "/run/$trial.log" 2>/dev/null || systemctl status --no-pager "$trial" || true
    systemctl reset-failed "$trial" 2>/dev/null || true
    [ "$passed" ]
}

lacks_only_its_database() {
    [ "$(sed -n 's/^FAIL \([^:]*: there is no database yet\).*/\1/p; s/^FAIL.*/other/p' "/run/$trial.log")" = \
        'database: there is no database yet' ]
}

is_configured() {
    [ "$(find "$root$etc/conf.d" -name '*.cfg' 2>/dev/null)" ]
}

start() {
    if [ "$packaged" ] && ! is_configured; then
        echo "$unit is installed, and not started: it is not configured; write your settings into $etc/conf.d/50-$service.cfg," \
            "then run $source/deploy/install.sh $service"
    elif [ "$dry" ]; then
        run "$folder/.venv/bin/${check%% *}" "${check#* }" --config "$etc/config.cfg"
        run systemctl ${root:+"--root=$root"} enable "$unit"
        [ "$root" ] || run systemctl restart "$unit"
    elif [ "$root" ]; then
        systemctl --quiet "--root=$root" enable "$unit"
        echo "ok   $unit: starts with that system; nothing was checked"
    elif ! systemd_runs; then
        echo "systemd does not run here: $unit is installed, and neither checked nor started"
    elif check_in_unit; then
        systemctl --quiet enable "$unit"
        systemctl restart "$unit" || fail "$unit does not start; see: journalctl -u $unit"
        echo "ok   $unit: runs, and starts with this host"
    else
        state='not started'
        if systemctl --quiet is-active "$unit"; then state='not started again: the former one still runs'; fi
        fail "$unit is installed, and $state; correct what is wrong above, in $etc/conf.d, and run this again"
    fi
}

uninstall() {
    if systemd_runs; then
        run systemctl --quiet disable --now "$unit" 2>/dev/null || true # it may be installed in part only
    elif [ "$root" ]; then
        run systemctl --quiet "--root=$root" disable "$unit" 2>/dev/null || true
    fi
    run rm -f "$root$units/$unit"
    if systemd_runs; then
        run systemctl daemon-reload
        run systemctl reset-failed "$unit" 2>/dev/null || true
    fi
    others=$(find "$root$units" -name 'reelscribe-*.service' ! -name "$unit" 2>/dev/null)
    if [ -z "$others" ]; then
        if [ -z "$packaged" ]; then # those of a package are its own to remove
            run rm -rf "$root$folder/.venv"
            [ ! -d "$root$folder" ] || run rmdir --ignore-fail-on-non-empty "$root$folder"
        fi
        run rm -f "$root/etc/sysusers.d/reelscribe.conf"
    fi
    echo "kept: $etc, /var/lib/reelscribe and the user reelscribe; no data of any service was removed"
}

# shellcheck disable=SC2086 # one word for each path
trap 'rm -rf $temporary' EXIT
trap 'exit 130' INT TERM HUP
read_arguments "$@"
if [ "$uninstall" ]; then
    uninstall
elif [ "$for_package" ]; then
    install_package
else
    if [ -z "$packaged" ]; then install_programs; fi
    make_user
    if [ -z "$packaged" ]; then install_package; fi
    configure
    install_unit
    start
fi
