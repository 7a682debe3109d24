# Sourced by bin/demo and bin/test: makes the checkout ready to run. Does only what is not done yet, says so on stderr, and
# keeps stdout free. Sets `root` (the checkout) and `node` (its own Node).

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)
node=$root/node_modules/.bin/node

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 1
}

# Makes packages, bundle and PgBouncer ready.
set_up() {
  # A signal ends the set-up, not only the command that it is at.
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  scratch=$(mktemp -d)
  log=$scratch/log
  trap 'rm -rf -- "$scratch"' EXIT
  # One set-up of a checkout at a time; whoever comes second finds it done.
  exec 9<"$root/package.json"
  if ! flock -n 9; then
    say 'Waiting for another set-up of this checkout...'
    flock 9
  fi
  install_packages
  build_bundle
  want_pgbouncer
  exec 9<&-
  rm -rf -- "$scratch"
  trap - EXIT HUP INT TERM
}

install_packages() {
  local stamp=$root/node_modules/.pgvigil-installed wanted
  wanted=$(cd "$root" && cksum package.json package-lock.json)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && [ -x "$node" ]; then return; fi
  if ! [ -x "$node" ] || ! [ "$root/node_modules/.package-lock.json" -nt "$root/package-lock.json" ]; then
    command -v npm >/dev/null || fail 'npm is not installed: pgvigil needs Node and npm to set itself up (on Debian: apt-get install nodejs npm).'
    say 'Installing packages with npm; this takes a minute the first time...'
    rm -f -- "$stamp"
    # npm warns that the machine's Node is old: everything of ours runs on the checkout's own. Its cache needs a place to be.
    if ! [ -w "${HOME:-/nonexistent}" ]; then export npm_config_cache=$scratch/npm; fi
    if ! npm_install ci && ! { grep -q 'code EUSAGE' "$log" && npm_install install --no-save; }; then
      # npm says first what is wrong, and then how to use npm.
      head -n 30 "$log" >&2
      fail 'npm could not install the packages: see above.'
    fi
    [ -x "$node" ] || fail "npm ran no install scripts, so $node is missing: allow them (npm config set ignore-scripts false) and try again."
  fi
  printf '%s\n' "$wanted" >"$stamp" 2>/dev/null || :
}

# A registry that lacks some packages for other systems makes lock files that `npm ci` (EUSAGE) refuses and `npm install` takes.
npm_install() { (cd "$root" && npm "$@" --no-audit --no-fund --loglevel=error) >"$log" 2>&1 9<&- </dev/null; }

build_bundle() {
  local bundle=$root/dist/pgvigil.js
  if [ -f "$bundle" ] && [ -z "$(find "$root/src" "$root/build.mjs" "$root/package.json" -newer "$bundle" -print -quit)" ]; then return; fi
  say 'Building...'
  if ! (cd "$root" && "$node" build.mjs) >"$log" 2>&1 9<&- </dev/null; then
    head -n 30 "$log" >&2
    fail 'The build failed: see above.'
  fi
}

# Runs as root. Debian would start the service of a package it installs, and at each boot: neither is wanted of a demo.
install_pgbouncer='
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
made=
if ! [ -e $policy ]; then
  made=yes
  printf "#!/bin/sh\nexit 101\n" >$policy
  chmod 755 $policy
fi
trap "[ -z \"\$made\" ] || rm -f $policy" EXIT
trap "exit 1" HUP INT TERM
get="apt-get -q -o DPkg::Lock::Timeout=60 -o Acquire::http::Timeout=20 -o Acquire::Retries=1"
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || $get update
get_it() { $get install -y --no-install-recommends pgbouncer; }
if ! get_it; then
  $get update
  get_it
fi
update-rc.d pgbouncer disable >/dev/null 2>&1 || :
'

# PgBouncer comes from the system. Without it the lab runs all the same, so failing is no error; it is tried once an hour.
want_pgbouncer() {
  local as_root=() tried=$root/node_modules/.pgvigil-apt-tried
  if PATH=$PATH:/usr/sbin:/usr/local/sbin command -v pgbouncer >/dev/null; then return; fi
  if ! command -v apt-get >/dev/null || [ -n "$(find "$tried" -mmin -60 2>/dev/null)" ]; then return; fi
  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      say 'PgBouncer is not installed and only root could: going on without it.'
      return
    fi
    as_root=(sudo -n)
  fi
  say 'Installing PgBouncer with apt-get...'
  if ! "${as_root[@]}" timeout --foreground 300 /bin/sh -c "$install_pgbouncer" >"$log" 2>&1 9<&- </dev/null; then
    touch "$tried" 2>/dev/null || :
    tail -n 2 "$log" >&2
    say 'PgBouncer could not be installed: going on without it.'
  fi
}
