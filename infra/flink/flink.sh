#!/bin/sh
# flink.sh fetch                   the jars, with Maven, into lib/
# flink.sh jobmanager              in the foreground, as the two below
# flink.sh taskmanager NAME        NAME is its own on its machine
# flink.sh job-server [FLINK]      Beam's, at port 8099; FLINK is the JobManager's REST address, by
#                                  default 127.0.0.1:8081, or [local] for a Flink inside of it
# FLINK_LIB and FLINK_CONF: other folders than lib/ and conf/ beside this file.
# BRAID_JOB_SERVER: without a JDK, Beam's own, org.apache.beam.runners.flink.FlinkJobServerDriver.
# BRAID_WORKER_POOL: empty, and each worker imports TensorFlow by itself, for every job anew.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
lib=${FLINK_LIB:-$here/lib}
conf=${FLINK_CONF:-$here/conf}

# Java 17 closes what Flink and Beam look into.
opens=
for package in java.lang java.net java.io java.nio sun.nio.ch java.lang.reflect java.text java.time \
    java.util java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks; do
    opens="$opens --add-opens=java.base/$package=ALL-UNNAMED"
done

start() { # MAIN_CLASS ARGUMENTS, with $memory
    # What these processes do for a job is over before Java's second compiler would pay.
    quick="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    # shellcheck disable=SC2086 # options, each a word
    exec java $memory $quick $opens -Dorg.slf4j.simpleLogger.showDateTime=true -cp "$lib/*" "$@"
}

pool() { # of workers of what this process becomes, with which it ends
    [ "${BRAID_WORKER_POOL-none}" = none ] || return 0
    BRAID_WORKER_POOL=$(mktemp -d "${TMPDIR:-/tmp}/braid-pool.XXXXXX")/socket
    export BRAID_WORKER_POOL
    "$here/worker.sh" pool $$ &
}

case "${1:-}" in
fetch)
    mvn --quiet --batch-mode --file "$here/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime "-DoutputDirectory=$lib"
    ;;
jobmanager)
    memory=-Xmx700m
    start org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint \
        --configDir "$conf" --executionMode cluster
    ;;
taskmanager)
    # What conf/flink-conf.yaml adds up to: heaps, off-heap with network, metaspace.
    memory="-Xmx512m -XX:MaxDirectMemorySize=320m -XX:MaxMetaspaceSize=256m"
    # One that was killed leaves what jobs were sent, all of which Flink reads when it starts there.
    work=${TMPDIR:-/tmp}/braid-taskmanager-$(id -u)-$2
    rm -rf "$work"
    pool
    start org.apache.flink.runtime.taskexecutor.TaskManagerRunner --configDir "$conf" \
        "-Dtaskmanager.resource-id=$2" "-Dprocess.taskmanager.working-dir=$work"
    ;;
job-server)
    memory=-Xmx700m
    [ "${2:-}" != "[local]" ] || pool
    start "${BRAID_JOB_SERVER:-$here/JobServer.java}" --job-host=127.0.0.1 --job-port=8099 \
        --artifact-port=8098 --expansion-port=0 "--flink-master=${2:-127.0.0.1:8081}"
    ;;
*)
    sed -n '2,/^set/p' "$0" | sed '$d; s/^# //'
    exit 2
    ;;
esac
