#!/bin/sh
# Runs the tool by whose name this program is called, or the given Java class.
set -eu

home=$(dirname "$(dirname "$(readlink -f "$0")")")
name=$(basename "$0" .sh)

log=tools-log4j2.yaml
if [ "$name" = kafka-run-class ]; then
    [ $# -gt 0 ] || { echo "usage: $name.sh CLASS [ARGUMENT …]" >&2; exit 2; }
else
    class=$(sed -n "s/^$name //p" "$home/bin/tools")
    set -- $class "$@"
fi
if [ "$name" = kafka-server-start ]; then
    log=log4j2.yaml
    : "${KAFKA_HEAP_OPTS:=-Xmx1g -Xms1g}"
fi
config=$home/config/$log
[ -f "$config" ] || config=/etc/kafka/docker/$log

# In an order that the archive can rely on.
libs=$(printf '%s:' "$home"/libs/*.jar)
archive=$home/classes.jsa
[ -f "$archive" ] && archive=-XX:SharedArchiveFile=$archive || archive=

# Unquoted: each of these variables holds several options.
exec java -XX:-UsePerfData $archive ${KAFKA_HEAP_OPTS:--Xmx256m} \
    ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=$config} -Dkafka.logs.dir="$home/logs" \
    ${KAFKA_JVM_PERFORMANCE_OPTS:-} ${KAFKA_OPTS:-} -cp "$libs${CLASSPATH:-}" "$@"
