#!/bin/sh
# Makes the certificates beside it (OpenSSL 3): one key for all servers, valid from 2020 to 2120 but for the expired one.
set -e
cd "$(dirname "$0")"
work=$(mktemp -d)
sign() { # file, subject, alternative names or basicConstraints, end of validity, signing options...
  out=$1 subject=$2 extension=$3 end=$4
  shift 4
  : >"$work/index"
  cat >"$work/ca.cnf" <<CONF
[ca]
default_ca = it
[it]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = v3
[any]
commonName = supplied
[v3]
$extension
CONF
  openssl req -new -key "$work/$key" -subj "$subject" -out "$work/csr"
  openssl ca -batch -notext -config "$work/ca.cnf" -in "$work/csr" -out "$out.crt" -startdate 20200101000000Z -enddate "$end" "$@"
}
for name in authority.key other.key server.key; do openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$name"; done
late=21200101000000Z
root='basicConstraints=critical,CA:true'
key=authority.key sign authority /CN=authority "$root" $late -selfsign -keyfile "$work/authority.key"
key=other.key sign other /CN=other "$root" $late -selfsign -keyfile "$work/other.key"
key=server.key
by="-cert authority.crt -keyfile $work/authority.key"
sign good /CN=localhost subjectAltName=DNS:localhost,IP:127.0.0.1 $late $by
sign wrong /CN=elsewhere subjectAltName=DNS:elsewhere.example $late $by
sign expired /CN=localhost subjectAltName=DNS:localhost,IP:127.0.0.1 20200102000000Z $by
sign client /CN=tls_user subjectAltName=DNS:client $late $by
sign self /CN=localhost subjectAltName=DNS:localhost $late -selfsign -keyfile "$work/server.key"
cp "$work/server.key" server.key
rm -r "$work"
