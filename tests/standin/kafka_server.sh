#!/bin/bash
# A real Apache Kafka 3.9.2 for tests: one node, KRaft, loopback, in the foreground.
#   kafka_server.sh resolve                     fetches its jars from Maven Central, once a machine
#   kafka_server.sh DIR PLAIN CONTROLLER SASL TLS SASL_TLS [NAME=VALUE...]
# Another one that joins it is told node.id=, process.roles=broker, its listeners, and CONTROLLER of
# the first.
# The five are ports: without a check (a superuser); the controller's; SCRAM and PLAIN; TLS with a
# client's certificate; SCRAM over TLS. Users: alice / alice-secret may do everything, bob /
# bob-secret nothing. DIR/tls holds ca.crt, client.crt and client.key. NAME=VALUE: server.properties.
# Ready when DIR/server.log says "Kafka Server started". Ends with the process that started it.
# Exits with 77 when there is no Java, no Maven or no way to Maven Central.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/millrace/kafka-3.9.2

skip() {
  echo "SKIPPED: no Kafka for tests: $*" >&2
  exit 77
}

resolve() {
  command -v java >/dev/null || skip "java is missing: run scripts/install-packages"
  mkdir -p "$cache" || skip "$cache cannot be made"
  exec 9>"$cache/lock"
  flock 9
  if [[ ! -e $cache/complete ]]; then
    command -v mvn >/dev/null || skip "mvn is missing: run scripts/install-packages"
    # Its own repository, so that nothing is left in the user's.
    timeout 600 mvn -B -ntp -q -f "$here/kafka_pom.xml" "-Dmaven.repo.local=$cache/repository" \
      org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
      -DincludeScope=runtime "-DoutputDirectory=$cache/jars" >"$cache/resolve.log" 2>&1 </dev/null \
      || skip "its jars cannot be fetched from Maven Central; $cache/resolve.log says why"
    rm -rf "$cache/repository"
    touch "$cache/complete"
  fi
  flock -u 9
  exec 9>&-
}

resolve
[[ $1 == resolve ]] && exit 0
directory=$1 plain=$2 controller=$3 sasl=$4 tls=$5 sasl_tls=$6
shift 6
node=1
for setting in "$@"; do
  if [[ $setting == node.id=* ]]; then node=${setting#*=}; fi
done
mkdir -p "$directory/tls"
java=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Djava.net.preferIPv4Stack=true
  "-Dlog4j.configuration=file:$directory/log4j.properties" -cp "$cache/jars/*")

if [[ ! -e $directory/tls/server.pem ]]; then
  (
    cd "$directory/tls"
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test-ca -keyout ca.key -out ca.crt
    for name in server client; do
      openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout "$name.key" -out "$name.csr"
      openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 \
        -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n') -out "$name.crt"
    done
    cat server.key server.crt >server.pem
  ) >"$directory/tls.log" 2>&1
fi

scram=org.apache.kafka.common.security.scram.ScramLoginModule
login=org.apache.kafka.common.security.plain.PlainLoginModule
cat >"$directory/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$plain,CONTROLLER://127.0.0.1:$controller,SASL_PLAINTEXT://127.0.0.1:$sasl,SSL://127.0.0.1:$tls,SASL_SSL://127.0.0.1:$sasl_tls
advertised.listeners=PLAINTEXT://127.0.0.1:$plain,SASL_PLAINTEXT://127.0.0.1:$sasl,SSL://127.0.0.1:$tls,SASL_SSL://127.0.0.1:$sasl_tls
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=$scram required;
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=$scram required;
listener.name.sasl_plaintext.plain.sasl.jaas.config=$login required user_alice="alice-secret" user_bob="bob-secret";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$scram required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$scram required;
listener.name.sasl_ssl.plain.sasl.jaas.config=$login required user_alice="alice-secret" user_bob="bob-secret";
ssl.keystore.type=PEM
ssl.keystore.location=$directory/tls/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=$directory/tls/ca.crt
listener.name.ssl.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:alice;User:CN=client
log.dirs=$directory/data
num.partitions=1
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
log.initial.task.delay.ms=100
log.cleaner.enable=false
log.index.size.max.bytes=65536
num.network.threads=2
num.io.threads=4
background.threads=2
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
PROPERTIES
printf '%s\n' "$@" >>"$directory/server.properties"
cat >"$directory/log4j.properties" <<PROPERTIES
log4j.rootLogger=WARN, F
log4j.logger.kafka.server=INFO
log4j.appender.F=org.apache.log4j.FileAppender
log4j.appender.F.File=$directory/server.log
log4j.appender.F.layout=org.apache.log4j.PatternLayout
log4j.appender.F.layout.ConversionPattern=%d %p %m (%c{1})%n
PROPERTIES

if [[ ! -e $directory/data/meta.properties ]]; then
  # Formatting costs as much as starting; what it makes is the same every time.
  formatted=$cache/formatted-$(sha256sum "$here/kafka_server.sh" | head -c 16)
  if [[ ! -e $formatted ]]; then
    "${java[@]}" -Xmx64m kafka.tools.StorageTool format -t AAAAAAAAQACAAAAAAAAAAQ \
      -c "$directory/server.properties" \
      --add-scram 'SCRAM-SHA-256=[name=alice,password=alice-secret]' \
      --add-scram 'SCRAM-SHA-512=[name=alice,password=alice-secret]' \
      --add-scram 'SCRAM-SHA-512=[name=bob,password=bob-secret]' >"$directory/format.log" 2>&1 ||
      { cat "$directory/format.log" >&2; exit 1; }
    copy=$(mktemp -d "$cache/new-XXXXXX")
    cp -r "$directory/data/." "$copy"
    # Another one may have been first.
    mv -T "$copy" "$formatted" 2>/dev/null || rm -rf "$copy"
  else
    mkdir -p "$directory/data"
    cp -r "$formatted/." "$directory/data"
  fi
  # Those that join it have another id, and another one of their directory, which they make.
  if [[ $node != 1 ]]; then
    sed -i "s/^node.id=.*/node.id=$node/; /^directory.id=/d" "$directory/data/meta.properties"
  fi
fi
: >"$directory/server.log"
exec setpriv --pdeathsig KILL "${java[@]}" -Xmx256m -Xms64m kafka.Kafka \
  "$directory/server.properties"
