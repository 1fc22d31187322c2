#!/usr/bin/env bash
# A server of MySQL's dialect for the tests of SQL: root with apt gets MariaDB's programs, without a service that runs.
# Without them those tests say that they look at nothing.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export PATH="$PATH:/usr/sbin"
if have mariadbd && have mariadb && have mariadb-install-db; then
    say "sql server: $(command -v mariadbd)"
    exit 0
fi
packages=(mariadb-server-core mariadb-client-core)
without() {
    say "sql server: none, $1: type \`apt-get install ${packages[*]}\`, or leave what needs it untested"
    exit 0
}
have apt-get || without "and there is no apt"
[ "$(id -u)" -eq 0 ] || without "and this is not root"
say "sql server: installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
install=(apt-get -q -y --no-install-recommends install "${packages[@]}")
"${install[@]}" >/dev/null 2>&1 ||
    { apt-get -q update >/dev/null 2>&1 && "${install[@]}" >/dev/null 2>&1; } ||
    without "and apt could not install it"
