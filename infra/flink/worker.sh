#!/bin/sh
# A worker of Flink's TaskManager, which calls it with --id and --provision_endpoint; with `pool
# OWNER`, what flink.sh starts beside a TaskManager for workers to be forked from.
# BRAID_PYTHON: the Python in which Braid is installed. BRAID_CHECKOUT: a checkout instead of a wheel.
# BRAID_MODULES: the folder of your own functions and kinds. BRAID_WORKER_LOG: where its
# output goes, which a TaskManager would throw away; by default a file of the user's own in /tmp.
# BRAID_CACHE: the folder of its copies of what lies in a bucket; by default in the user's cache.
module=transforms.runners.worker
if [ "$1" = pool ]; then
    module=transforms.runners.worker_pool
    shift
fi
if [ -n "$BRAID_CHECKOUT" ]; then
    set -- "$BRAID_CHECKOUT/transforms/contract/process/own_packages.py" "$module" "$@"
else
    set -- -m "braid.$module" "$@"
fi
export PYTHONPATH="$BRAID_MODULES"
log=${BRAID_WORKER_LOG:-/tmp/braid-worker-$(id -u).log}
exec "${BRAID_PYTHON:-python3}" -P "$@" >> "$log" 2>&1
